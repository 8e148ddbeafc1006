"""Sections linked to volumes, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from biounet.errors import ConfigError, LabelError, ShapeError
from biounet.postprocess import link_slices


def test_a_straight_column_is_one_object():
    column = np.zeros((4, 5, 5), int)
    column[:, 1:3, 1:3] = np.array([3, 9, 1, 3])[:, None, None]
    assert (link_slices(column) == (column > 0)).all()


def test_the_better_overlap_wins_where_an_object_splits():
    sections = np.array([[[1, 1, 1, 1, 1, 1]], [[1, 1, 1, 1, 0, 2]]])
    assert link_slices(sections, least_overlap=0.1)[:, 0].tolist() == [[1] * 6, [1, 1, 1, 1, 0, 2]]


def test_an_empty_section_ends_objects():
    sections = np.array([[[1, 1]], [[0, 0]], [[1, 1]]])
    assert link_slices(sections)[:, 0].tolist() == [[1, 1], [0, 0], [2, 2]]


def test_unknown_becomes_background_and_nothing_stays_nothing():
    assert not link_slices(np.full((2, 3, 3), -1)).any()
    assert not link_slices(np.zeros((2, 3, 3), np.uint8)).any()


@given(arrays.arrays(np.uint16, (4, 5, 5), elements=st.sampled_from([0, 1, 2, 60000])), st.sampled_from([0.1, 0.5, 1]))
def test_objects_of_a_section_are_never_merged(sections, least):
    linked = link_slices(sections, least_overlap=least)
    assert set(np.unique(linked)) | {0} == set(range(linked.max() + 1)) | {0}
    for before, after in zip(sections, linked, strict=True):
        pairs = np.unique(np.stack([before, after]).reshape(2, -1), axis=1)
        assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


def test_wrong_input_is_said():
    with pytest.raises(LabelError, match="integers"):
        link_slices(np.zeros((2, 3, 3)))
    with pytest.raises(ShapeError, match="ZYX"):
        link_slices(np.zeros((3, 3), int))
    with pytest.raises(ConfigError, match="share"):
        link_slices(np.zeros((2, 3, 3), int), least_overlap=0)
