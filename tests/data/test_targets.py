"""Targets of objects that touch, by hand, and against distance transforms of scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import distance_transform_edt

from biounet.config.object_rules import ObjectRules
from biounet.core.errors import ConfigError, LabelError
from biounet.data.targets import TARGETS, distance_levels, interior_border, relative_distance, set_apart, touching
from biounet.metrics import average_precision
from biounet.segmentation import segment_objects

LABELS = arrays.arrays(np.int32, arrays.array_shapes(min_dims=2, max_dims=3, max_side=9), elements=st.integers(-1, 3))
FUNCTIONS = [interior_border, relative_distance, distance_levels]


def test_the_rim_goes_round_every_object():
    square = np.pad(np.full((5, 5), 3), 1)
    classes = interior_border(square, border_width=1)
    assert (classes[2:5, 2:5] == 1).all()
    assert (classes == 2).sum() == 25 - 9
    assert (interior_border(square, border_width=2) == 1).sum() == 1


def test_a_border_has_fewer_pixels_along_thick_slices():
    cell = np.zeros((9, 9, 9), int)
    cell[1:8, 1:8, 1:8] = 1
    classes = interior_border(cell, border_width=2, spacing=(2, 1, 1))
    assert classes[:, 4, 4].tolist() == [0, 2, 1, 1, 1, 1, 1, 2, 0]  # one slice of two pixels
    assert classes[4, 4].tolist() == [0, 2, 2, 1, 1, 1, 2, 2, 0]
    assert (interior_border(cell, border_width=1, spacing=(9, 1, 1))[1, 4, 4], touching(cell, spacing=(9, 1, 1))) == (
        2,
        0,
    )


def test_where_nothing_touches_there_is_no_border():
    row = np.array([[1, 1, 0, 0, 2, 2]])
    assert interior_border(row, border_width=2, where="touching").tolist() == [[1, 1, 0, 0, 1, 1]]
    assert interior_border(row, border_width=3, where="touching").tolist() == [[1, 2, 0, 0, 2, 1]]


def test_objects_touch_at_corners_too():
    corner = np.zeros((4, 4), int)
    corner[:2, :2], corner[2:, 2:] = 1, 2
    classes = interior_border(corner, border_width=1, where="touching")
    assert classes.tolist() == [[1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 2, 1], [0, 0, 1, 1]]


@given(LABELS)
def test_every_object_keeps_an_interior_and_nothing_else_changes(labels):
    for where in ("touching", "rim"):
        classes = interior_border(labels, border_width=2, where=where)
        assert set(labels[classes == 1]) == set(labels[labels > 0])
        assert ((classes > 0) == (labels > 0)).all()
        assert ((classes == -1) == (labels < 0)).all()


@given(LABELS, st.sampled_from([1.0, 0.3]))
def test_distance_is_that_of_each_object_alone(labels, thickness):
    spacing = (thickness, *(1.0,) * (labels.ndim - 1))
    expected = np.where(labels < 0, -1, 0).astype(float)
    for number in np.unique(labels[labels > 0]):
        inside = labels == number
        depth = distance_transform_edt(inside, sampling=spacing) if not inside.all() else np.ones(labels.shape)
        expected[inside] = (depth / depth.max())[inside]
    np.testing.assert_allclose(relative_distance(labels, spacing=spacing), expected, rtol=1e-5)


def test_levels_count_from_the_rim_inwards():
    row = np.pad(np.ones((1, 8), int), ((0, 0), (1, 1)))  # depths 1 2 3 4 4 3 2 1
    assert distance_levels(row, levels=4).tolist() == [[0, 1, 2, 3, 4, 4, 3, 2, 1, 0]]
    assert distance_levels(row, levels=2).tolist() == [[0, 1, 1, 2, 2, 2, 2, 1, 1, 0]]


@given(LABELS, st.integers(2, 20))
def test_every_object_reaches_the_highest_level(labels, levels):
    classes = distance_levels(labels, levels=levels)
    assert set(labels[classes == levels]) == set(labels[labels > 0])
    assert ((classes > 0) == (labels > 0)).all()


@pytest.mark.parametrize("target", FUNCTIONS)
def test_hard_cases(target):
    assert (target(np.zeros((3, 4), np.uint8)) == 0).all()
    assert (target(np.full((3, 4), 7)) > 0).all()
    one = np.zeros((3, 4), np.uint16)
    one[1, 2] = 65535
    assert (target(one) > 0).sum() == 1
    assert target(one).max() == target(one)[1, 2]
    assert (target(np.full((2, 2), -5)) == -1).all()


@pytest.mark.parametrize("target", FUNCTIONS)
def test_numbers_do_not_matter(target):
    few = np.kron(np.arange(1, 10).reshape(3, 3), np.ones((4, 4), int))
    assert (target(few * 1_000_000_007) == target(few)).all()
    many = np.arange(1, 70_001).reshape(200, 350)  # more objects than 16 bits count
    assert (target(many) > 0).all()


@pytest.mark.parametrize("target", FUNCTIONS)
def test_floats_are_no_labels(target):
    with pytest.raises(LabelError, match="integers, got float64"):
        target(np.zeros((2, 2)))


@pytest.mark.parametrize("target", TARGETS)
def test_objects_come_back_from_their_own_target(target):
    cells = np.pad(np.kron(np.arange(1, 10).reshape(3, 3), np.ones((9, 9), int)), 3)
    classes = TARGETS[target](cells)
    probabilities = np.stack([classes == number for number in range(classes.max() + 1)]).astype(np.float32)
    labels = segment_objects(probabilities, ObjectRules(target=target))
    assert average_precision(cells, labels, threshold=0.75) == 1
    if target != "foreground":  # a ridge of background is lost
        assert (labels == cells).all()


def test_wrong_options_are_refused():
    labels = np.ones((3, 3), int)
    with pytest.raises(ConfigError, match="at least 1 pixel"):
        interior_border(labels, border_width=0)
    with pytest.raises(ConfigError, match="levels, got 1"):
        distance_levels(labels, levels=1)
    with pytest.raises(ConfigError, match="spacing"):
        relative_distance(labels, spacing=(1.0, 1.0, 1.0))


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_leaves_a_gap_between_objects_that_touch(target):
    objects = np.zeros((20, 30), int)
    objects[4:16, 3:15], objects[4:16, 15:28], objects[0, 0] = 1, 2, -1
    apart = set_apart(objects, TARGETS[target](objects), target=target)
    assert not touching(apart)
    assert touching(apart, gap=6)
    assert set(np.unique(apart)) == {-1, 0, 1, 2}
    np.testing.assert_array_equal(np.where(apart > 0, objects, apart), apart)
