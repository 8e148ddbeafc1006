"""Surface distances by hand, by brute force, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biounet.core.errors import LabelError, ShapeError
from biounet.core.labels import IGNORE
from biounet.metrics import hausdorff95, mean_surface_distance, surface_distances

masks = hnp.arrays(bool, (5, 6))
steps = st.tuples(st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from([0.5, 1.0, 3.0]))


def surface(mask: np.ndarray) -> np.ndarray:
    """Indices of pixels with a direct neighbour outside of the mask."""
    framed = np.pad(mask, 1)
    neighbours = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    return np.argwhere(mask & ~neighbours)


@given(masks, masks, steps)
def test_distances_equal_brute_force(truth, result, spacing):
    ours = surface_distances(truth, result, spacing=spacing)
    for side, (here, there) in zip(ours, ((truth, result), (result, truth)), strict=True):
        between = (surface(here)[:, None] - surface(there)[None]) * np.array(spacing)
        nearest = np.sqrt((between**2).sum(axis=2)).min(axis=1, initial=np.inf)
        assert side == pytest.approx(nearest)


@given(masks, masks, steps)
def test_order_and_orientation_do_not_matter(truth, result, spacing):
    for distance in (hausdorff95, mean_surface_distance):
        value = distance(truth, result, spacing=spacing)
        assert distance(result, truth, spacing=spacing) == pytest.approx(value)
        assert distance(truth.T, result.T, spacing=spacing[::-1]) == pytest.approx(value)
        assert distance(truth, truth, spacing=spacing) == 0


def test_two_squares_by_hand():
    truth, result = np.zeros((9, 9), int), np.zeros((9, 9), int)
    truth[3:6, 3:6], result[3:6, 5:8] = 1, 1
    # Right to left by columns of the surface: 2, 2, 2 | 1, 1 (the middle pixel is inside) | 0, 0, 0.
    assert mean_surface_distance(truth, result) == (2 * 3 + 1 * 2 + 0 * 3) / 8
    assert hausdorff95(truth, result) == 2
    assert hausdorff95(truth, result, spacing=(9, 0.25)) == 0.5


def test_five_percent_are_left_out():
    truth = np.ones((1, 100), int)
    result = np.zeros((1, 100), int)
    result[0, :96] = 1
    assert surface_distances(truth, result)[0].max() == 4
    assert hausdorff95(truth, result) == 0 < mean_surface_distance(truth, result)


def test_empty_masks():
    nothing, something = np.zeros((3, 3), int), np.eye(3, dtype=int)
    for distance in (hausdorff95, mean_surface_distance):
        assert distance(nothing, nothing) == 0
        assert distance(nothing, something) == distance(something, nothing) == np.inf


def test_volumes_and_ignored_pixels():
    truth = np.zeros((3, 4, 5), int)
    truth[1, 1, 1] = 1
    result = np.roll(truth, 1, axis=0)
    assert mean_surface_distance(truth, result, spacing=(2.5, 1, 1)) == 2.5
    truth[0] = IGNORE
    result[0, 3, 3] = 7
    assert mean_surface_distance(truth, result, spacing=(2.5, 1, 1)) == 2.5


def test_bad_input_is_refused():
    mask = np.ones((2, 3), int)
    with pytest.raises(LabelError, match="float64"):
        hausdorff95(mask, mask * 0.5)
    with pytest.raises(ShapeError, match="same shape"):
        hausdorff95(mask, mask.T)
    for spacing in ((1, 1, 1), 0, (1, -1)):
        with pytest.raises(ShapeError, match="spacing"):
            hausdorff95(mask, mask, spacing=spacing)
