"""Where a network looks: maps of its attention gates at the size of the image, however it is cut."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from architectures import gate_coefficients, make, settings_of
from biounet.core.boxes import ArrayReader
from biounet.core.errors import ConfigError
from biounet.data.normalize import Normalization
from biounet.inference.model import load_model
from biounet.inference.tiles import plan_tiles, read_mirrored
from biounet.io import Image, read, write
from biounet.models.attention import AttentionMaps
from biounet.models.model_file import ModelCard, save_network


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def of_whole_image(net: AttentionMaps, image: np.ndarray) -> np.ndarray:
    """Mirror the image far enough, look at all of it, keep what lies over it."""
    margins = net.geometry.margin
    sizes = net.geometry.input_size(image.shape[1:])
    around = [(m, size - m - pixels) for m, size, pixels in zip(margins, sizes, image.shape[1:], strict=True)]
    mirrored = np.pad(image, [(0, 0), *around], mode="reflect")
    inside = tuple(slice(m, m + pixels) for m, pixels in zip(margins, image.shape[1:], strict=True))
    with torch.inference_mode():
        return net(torch.from_numpy(mirrored)[np.newaxis])[0].numpy()[(slice(None), *inside)]


def of_tiles(net: AttentionMaps, image: np.ndarray, side: int) -> np.ndarray:
    plan = plan_tiles(image.shape[1:], (side,) * (image.ndim - 1), net.geometry)
    assert len(plan) > 1
    result = np.full((net.maps, *plan.shape), np.nan, np.float32)
    for tile in plan:
        pixels = read_mirrored(ArrayReader(image), tile.input)
        with torch.inference_mode():
            maps = net(torch.from_numpy(pixels)[np.newaxis])[0].numpy()
        inside = tuple(slice(m, m + n) for m, n in zip(net.geometry.margin, tile.output.shape, strict=True))
        result[(slice(None), *tile.output.slices)] = maps[(slice(None), *inside)]
    return result


@pytest.mark.parametrize(("dims", "depth", "shape"), [(2, 3, (45, 70)), (3, 2, (9, 18, 21))])
def test_maps_of_tiles_equal_those_of_the_whole_image(dims, depth, shape):
    net, image = AttentionMaps(make("attention-unet", dims=dims, depth=depth)), noise(1, *shape)
    whole = of_whole_image(net, image)
    assert whole.shape == (depth - 1, *shape)
    assert whole.std(axis=tuple(range(1, dims + 1))).min() > 1e-3, "a map that shows nothing proves nothing"
    np.testing.assert_allclose(of_tiles(net, image, 16), whole, atol=1e-5)


def test_maps_are_what_skips_are_multiplied_by_brought_to_the_size_of_the_image():
    net, image = make("attention-unet", depth=3), torch.from_numpy(noise(1, 1, 32, 24))
    inner, outer = gate_coefficients(net, image)
    with torch.inference_mode():
        maps = AttentionMaps(net)(image)
    assert maps.min() > 0
    assert maps.max() < 1
    for number, (coefficients, factor) in enumerate(((inner, 4), (outer, 2))):
        torch.testing.assert_close(
            maps[:, [number]], interpolate(coefficients, scale_factor=factor, mode="bilinear"), atol=1e-6, rtol=0
        )


def test_a_network_without_gates_is_refused():
    with pytest.raises(ConfigError, match=r"attention-unet of depth 1 has no gate: set model\.depth to 2 or more"):
        make("attention-unet", depth=1)
    with pytest.raises(ConfigError, match="UNet has no attention gates; train with --model attention-unet"):
        AttentionMaps(make("unet"))


@pytest.fixture
def model(tmp_path):
    settings = {"depth": 3, "dropout": 0.0}
    card = ModelCard(model=settings_of("attention-unet", **settings), normalization=Normalization())
    save_network(tmp_path / "model.safetensors", make("attention-unet", **settings), card)
    return tmp_path / "model.safetensors"


def test_files_and_arrays_hold_the_maps(model, tmp_path, command):
    image = noise(45, 70)
    write(tmp_path / "in.tif", Image(image, "YX"))
    words = [model, tmp_path / "in.tif", "--out", tmp_path / "out.tif", "--save", "attention", "--tile", 16]
    assert command("predict", *words, "--precision", "float32")[0] == 0
    whole = load_model(model)
    normalised = whole.card.normalization.measured(image[np.newaxis]).apply(image[np.newaxis])
    expected = of_whole_image(AttentionMaps(whole.net), normalised)
    result = read(tmp_path / "out.tif")
    assert (result.axes, result.array.dtype) == ("CYX", np.float32)
    np.testing.assert_allclose(result.array, expected, atol=1e-5)
    maps = load_model(model, attention=True).predict(image, precision="float32")
    np.testing.assert_allclose(maps, expected, atol=1e-5)


def test_a_file_without_gates_is_named(tmp_path):
    config = settings_of("unet")
    save_network(tmp_path / "u.safetensors", make("unet"), ModelCard(model=config, normalization=Normalization()))
    with pytest.raises(ConfigError, match=r"u\.safetensors: UNet has no attention gates"):
        load_model(tmp_path / "u.safetensors", attention=True)
