"""Several networks as one: exact, with the mean of their probabilities, and only if they fit together."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biounet.config import ModelConfig
from biounet.core.boxes import ArrayReader
from biounet.core.errors import ConfigError, ModelFileError, OutputError
from biounet.data.normalize import Normalization
from biounet.inference.ensemble import Ensemble, load_members, member_files
from biounet.inference.files import predict_files
from biounet.inference.model import load_model
from biounet.inference.overlap_tile import predict_array
from biounet.inference.tiles import plan_tiles, read_mirrored
from biounet.io import Image, read, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

CPU = {"device": torch.device("cpu"), "precision": torch.float32}
SMALL = {"width": 2, "depth": 1, "padding": "same"}


def member(*, seed=0, kind="z-score", target="classes", threshold=0.5, temperature=1.0, smoothing=0, **settings):
    """A network and its card."""
    model = ModelConfig(**(SMALL | settings))
    facts = {"threshold": threshold, "temperature": temperature, "smoothing": smoothing}
    card = ModelCard(model=model, normalization=Normalization(kind), target=target, **facts)
    return build(model, seed=seed).eval(), card


def save(path, **settings):
    save_network(path, *member(**settings))
    return path


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def predict_tiles(net: Ensemble, image: np.ndarray, tile: tuple[int, ...]) -> np.ndarray:
    plan = plan_tiles(image.shape[1:], tile, net.geometry)
    result = np.empty((2, *plan.shape), np.float32)
    for piece in plan:
        inside = (slice(None), *(slice(size) for size in piece.output.shape))
        pixels = read_mirrored(ArrayReader(image), piece.input)
        result[(slice(None), *piece.output.slices)] = net(pixels[np.newaxis], plan.step)[0][inside]
    return result


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_tiles_of_different_networks_equal_the_mean_of_whole_images(data):
    dims = data.draw(st.sampled_from([2, 2, 3]))
    kind = st.tuples(st.sampled_from(["valid", "same"]), st.integers(1, 3 if dims == 2 else 1))
    kinds = data.draw(st.lists(kind, min_size=1, max_size=3))
    members = [
        member(dims=dims, padding=padding, depth=depth, smoothing=data.draw(st.integers(0, 3)))
        for padding, depth in kinds
    ]
    image = noise(1, *data.draw(st.tuples(*[st.integers(2, 40 if dims == 2 else 12)] * dims)))
    tiled = predict_tiles(Ensemble(members, **CPU), image, data.draw(st.tuples(*[st.integers(1, 30)] * dims)))
    alone = [predict_array(net, image, smoothing=card.smoothing, **CPU) for net, card in members]
    assert np.abs(tiled - np.mean(alone, axis=0)).max() <= 1e-5


def test_poolings_of_different_axes_fit_together():
    poolings = [((1, 2, 2),), ((2, 1, 2),)]
    members = [member(dims=3, pooling=pooling) for pooling in poolings]
    assert Ensemble(members, **CPU).geometry.grid == (2, 2, 2)


def test_an_ensemble_holds_its_largest_member_and_the_sum():
    members = [member(width=2), member(width=6, kind="percentile")]
    ensemble = Ensemble(members, **CPU)
    both = ensemble.cost((32, 32), channels=1)
    small, large = (Ensemble([each], **CPU).cost((32, 32), channels=1) for each in members)
    assert both.operations == small.operations + large.operations
    (side, _) = ensemble.geometry.input_size((32, 32))
    assert both.bytes == large.bytes + 4 * (2 * 32 * 32) + 4 * side**2  # and the copy that the other takes


@pytest.fixture
def folds(tmp_path):
    """A folder as cross-validation leaves it; its models differ in all that they may."""
    folder = tmp_path / "run"
    save(folder / "fold-0" / "model.safetensors", threshold=0.3, temperature=0.5, smoothing=2)
    save(
        folder / "fold-1" / "model.safetensors", seed=1, padding="valid", kind="percentile", threshold=0.7, smoothing=5
    )
    save(folder / "fold-2" / "model.safetensors", seed=2, depth=2, threshold=0.5, temperature=3.0)
    return folder


def test_files_and_arrays_hold_the_mean_of_all_folds(folds, tmp_path):
    image = (noise(45, 37) * 40 + 120).astype(np.uint8)
    write(tmp_path / "in.tif", Image(image, "YX"))
    expected = np.mean([load_model(folds / f"fold-{fold}").predict(image) for fold in range(3)], axis=0)
    lines = []
    predict_files(
        folds, [tmp_path / "in.tif"], tmp_path / "out.tif",
        save="probabilities", tile=16, verify=True, report=lines.append,
    )  # fmt: skip
    assert lines[0] == "the mean of 3 models"
    assert float(lines[1].split()[-1]) <= 1e-5
    np.testing.assert_allclose(read(tmp_path / "out.tif").array, expected[1], atol=1e-5)
    model = load_model(folds)
    np.testing.assert_allclose(model.predict(image), expected, atol=1e-5)
    assert model.card.threshold == pytest.approx(0.5)
    np.testing.assert_array_equal(model.segment(image), model.predict(image)[1] > 0.5)


def test_the_command_takes_further_models(folds, tmp_path, command):
    write(tmp_path / "in.tif", Image(noise(20, 20).astype(np.float32), "YX"))
    words = [folds / "fold-0", tmp_path / "in.tif", "--out", tmp_path / "out.tif", "--save", "probabilities"]
    words += ["--with", folds / "fold-1", "--with", folds / "fold-2" / "model.safetensors"]
    assert command("predict", *words)[0] == 0
    others = [folds / "fold-1", folds / "fold-2"]
    expected = load_model(folds / "fold-0", others=others).predict(noise(20, 20))
    np.testing.assert_allclose(read(tmp_path / "out.tif").array, expected[1], atol=1e-5)


def test_a_run_is_resumed_with_the_same_members_only(folds, tmp_path):
    pytest.importorskip("zarr")
    write(tmp_path / "in.tif", Image(noise(20, 20), "YX"))
    inputs, out = [tmp_path / "in.tif"], tmp_path / "out.zarr"
    predict_files(folds, inputs, out, save="classes")
    predict_files(folds, inputs, out, save="classes", resume=True)
    shutil.rmtree(folds / "fold-2")
    with pytest.raises(OutputError, match="was begun with model"):
        predict_files(folds, inputs, out, save="classes", resume=True)


def test_folds_are_taken_in_order_and_none_may_lack_its_model(folds):
    for fold in range(3, 11):
        (folds / f"fold-{fold}").mkdir()
    assert [file.parent.name for file in member_files(folds)] == [f"fold-{fold}" for fold in range(11)]
    with pytest.raises(ModelFileError, match=r"fold-3.* is missing"):
        load_members([folds])
    assert member_files(folds / "fold-1") == [folds / "fold-1" / "model.safetensors"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("dims 3", {"dims": 3}),
        ("channels 2", {"in_channels": 2}),
        ("classes 3", {"classes": 3}),
        ("target foreground", {"target": "foreground"}),
    ],
)
def test_members_that_do_not_fit_together_are_refused(tmp_path, name, settings):
    first = save(tmp_path / "first.safetensors")
    other = save(tmp_path / "other.safetensors", **settings)
    with pytest.raises(ConfigError, match=rf"other\.safetensors has {name}, .*first\.safetensors has .*leave one out"):
        load_members([first, other])
