"""Looks: the numbers that an image is compared by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.boxes import Box
from biounet.data.looks import FEATURES, distance, look_of, look_windows, spread_out


def look(pixels):
    return dict(zip(FEATURES, look_of(pixels.shape[1:], lambda box: pixels[(slice(None), *box.slices)]), strict=True))


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_white_noise_halves_its_power_twice_per_octave():
    found = look(noise(1, 512, 512))
    # 3/4 of the variance lies within squares of 2 x 2, 3/16 between them within squares of 4 x 4, and so on
    expected = [np.log2(np.sqrt(3 / 4**level)) for level in range(1, 6)]
    np.testing.assert_allclose([found[f"{side} px"] for side in (1, 2, 4, 8, 16)], expected, atol=0.06)
    assert found["32 px"] == pytest.approx(-5, abs=0.15)
    assert found["noise"] == pytest.approx(0, abs=0.02)
    assert (found["darkest"], found["middle"], found["brightest"]) == pytest.approx((-2.33, 0, 2.33), abs=0.05)


def test_a_checkerboard_has_power_in_one_octave_alone():
    y, x = np.mgrid[:128, :128]
    found = look(((y // 4 + x // 4) % 2 * 2.0 - 1)[np.newaxis].astype(np.float32))
    assert found["4 px"] == 0
    assert all(found[f"{side} px"] == -8 for side in (1, 2, 8, 16, 32))


def test_colour_is_what_differs_between_channels():
    grey = np.repeat(noise(1, 64, 64), 3, axis=0)
    assert look(grey)["colour"] == 0
    grey[0] += 3
    assert look(grey)["colour"] == pytest.approx(np.std([3, 0, 0]), abs=0.01)


@given(shape=st.tuples(st.integers(1, 9), st.integers(1, 3000), st.integers(1, 3000)))
def test_windows_lie_inside_and_are_bounded(shape):
    for box in look_windows(shape):
        assert all(0 <= start < stop <= size for start, stop, size in zip(box.start, box.stop, shape, strict=True))
        assert box.start[0] == shape[0] // 2
        assert box.shape[0] == 1
        assert max(box.shape) <= 512


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (5, 40, 33)])
def test_small_images_and_volumes_have_a_look(shape):
    image = noise(2, *shape)
    found = look_of(shape, lambda box: image[(slice(None), *box.slices)])
    assert len(found) == len(FEATURES)
    assert np.isfinite(found).all()


def test_only_windows_are_read():
    read = []

    def pixels(box: Box):
        read.append(box)
        return np.zeros((1, *box.shape), np.float32)

    look_of((100_000, 100_000), pixels)
    assert [box.shape for box in read] == [(256, 256)] * 4


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30))
def test_looks_that_stand_for_all_are_near_each(levels):
    looks = [(level / 10, *(0.0,) * (len(FEATURES) - 1)) for level in levels]
    taken = spread_out(looks, most=len(looks))
    assert all(distance(each, taken).min() <= 0.05 for each in looks)
    assert spread_out(looks, most=2) == taken[:2]
