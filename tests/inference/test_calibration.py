"""Tests of temperatures, by hand and on drawn probabilities."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.errors import ConfigError, DatasetError, ImageError, LabelError, ShapeError
from biounet.inference.calibration import (
    Calibration,
    apply_temperature,
    calibrate,
    calibration_error,
    fit_temperature,
    move_threshold,
)


def drawn(rng, *, classes=3, pixels=40_000):
    """Probabilities, and classes drawn from them: perfectly calibrated."""
    logits = rng.normal(0, 2, (classes, pixels))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    return probabilities, (probabilities.cumsum(axis=0) < rng.random(pixels)).sum(axis=0)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_distorted_probabilities_is_found(classes, temperature):
    right, truth = drawn(np.random.default_rng(0), classes=classes)
    distorted = apply_temperature(right, 1 / temperature)
    found = fit_temperature([distorted[:, :9000], distorted[:, 9000:]], [truth[:9000], truth[9000:]])
    assert found == pytest.approx(temperature, rel=0.05)
    np.testing.assert_allclose(apply_temperature(distorted, found), right, atol=0.02)


def test_probabilities_at_a_temperature_are_those_of_divided_logits():
    logits = np.random.default_rng(0).normal(0, 15, (4, 500))  # also where float32 probabilities are as small as 1e-30
    for temperature in (0.5, 3.0):
        both = [np.exp(logits / t - (logits / t).max(axis=0)) for t in (1, temperature)]
        sure, expected = (one / one.sum(axis=0) for one in both)
        np.testing.assert_allclose(apply_temperature(sure.astype(np.float32), temperature), expected, atol=1e-5)


def test_many_classes_at_a_low_temperature_are_still_probabilities():
    equal = np.full((200, 1), 1 / 200, np.float32)
    np.testing.assert_allclose(apply_temperature(equal, 0.05), equal)


@given(st.floats(0.2, 10), st.floats(0.05, 0.95), st.floats(0.001, 0.999))
def test_a_moved_threshold_divides_as_before(temperature, threshold, probability):
    cooled = apply_temperature(np.array([[probability]]), temperature)[0, 0]
    if probability != pytest.approx(threshold, abs=1e-5):
        assert (cooled > move_threshold(threshold, temperature)) == (probability > threshold)


def test_the_expected_calibration_error_by_hand():
    # Two pixels 0.8 sure, one of them right; one 0.6 sure and right; one unknown: (2 |0.8 - 0.5| + |0.6 - 1|) / 3.
    foreground = np.array([0.8, 0.2, 0.6, 0.99])
    both = np.stack([1 - foreground, foreground])
    truth = np.array([1, 1, 1, -1])
    assert calibration_error([both], [truth]) == pytest.approx(1 / 3)
    parts = calibration_error([both[:, :2], both[:, 2:]], [truth[:2], truth[2:]])
    assert parts == pytest.approx(1 / 3)  # of all pixels together, however they are divided into images


def test_a_large_image_is_not_copied():
    wide = np.full((9, 2**11, 2**11), 1 / 9, np.float32)
    tracemalloc.start()
    error = calibration_error([wide], [np.zeros(wide.shape[1:], np.uint8)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error == pytest.approx(8 / 9)  # the first class is the most probable: always right, at 1/9
    assert peak < wide.nbytes / 3


def test_calibration_lowers_the_error_of_too_high_probabilities():
    right, truth = drawn(np.random.default_rng(0))
    found = calibrate([apply_temperature(right, 0.5)], [truth])
    assert found.before > 0.05
    assert found.after < 0.01


def test_a_temperature_that_makes_it_worse_is_not_applied():
    # Of ten pixels at 0.8 eight are right; one more, at 1, is wrong: its bin alone is off, by 1 / 11.
    sure = np.array([[0.2] * 10 + [1e-9], [0.8] * 10 + [1 - 1e-9]])
    truth = np.array([1] * 8 + [0] * 3)
    assert fit_temperature([sure], [truth]) > 2
    found = calibrate([sure], [truth])
    assert found == Calibration(1.0, found.before, found.before)
    assert found.before == pytest.approx(1 / 11)
    assert "stay as they are" in str(found)


def test_without_known_pixels_nothing_is_calibrated():
    right, _ = drawn(np.random.default_rng(0), pixels=10)
    assert calibrate([right], [np.full(10, -1)]) == calibrate([], []) == Calibration(1.0, 0.0, 0.0)


@given(st.floats(0.1, 10), st.floats(0.01, 0.99))
def test_order_stays_and_the_sum_is_one(temperature, probability):
    both = np.array([[1 - probability], [probability]])
    cooled = apply_temperature(both, temperature)
    assert cooled.sum() == pytest.approx(1, abs=1e-6)
    assert (cooled[1] > cooled[0]) == (both[1] > both[0]) or probability == pytest.approx(0.5, abs=1e-5)
    np.testing.assert_allclose(apply_temperature(both[1:], temperature), cooled[1:], atol=1e-6)


def test_unknown_pixels_do_not_count():
    right, truth = drawn(np.random.default_rng(1))
    wrong = np.concatenate([right, right], axis=1)
    half_known = np.concatenate([truth, np.full(len(truth), -1)])
    assert fit_temperature([wrong], [half_known]) == fit_temperature([right], [truth])


def test_probabilities_of_0_and_1_have_a_temperature():
    sure = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert np.isfinite(apply_temperature(sure, 3.0)).all()
    assert apply_temperature(sure, 1.0).dtype == np.float32
    assert 1 < fit_temperature([sure], [np.array([0, 0])]) <= 20


def test_wrong_input_is_refused():
    right, truth = drawn(np.random.default_rng(0), pixels=10)
    with pytest.raises(ShapeError, match="pair them"):
        fit_temperature([right], [truth[1:]])
    with pytest.raises(LabelError, match="integers"):
        fit_temperature([right], [truth.astype(float)])
    with pytest.raises(LabelError, match="below 3"):
        fit_temperature([right], [truth + 3])
    with pytest.raises(ImageError, match="floating point"):
        fit_temperature([right.astype(np.uint8)], [truth])
    for function in (fit_temperature, calibration_error):
        with pytest.raises(DatasetError, match="none"):
            function([right], [np.full(10, -1)])
    with pytest.raises(ConfigError, match="positive"):
        apply_temperature(right, 0)
