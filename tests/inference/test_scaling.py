"""Scaled prediction: what a pixel gets does not depend on the tile, and the image keeps its place."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biounet.config import ModelConfig
from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import ArrayReader, Box
from biounet.core.errors import OutputError
from biounet.core.geometry import Geometry
from biounet.data.learnt_images import LearntImages
from biounet.data.normalize import Normalization
from biounet.inference.cost import Cost
from biounet.inference.files import predict_files
from biounet.inference.job import JobSettings, load_ensemble
from biounet.inference.model import load_model
from biounet.inference.overlap_tile import TileNet
from biounet.inference.record import read_record
from biounet.inference.scaling import Scale, ScaledNet, ScaledReader, resample
from biounet.inference.tiles import plan_tiles, read_mirrored
from biounet.io import Image, read, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


class Copy:
    """A network that gives its input, with a grid and a margin that it does not need."""

    geometry = Geometry(grid=(4, 4), margin=(3, 3), remainder=(2, 2), padded=False)
    dims, device, precision, copies = 2, torch.device("cpu"), torch.float32, 1

    def __call__(self, inputs, output):
        return inputs[:, :, 3 : 3 + output[0], 3 : 3 + output[1]].copy()

    def cost(self, output, *, channels, batch=1):
        return Cost(1000, 10)


def predict_tiles(net, image, tile):
    plan = plan_tiles(image.shape[1:], tile, net.geometry)
    result = []
    for piece in plan:
        given = net(read_mirrored(ArrayReader(image), piece.input)[np.newaxis], plan.step)[0]
        result = result or [np.empty((len(given), *plan.shape), np.float32)]
        inside = (slice(None), *(slice(size) for size in piece.output.shape))
        result[0][(slice(None), *piece.output.slices)] = given[inside]
    return result[0]


@given(factor=st.floats(1 / 16, 16), grid=st.sampled_from([1, 2, 6, 16, 64]))
def test_a_ratio_is_close_to_the_factor_and_keeps_the_grid(factor, grid):
    scale = Scale.near(factor, grid=grid)
    assert abs(float(scale) / factor - 1) <= 0.01
    assert scale.network % grid == 0


@given(data=st.data())
def test_a_scaled_image_is_the_same_in_whatever_pieces_it_is_read(data):
    scale = Scale(*data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40))))
    row = np.random.default_rng(0).normal(size=400).astype(np.float32)
    size = 100 * scale.network // scale.image
    whole = resample(row, scale, 0, start=0, size=size, first=-150)
    start = data.draw(st.integers(0, max(0, size - 1)))
    part = resample(row[50:], scale, 0, start=start, size=size - start, first=-100)
    np.testing.assert_array_equal(part, whole[start:])


def test_a_ramp_stays_a_ramp_within_a_twentieth_of_a_pixel():
    ramp = np.arange(-100, 300, dtype=np.float32)  # pixel n is n at its centre, n
    for scale in (Scale(3, 8), Scale(5, 4), Scale(7, 2)):
        centres = (np.arange(40) + 0.5) / float(scale) - 0.5
        np.testing.assert_allclose(resample(ramp, scale, 0, start=0, size=40, first=-100), centres, atol=0.05)


@settings(max_examples=15)
@given(data=st.data())
def test_tiles_of_a_scaled_network_equal_the_whole_image(data):
    padding = data.draw(st.sampled_from(["valid", "same"]))
    net = TileNet(build(ModelConfig(width=2, depth=1, padding=padding)), device=Copy.device, precision=Copy.precision)
    scaled = ScaledNet(net, Scale.near(data.draw(st.floats(0.3, 3)), grid=2), classes=2)
    image = np.random.default_rng(0).normal(size=(1, *data.draw(st.tuples(*[st.integers(2, 60)] * 2))))
    image = image.astype(np.float32)
    whole = predict_tiles(scaled, image, image.shape[1:])
    tiled = predict_tiles(scaled, image, data.draw(st.tuples(*[st.integers(20, 60)] * 2)))
    assert np.abs(whole - tiled).max() <= 1e-6


@pytest.mark.parametrize("factor", [0.4, 0.7, 1.6, 3.0])
def test_what_is_scaled_and_scaled_back_lies_where_it_lay(factor):
    y, x = np.mgrid[:90, :70]
    image = (np.sin(y / 15) + np.cos(x / 12))[np.newaxis].astype(np.float32)
    found = predict_tiles(ScaledNet(Copy(), Scale.near(factor, grid=4), classes=1), image, (90, 70))
    inside = (slice(None), slice(8, -8), slice(8, -8))  # the mirror image has edges, which are smoothed
    assert np.abs(found - image)[inside].max() < 0.06


def test_volumes_are_scaled_along_all_axes():
    config = ModelConfig(name="unet3d", dims=3, width=2, depth=1, padding="same", pooling=((1, 2, 2),))
    net = ScaledNet(
        TileNet(build(config), device=Copy.device, precision=Copy.precision), Scale.near(0.5, grid=2), classes=2
    )
    image = np.random.default_rng(0).normal(size=(1, 9, 20, 22)).astype(np.float32)
    whole, tiled = (predict_tiles(net, image, tile) for tile in ((9, 20, 22), (4, 8, 12)))
    assert np.abs(whole - tiled).max() <= 1e-6


def test_memory_of_the_scaled_arrays_is_counted():
    scaled = ScaledNet(Copy(), Scale(4, 8), classes=1)
    read = scaled.geometry.input_size((64, 64))
    assert scaled.cost((64, 64), channels=3) == Cost(1000 + 3 * 4 * 3 * read[0] * read[1], 10)


@pytest.fixture
def model_and_image(tmp_path):
    config = ModelConfig(width=2, depth=2, padding="same")
    learnt = LearntImages(diameter=10, diameters=(8, 12))
    facts = {"target": "foreground", "learnt": learnt, "rules": ObjectRules(least_seed=2, largest_hole=8)}
    card = ModelCard(model=config, normalization=Normalization(), **facts)
    save_network(tmp_path / "model.safetensors", build(config, seed=3), card)
    pixels = np.random.default_rng(0).normal(size=(150, 110)).cumsum(0).cumsum(1)
    pixels = np.interp(pixels, (pixels.min(), pixels.max()), (0, 255)).astype(np.uint8)
    write(tmp_path / "in.png", Image(pixels, "YX"))
    return tmp_path / "model.safetensors", tmp_path / "in.png", pixels


@pytest.mark.parametrize("diameter", [4, 25])
def test_labels_of_a_scaled_image_are_the_same_in_any_tiles(model_and_image, tmp_path, diameter):
    model, image, pixels = model_and_image
    lines = []
    for tile in (None, 40, 70):
        out = tmp_path / f"{tile}.tif"
        predict_files(model, [image], out, tile=tile, diameter=diameter, report=lines.append)
        found = read(out).array
        whole = load_model(model).segment(pixels, diameter=diameter)
        assert found.shape == pixels.shape
        assert found.max() > 0
        np.testing.assert_array_equal(found, whole)
    assert f"images are scaled by {10 / diameter:.3g}: objects of {diameter} px become as large" in lines[0]
    assert (load_model(model).segment(pixels) != found).any()


def test_a_result_that_is_resumed_keeps_its_scale(model_and_image, tmp_path):
    pytest.importorskip("zarr")
    model, image, _ = model_and_image
    predict_files(model, [image], tmp_path / "out.zarr", diameter=25)
    assert read_record(tmp_path / "out.zarr").factor == 0.4
    predict_files(model, [image], tmp_path / "out.zarr", diameter=25, resume=True)
    with pytest.raises(OutputError, match=r"begun with factor 0.4, this run has 1.0"):
        predict_files(model, [image], tmp_path / "out.zarr", resume=True)


def test_rules_count_pixels_of_the_image(model_and_image):
    model, _, _ = model_and_image
    settings = JobSettings((model,), model, factor=0.5)
    rules = load_ensemble(settings).card.object_rules
    assert (rules.least_seed, rules.largest_hole) == (8, 32)


@given(data=st.data())
def test_a_scaled_image_is_read_by_region(data):
    image = np.random.default_rng(0).normal(size=(2, 90, 50)).astype(np.float32)
    scaled = ScaledReader(ArrayReader(image), Scale(*data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))))
    whole = scaled.read(Box((0, 0, 0), scaled.shape))
    assert whole.shape == scaled.shape
    start = [data.draw(st.integers(0, size - 1)) for size in scaled.shape[1:]]
    stop = [data.draw(st.integers(first + 1, size)) for first, size in zip(start, scaled.shape[1:], strict=True)]
    box = Box((0, *start), (2, *stop))
    np.testing.assert_array_equal(scaled.read(box), whole[box.slices])


def test_of_a_much_smaller_image_some_rows_are_read_at_a_time():
    read = []

    class Rows:
        shape = (1, 10_000, 100)

        def read(self, box):
            read.append(box.shape[1])
            return np.zeros(box.shape, np.uint8)

    assert ScaledReader(Rows(), Scale(1, 16)).read(Box((0, 0, 0), (1, 512, 6))).shape == (1, 512, 6)
    assert max(read) <= 33 * 16
