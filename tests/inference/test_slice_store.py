"""Sections of a stack on disk: numbers that go on, links, and what is missing."""

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import OutputError
from biounet.inference.slice_store import Section

BOXES = [Box((0, 0), (1, 3)), Box((0, 3), (1, 6))]


def numbered(folder, frame, row, *, first=False, link=False):
    """The numbers in the stack of a section of one row."""
    section = Section(folder, frame, first, BOXES)
    for box in BOXES:
        section.write(box, np.array([row], np.uint32)[box.slices])
    section.number(max(row), link=link)
    return np.concatenate([section.read(box) for box in BOXES], axis=1)[0].tolist()


def test_numbers_go_on_over_a_section_without_objects(tmp_path):
    assert numbered(tmp_path, 0, [1, 1, 0, 2, 0, 3], first=True) == [1, 1, 0, 2, 0, 3]
    assert numbered(tmp_path, 1, [0] * 6) == [0] * 6
    assert numbered(tmp_path, 2, [1, 0, 0, 2, 2, 0]) == [4, 0, 0, 5, 5, 0]
    assert numbered(tmp_path, 3, [1, 0, 0, 0, 0, 0], first=True) == [1, 0, 0, 0, 0, 0], "of the next time point"


def test_objects_across_regions_are_linked(tmp_path):
    assert numbered(tmp_path, 0, [0, 1, 1, 1, 0, 2], first=True, link=True) == [0, 1, 1, 1, 0, 2]
    assert numbered(tmp_path, 1, [1, 0, 2, 2, 2, 0], link=True) == [3, 0, 1, 1, 1, 0]
    assert numbered(tmp_path, 2, [1, 0, 0, 0, 0, 2], link=True) == [3, 0, 0, 0, 0, 4], "section 1 ended object 2"


def test_only_what_is_above_is_forgotten(tmp_path):
    for frame in range(2):
        numbered(tmp_path, frame, [1] * 6, first=frame == 0, link=True)
    section = Section(tmp_path, 1, False, BOXES)
    section.forget_above()
    section.forget_above()
    assert section.read(BOXES[0]).tolist() == [[1, 1, 1]]
    with pytest.raises(KeyError):
        Section(tmp_path, 0, True, BOXES).read(BOXES[0])
    assert numbered(tmp_path, 2, [0, 0, 1, 1, 1, 1], link=True) == [0, 0, 1, 1, 1, 1]
    Section(tmp_path, 2, True, BOXES).forget_above()  # that of another time point
    with pytest.raises(KeyError):
        section.read(BOXES[0])


def test_a_missing_section_is_said(tmp_path):
    with pytest.raises(OutputError, match="section 3 of an earlier run are missing; give --overwrite"):
        numbered(tmp_path, 4, [1] * 6)
