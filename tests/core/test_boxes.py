"""Boxes around what is there: by hand, and as laws."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from biounet.core.boxes import Box, covering_boxes


def read(box: Box, margin: tuple[float, ...], shape: tuple[int, ...]) -> float:
    """Elements to read for a box, counted one by one and in parts along each axis."""
    return float(np.prod([
        sum(max(min(at + 1, stop + more) - max(at, start - more), 0) for at in range(size))
        for start, stop, more, size in zip(box.start, box.stop, margin, shape, strict=True)
    ]))  # fmt: skip


@given(st.data())
def test_everything_is_in_one_box_and_no_more_is_read_than_for_one_box_around_all(data):
    there = data.draw(arrays.arrays(bool, st.tuples(*[st.integers(1, 6)] * data.draw(st.integers(1, 3)))))
    margin = tuple(data.draw(st.sampled_from([0.0, 0.5, 2.0])) for _ in there.shape)
    boxes = covering_boxes(there, margin)
    held = np.zeros(there.shape, int)
    for box in boxes:
        held[box.slices] += 1
        for axis in range(there.ndim):
            assert there[box.slices].take([0, -1], axis).any(axis=tuple({*range(there.ndim)} - {axis})).all()
    assert held.max(initial=0) <= 1
    assert held[there].all()
    assert len(boxes) <= 1 or sum(read(box, margin, there.shape) for box in boxes) < read(
        Box(*(tuple(ends) for ends in (np.argwhere(there).min(axis=0), np.argwhere(there).max(axis=0) + 1))),
        margin,
        there.shape,
    )


def test_what_stands_in_two_corners_is_read_in_two_boxes():
    there = np.zeros((9, 9), bool)
    there[0, 0] = there[8, 7:] = True
    boxes = covering_boxes(there, (1, 1))
    assert boxes == [Box((0, 0), (1, 1)), Box((8, 7), (9, 9))]  # reads 4 and 6 in place of 81


def test_nothing_needs_no_box():
    assert covering_boxes(np.zeros((3, 4), bool), (1, 1)) == []
