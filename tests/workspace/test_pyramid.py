"""Smaller copies of a plane: they are made once, and anew where the note of it is of another plane or damaged."""

import numpy as np
import pytest

from biounet.workspace.pyramid import Pyramid

PLANE = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)


def pyramid(folder, levels=2):
    return Pyramid(folder, PLANE.shape, PLANE.dtype, levels, lambda box: PLANE[:, *box.slices])


def test_copies_are_made_once(tmp_path):
    assert list(pyramid(tmp_path).make()) == [1.0]
    assert pyramid(tmp_path).ready(1)
    assert list(pyramid(tmp_path).make()) == []
    assert not pyramid(tmp_path, levels=3).ready(1)


@pytest.mark.parametrize("note", ["", "{", "[]", '{"shape": [1, 8, 8]}', "[" * 10_000])
def test_copies_are_made_anew_if_their_note_is_damaged(tmp_path, note):
    list(pyramid(tmp_path).make())
    (tmp_path / "complete.json").write_text(note)
    again = pyramid(tmp_path)
    assert not again.ready(1)
    assert list(again.make()) == [1.0]
    assert pyramid(tmp_path).ready(1)
