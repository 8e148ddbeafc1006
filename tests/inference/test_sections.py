"""Numbers of objects in the sections of a stack: they go on, they are linked, and a missing section is said."""

import numpy as np
import pytest

from biounet.core.errors import OutputError
from biounet.inference.sections import number_section
from biounet.inference.tile_files import TileFiles


def files(folder, frame):
    """Files of a section of one row, in two tiles."""
    return TileFiles(folder, frame, shape=(1, 6), step=(1, 3), dtype=np.uint32)


def numbered(folder, frame, row, *, first=False, link=False):
    """The numbers in the stack of a section of one row."""
    section = files(folder, frame)
    for box in section.boxes:
        section.write(box, np.array([row])[box.slices])
    number_section(section, max(row), first=first, link=link)
    return np.concatenate([section.read(box) for box in section.boxes], axis=1)[0].tolist()


def test_numbers_go_on_over_a_section_without_objects(tmp_path):
    assert numbered(tmp_path, 0, [1, 1, 0, 2, 0, 3], first=True) == [1, 1, 0, 2, 0, 3]
    assert numbered(tmp_path, 1, [0] * 6) == [0] * 6
    assert numbered(tmp_path, 2, [1, 0, 0, 2, 2, 0]) == [4, 0, 0, 5, 5, 0]
    assert numbered(tmp_path, 3, [1, 0, 0, 0, 0, 0], first=True) == [1, 0, 0, 0, 0, 0], "of the next time point"


def test_objects_across_regions_are_linked(tmp_path):
    assert numbered(tmp_path, 0, [0, 1, 1, 1, 0, 2], first=True, link=True) == [0, 1, 1, 1, 0, 2]
    assert numbered(tmp_path, 1, [1, 0, 2, 2, 2, 0], link=True) == [3, 0, 1, 1, 1, 0]
    assert numbered(tmp_path, 2, [1, 0, 0, 0, 0, 2], link=True) == [3, 0, 0, 0, 0, 4], "section 1 ended object 2"


def test_a_section_needs_only_the_section_above(tmp_path):
    for frame in range(2):
        numbered(tmp_path, frame, [1] * 6, first=frame == 0, link=True)
    files(tmp_path, 0).forget()
    files(tmp_path, 0).forget()
    assert numbered(tmp_path, 2, [0, 0, 1, 1, 1, 1], link=True) == [0, 0, 1, 1, 1, 1]


def test_a_missing_section_is_said(tmp_path):
    with pytest.raises(OutputError, match="section 3 of an earlier run are missing; give --overwrite"):
        numbered(tmp_path, 4, [1] * 6)
