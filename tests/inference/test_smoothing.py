"""Tests of smoothed logits: by hand, against scipy, and with as many passes as fit the truth."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import correlate1d, gaussian_filter

from biounet.inference.smoothing import MOST, fit_smoothing, smooth, smooth_probabilities, smooth_whole


def soft_max(logits):
    powers = np.exp(logits - logits.max(axis=0))
    return (powers / powers.sum(axis=0)).astype(np.float32)


def blobs(noise):
    """Probabilities with noise from pixel to pixel, and foreground in blobs that was drawn from them without noise."""
    rng = np.random.default_rng(0)
    field = gaussian_filter(rng.normal(size=(192, 192)), 8)
    odds = 4 * field / field.std()
    truth = (rng.random(odds.shape) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    spread = rng.normal(size=odds.shape)
    odds = odds + noise * spread / spread.std()
    return soft_max(np.stack([np.zeros_like(odds), odds])), truth


def test_a_point_spreads_by_hand():
    point = np.zeros((1, 5, 5), np.float32)
    point[0, 2, 2] = 256
    np.testing.assert_array_equal(smooth(point, passes=1)[0], np.outer([64, 128, 64], [1, 2, 1]) / 4)
    assert smooth(point, passes=2).tolist() == [[[36.0]]]  # 256 (6 / 16)^2
    around = np.pad(point, [(0, 0), (2, 2), (2, 2)])
    np.testing.assert_array_equal(smooth(around, passes=2)[0], np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]))


@given(passes=st.integers(0, MOST), height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_an_image_is_mirrored_at_its_edges_as_scipy_does(passes, height, width, seed):
    image = np.random.default_rng(seed).normal(size=(2, 3, height, width)).astype(np.float32)
    expected = np.pad(image, [(0, 0), (0, 0), (passes, passes), (passes, passes)], mode="reflect").astype(np.float64)
    for _ in range(passes):
        for axis in (-2, -1):
            expected = correlate1d(expected, [0.25, 0.5, 0.25], axis=axis)
    inside = slice(passes, None if passes == 0 else -passes)
    np.testing.assert_allclose(smooth_whole(image, passes=passes), expected[..., inside, inside], atol=1e-5)


@given(passes=st.integers(0, 4), top=st.integers(0, 20), left=st.integers(0, 20))
def test_parts_equal_the_whole_to_the_bit_as_arrays_and_as_tensors(passes, top, left):
    image = np.random.default_rng(0).normal(size=(2, 40, 40)).astype(np.float32)
    whole = smooth(image, passes=passes)[:, top : top + 5, left : left + 7]
    part = image[:, top : top + 5 + 2 * passes, left : left + 7 + 2 * passes]
    assert smooth(part, passes=passes).tobytes() == whole.tobytes()
    assert smooth(torch.from_numpy(part), passes=passes).numpy().tobytes() == whole.tobytes()


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_passes_are_a_gaussian(passes):
    point = np.zeros((41, 41), np.float32)
    point[20, 20] = 1
    expected = gaussian_filter(point, (passes / 2) ** 0.5, truncate=10)
    assert np.abs(smooth_whole(point, passes=passes) - expected).sum() < 0.25 / passes


def test_smoothed_probabilities_are_those_of_smoothed_logits():
    logits = np.random.default_rng(0).normal(0, 3, (4, 3, 12, 9)).astype(np.float32)
    found = smooth_probabilities(soft_max(logits), 2)
    np.testing.assert_allclose(found, soft_max(smooth_whole(logits, passes=2)), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-6)
    sure = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
    assert np.isfinite(smooth_probabilities(sure, 1)).all()
    assert smooth_probabilities(sure, 0).tolist() == sure.tolist()


def test_noise_from_pixel_to_pixel_is_smoothed_and_true_single_pixels_are_not():
    noisy, truth = blobs(noise=2.0)
    assert fit_smoothing([noisy], [truth]) >= 2
    assert fit_smoothing([noisy[:, :96], noisy[:, 96:]], [truth[:96], truth[96:]]) >= 2
    truth = np.random.default_rng(0).integers(0, 2, (64, 64))
    right = np.where(truth, 0.9, 0.1)
    wrong = np.random.default_rng(1).random(truth.shape) < 0.1
    right[wrong] = 1 - right[wrong]
    assert fit_smoothing([np.stack([1 - right, right])], [truth]) == 0


def test_too_high_probabilities_alone_are_not_smoothed():
    """All odds are raised to a power, which smoothing would reduce, too, but a temperature corrects."""
    right, truth = blobs(noise=0.0)
    sure = right**4 / (right**4).sum(axis=0)
    assert fit_smoothing([right], [truth]) == fit_smoothing([sure], [truth])


def test_a_gain_on_few_pixels_is_chance():
    """Smoothing makes 5 pixels likelier by less than chance; 500 such rows by more."""
    foreground = np.array([[0.66, 0.72, 0.72, 0.9, 0.9]])
    both, truth = np.stack([1 - foreground, foreground]), np.array([[0, 1, 1, 1, 0]])
    assert fit_smoothing([both], [truth]) == 0
    assert fit_smoothing([both.repeat(500, axis=1)], [truth.repeat(500, axis=0)]) > 0


def test_unknown_pixels_do_not_count():
    noisy, truth = blobs(noise=2.0)
    hidden = truth.copy()
    hidden[:, 96:] = -1
    nonsense = noisy.copy()
    nonsense[:, :, 104:] = noisy[::-1, :, 104:]
    assert fit_smoothing([noisy], [hidden]) == fit_smoothing([nonsense], [hidden]) > 0
    assert fit_smoothing([noisy], [np.full_like(truth, -1)]) == fit_smoothing([], []) == 0
