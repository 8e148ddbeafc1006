"""Tiles equal the whole: for every architecture, any size, any cut."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d

from architectures import KINDS, make
from biounet.core.errors import ConfigError, ShapeError
from biounet.inference.overlap_tile import TileNet, predict_array, run_tiles

CPU = {"device": torch.device("cpu"), "precision": torch.float32}


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def by_definition(net: torch.nn.Module, image: np.ndarray, temperature: float = 1.0, smoothing: int = 0) -> np.ndarray:
    """Mirror the image by numpy, apply the network as it was trained, smooth by scipy, keep what lies over it."""
    geometry = net.geometry.widened((0,) * (image.ndim - 3) + (smoothing,) * 2)
    sizes = geometry.input_size(image.shape[1:])
    around = [
        (margin, size - margin - pixels)
        for margin, size, pixels in zip(geometry.margin, sizes, image.shape[1:], strict=True)
    ]
    mirrored = np.pad(image, [(0, 0), *around], mode="reflect")
    with torch.inference_mode():
        scores = net(torch.from_numpy(mirrored)[None])[0]
    taken = (0,) * len(sizes) if geometry.padded else net.geometry.margin
    first = [margin - lost for margin, lost in zip(geometry.margin, taken, strict=True)]
    inside = tuple(slice(start, start + size) for start, size in zip(first, image.shape[1:], strict=True))
    smoothed = scores.numpy().astype(np.float64)
    for axis in (-2, -1) * smoothing:
        smoothed = correlate1d(smoothed, [0.25, 0.5, 0.25], axis=axis)
    return torch.softmax(torch.from_numpy(smoothed) / temperature, dim=0).numpy()[(slice(None), *inside)]


@pytest.mark.parametrize(("name", "padding", "dims"), KINDS)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_tiles_equal_the_whole(name, padding, dims, data):
    net = make(name, padding, dims)
    largest = 90 if dims == 2 else 14
    least = 1 if name == "unet" else 8  # others have so much context that many small tiles take minutes
    shape = data.draw(st.tuples(*[st.integers(2, largest)] * dims))
    tile = data.draw(st.tuples(*[st.integers(least, 40)] * dims))
    after = {"temperature": data.draw(st.sampled_from([1.0, 2.5])), "smoothing": data.draw(st.sampled_from([0, 2, 5]))}
    image = noise(1, *shape)
    whole = by_definition(net, image, **after)
    tiled = predict_array(net, image, tile=tile, **after, **CPU)
    assert tiled.shape == whole.shape
    assert np.abs(tiled - whole).max() <= 1e-5


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_anisotropic_poolings(padding):
    net = make("unet", padding, 3, pooling=((1, 2, 2), (2, 2, 2)))
    image = noise(1, 5, 30, 21)
    tiled = predict_array(net, image, tile=(4, 8, 12), **CPU)
    assert np.abs(tiled - by_definition(net, image)).max() <= 1e-5


def test_a_single_pixel_is_an_image():
    result = predict_array(make(), noise(1, 1, 1), **CPU)
    assert result.shape == (2, 1, 1)
    assert result.sum() == pytest.approx(1)


def test_the_same_tiles_give_the_same_bytes_in_any_batch():
    net, image = make(), noise(1, 70, 50)
    one = predict_array(net, image, tile=16, **CPU)
    assert one.tobytes() == predict_array(net, image, tile=16, **CPU).tobytes()
    assert np.abs(one - predict_array(net, image, tile=16, batch=3, **CPU)).max() <= 1e-6


def test_bfloat16_changes_hardly_any_class():
    net = make(width=4)
    image = noise(1, 320, 320)
    options = {"device": torch.device("cpu"), "precision": torch.bfloat16}
    whole = predict_array(net, image, tile=320, **options).argmax(axis=0)
    tiled = predict_array(net, image, tile=100, **options).argmax(axis=0)
    assert (whole != tiled).mean() <= 1e-5


@pytest.mark.parametrize("turn", [lambda a: a[..., ::-1, :], lambda a: a[..., ::-1], lambda a: a.swapaxes(-2, -1)])
def test_symmetric_prediction_turns_with_the_image(turn):
    # On a multiple of the grid, mirroring keeps the poolings in step.
    net, image = make(), noise(1, 32, 32)
    plain = predict_array(net, image, **CPU)
    averaged = predict_array(net, image, tta=True, **CPU)
    turned = predict_array(net, np.ascontiguousarray(turn(image)), tta=True, **CPU)
    np.testing.assert_allclose(turned, turn(averaged), atol=1e-5)
    assert np.abs(averaged - plain).max() > 1e-3


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_symmetric_prediction_is_exact_too(padding):
    net, image = make(padding=padding), noise(1, 45, 61)
    whole = predict_array(net, image, tta=True, smoothing=2, **CPU)
    tiled = predict_array(net, image, tta=True, smoothing=2, tile=(12, 20), batch=2, **CPU)
    assert np.abs(whole - tiled).max() <= 1e-5


def test_symmetries_need_equal_pooling_in_the_plane():
    net = make(depth=2, pooling=((1, 2), (2, 2)))
    with pytest.raises(ConfigError, match="pools Y and X apart"):
        TileNet(net, tta=True, **CPU)


def test_a_network_without_geometry_is_refused():
    with pytest.raises(ShapeError, match="geometry"):
        TileNet(torch.nn.Conv2d(1, 2, 3), **CPU)


class Counted:
    """A reader and writer that notes how far reading runs ahead of writing."""

    def __init__(self, inputs: np.ndarray) -> None:
        self.inputs, self.read_tiles, self.written, self.farthest = inputs, 0, 0, 0

    def read(self, number: int) -> np.ndarray:
        self.read_tiles += 1
        self.farthest = max(self.farthest, self.read_tiles - self.written)
        return self.inputs

    def write(self, number: int, result: np.ndarray) -> None:
        assert number == self.written
        self.written += 1


def test_reading_runs_ahead_by_a_bounded_number_of_tiles():
    net = TileNet(make(), **CPU)
    counted = Counted(noise(1, *net.geometry.input_size((4, 4))))
    assert sum(run_tiles(net, range(20), (4, 4), read=counted.read, write=counted.write)) == 20
    assert counted.written == 20
    assert 1 < counted.farthest <= 4  # one computed, one read ahead, one written, one just begun


@pytest.mark.parametrize("fails", ["read", "write"])
def test_what_fails_while_reading_or_writing_is_raised(fails):
    net = TileNet(make(), **CPU)
    counted = Counted(noise(1, *net.geometry.input_size((4, 4))))

    def fail_at_three(number, *result):
        if number == 3:
            raise OSError("the disk is on fire")
        return getattr(counted, fails)(number, *result)

    functions = {"read": counted.read, "write": counted.write} | {fails: fail_at_three}
    with pytest.raises(OSError, match="on fire"):
        list(run_tiles(net, range(6), (4, 4), **functions))
    assert counted.written >= 3
