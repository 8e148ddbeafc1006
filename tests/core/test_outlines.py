"""Outlines of objects: rings along the edges of pixels, and the pixels inside of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.draw import polygon2mask

from biounet.core.errors import LabelError
from biounet.core.outlines import fill_polygons, trace_polygons

PLANES = hnp.arrays(np.int16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-1, 2))


@settings(deadline=None, max_examples=200)
@given(labels=PLANES)
def test_outlines_filled_are_the_objects_and_no_ring_touches_itself(labels):
    filled = np.zeros(labels.shape, np.int32)
    for number, polygons in trace_polygons(labels).items():
        assert fill_polygons(filled, polygons, number) == (np.count_nonzero(labels == number), 0)
        for ring in (ring for polygon in polygons for ring in polygon):
            steps = np.diff(ring, axis=0, append=ring[:1])
            assert len(np.unique(ring, axis=0)) == len(ring)
            assert (np.count_nonzero(steps, axis=1) == 1).all(), "sides run along rows or columns"
            assert not (steps * np.roll(steps, 1, axis=0)).any(), "every corner is a corner"
    np.testing.assert_array_equal(filled, np.maximum(labels, 0))


def test_a_ring_that_closes_at_a_corner_has_a_hole_there():
    polygons = trace_polygons(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]]))[1]
    (outer, hole), *others = [[ring.tolist() for ring in polygon] for polygon in polygons]
    assert outer == [[0, 0], [0, 3], [2, 3], [2, 2], [3, 2], [3, 0]]
    assert (hole, others) == ([[1, 1], [2, 1], [2, 2], [1, 2]], [])


def test_pixels_that_meet_at_a_corner_are_two_polygons():
    assert [len(polygon) for polygon in trace_polygons(np.eye(2, dtype=int))[1]] == [1, 1]


def test_100_000_objects_come_back():
    numbers = np.arange(1, 100_001, dtype=np.int32).reshape(250, 400)
    labels = np.kron(numbers, np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]], np.int32))
    filled = np.zeros_like(labels)
    for number, polygons in trace_polygons(labels).items():
        fill_polygons(filled, polygons, number)
    np.testing.assert_array_equal(filled, labels)


@settings(deadline=None)
@given(corners=hnp.arrays(float, (5, 2), elements=st.floats(-3, 12)))
def test_slanted_outlines_are_filled_as_scikit_image_fills_them(corners):
    filled = np.zeros((9, 9), np.int32)
    corners = corners + np.array([0.123, 0.0771])  # no side through the centre of a pixel
    fill_polygons(filled, [[corners]], 1)
    np.testing.assert_array_equal(filled, polygon2mask((9, 9), corners - 0.5))


def test_the_later_object_takes_pixels_and_says_how_many():
    labels = np.zeros((3, 3), np.int32)
    square = np.array([[0, 0], [0, 2], [2, 2], [2, 0]])
    assert fill_polygons(labels, [[square]], 1) == (4, 0)
    assert fill_polygons(labels, [[square + 1], [square + 1]], 2) == (8, 1)
    assert fill_polygons(labels, [[square + 7]], 3) == (0, 0)
    assert labels.tolist() == [[1, 1, 0], [1, 2, 2], [0, 2, 2]]


def test_labels_are_integers():
    with pytest.raises(LabelError, match="integers"):
        trace_polygons(np.zeros((2, 2)))
