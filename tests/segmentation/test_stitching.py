"""Sections linked to volumes, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from biounet.core.errors import ConfigError, LabelError, ShapeError
from biounet.segmentation import Overlaps, link_slices, number_apart


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


@given(arrays.arrays(np.uint16, (4, 5, 5), elements=st.integers(0, 3)), st.permutations([1, 2, 3]))
def test_numbers_in_sections_do_not_matter(sections, order):
    renumbered = sections.copy()
    renumbered[1] = np.array([0, *order])[sections[1]]
    np.testing.assert_array_equal(link_slices(renumbered), link_slices(sections))
    np.testing.assert_array_equal(number_apart(renumbered), number_apart(sections))


@given(arrays.arrays(np.uint8, (2, 5, 6), elements=st.integers(0, 3)), st.integers(1, 4))
def test_overlaps_of_regions_add_up(sections, cut):
    parts = [Overlaps.of(*sections[..., part]) for part in (slice(cut), slice(cut, None))]
    for one, other in zip(Overlaps.joined(parts).partners(0.1), Overlaps.of(*sections).partners(0.1), strict=True):
        np.testing.assert_array_equal(one, other)


@given(arrays.arrays(np.uint16, (3, 4, 4), elements=st.integers(0, 3)))
def test_numbers_apart_are_in_one_section_and_keep_its_objects(sections):
    apart = number_apart(sections)
    rows = [set(np.unique(section)) - {0} for section in apart]
    assert [len(row) for row in rows] == [len(set(np.unique(section)) - {0}) for section in sections]
    assert sorted(number for row in rows for number in row) == list(range(1, apart.max() + 1))
    assert ((apart > 0) == (sections > 0)).all()


def test_wrong_input_is_refused():
    with pytest.raises(LabelError, match="integers"):
        link_slices(np.zeros((2, 3, 3)))
    with pytest.raises(ShapeError, match="ZYX"):
        link_slices(np.zeros((3, 3), int))
    with pytest.raises(ConfigError, match="share"):
        link_slices(np.zeros((2, 3, 3), int), least_overlap=0)
    with pytest.raises(LabelError, match="integers"):
        number_apart(np.zeros((2, 3, 3)))
