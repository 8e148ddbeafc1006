"""Temperatures, by hand and by what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.calibration import apply_temperature, fit_temperature
from biounet.errors import ConfigError, DatasetError, ImageError, LabelError, ShapeError


def drawn(rng, *, classes=3, pixels=40_000):
    """Probabilities, and classes drawn from them: perfectly calibrated."""
    scores = rng.normal(0, 2, (classes, pixels))
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=0)
    return probabilities, (probabilities.cumsum(axis=0) < rng.random(pixels)).sum(axis=0)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_what_was_distorted_is_found_and_put_right(classes, temperature):
    right, truth = drawn(np.random.default_rng(0), classes=classes)
    distorted = apply_temperature(right, 1 / temperature)
    found = fit_temperature([distorted[:, :9000], distorted[:, 9000:]], [truth[:9000], truth[9000:]])
    assert found == pytest.approx(temperature, rel=0.05)
    np.testing.assert_allclose(apply_temperature(distorted, found), right, atol=0.02)


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


def test_certainty_is_no_trouble():
    sure = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert np.isfinite(apply_temperature(sure, 3.0)).all()
    assert apply_temperature(sure, 1.0).dtype == np.float32
    assert 1 < fit_temperature([sure], [np.array([0, 0])]) <= 20


def test_wrong_input_is_said():
    right, truth = drawn(np.random.default_rng(0), pixels=10)
    with pytest.raises(ShapeError, match="pair them"):
        fit_temperature([right], [truth[1:]])
    with pytest.raises(LabelError, match="integers"):
        fit_temperature([right], [truth.astype(float)])
    with pytest.raises(LabelError, match="below 3"):
        fit_temperature([right], [truth + 3])
    with pytest.raises(ImageError, match="floating point"):
        fit_temperature([right.astype(np.uint8)], [truth])
    with pytest.raises(DatasetError, match="none"):
        fit_temperature([right], [np.full(10, -1)])
    with pytest.raises(ConfigError, match="positive"):
        apply_temperature(right, 0)
