"""Edits: each does to the labels what it says, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.errors import LabelError
from biounet.workspace.edit import Edit
from biounet.workspace.edits import EDITS, Canvas, filled, object_at, stroke

TWO = np.array(
    [
        [-1, -1, -1, -1, -1, -1],
        [-1, 1, 1, 2, 2, -1],
        [-1, 1, 1, 2, 2, -1],
        [-1, -1, -1, -1, -1, 0],
    ],
    np.int32,
)


def edited(labels, edit, *, predicted=None, numbered=True):
    guess = np.full_like(labels, -1) if predicted is None else predicted
    number = int(labels.max()) + 1
    canvas = Canvas(labels.shape, lambda box: labels[box.slices], lambda box: guess[box.slices], number, numbered)
    result = labels.copy()
    for box, after in EDITS[edit.kind](edit, canvas):
        result[box.slices] = after
    return result


def test_a_new_object_does_not_cover_others_unless_it_shall():
    line = ((1.5, 0.5), (1.5, 5.5))
    beside = edited(TWO, Edit(kind="paint", points=line))
    assert beside[1].tolist() == [3, 1, 1, 2, 2, 3]
    over = edited(TWO, Edit(kind="paint", points=line, over=True))
    assert over[1].tolist() == [3] * 6


def test_a_stroke_that_begins_on_an_object_adds_to_it():
    under = edited(TWO, Edit(kind="paint", label="under", points=((1.5, 4.5), (1.5, 5.5))))
    assert under[1].tolist() == [-1, 1, 1, 2, 2, 2]
    for start in ((0.5, 5.5), (-3.0, 5.5)):
        beside = edited(TWO, Edit(kind="paint", label="under", points=(start, (0.5, 5.5))))
        assert beside[0, 5] == 3


def test_background_covers_objects_only_if_it_shall_and_unknown_is_unknown_again():
    assert edited(TWO, Edit(kind="paint", points=((1.5, 1.5),), label=0))[1, 1] == 0
    assert edited(TWO, Edit(kind="paint", points=((1.5, 1.5),), label=-1))[1, 1] == -1


def test_classes_cover_each_other():
    painted = edited(TWO, Edit(kind="paint", points=((1.5, 1.5),), label=2), numbered=False)
    assert painted[1, 1] == 2


def test_merged_objects_have_the_number_of_the_first():
    merged = edited(TWO, Edit(kind="merge", points=((1.5, 3.5), (2.5, 1.5))))
    assert merged[1:3, 1:5].tolist() == [[2] * 4] * 2


def test_a_line_cuts_an_object_in_two_and_takes_nothing_of_it():
    bar = np.zeros((5, 12), np.int32)
    bar[1:4, 1:11] = 7
    cut = edited(bar, Edit(kind="split", points=((0.5, 4.5), (4.5, 4.5)), radius=0.75))
    assert set(np.unique(cut)) == {0, 7, 8}
    assert ((cut > 0) == (bar > 0)).all()
    assert (cut == 7).sum() > (cut == 8).sum()


def test_a_deleted_object_is_background_and_a_predicted_one_too():
    assert edited(TWO, Edit(kind="delete", points=((1.5, 1.5),)))[1:3, 1:3].tolist() == [[0, 0], [0, 0]]
    guess = np.full_like(TWO, -1)
    guess[0, :2] = 5
    after = edited(TWO, Edit(kind="delete", points=((0.5, 0.5),)), predicted=guess)
    assert after[0].tolist() == [0, 0, -1, -1, -1, -1]


def test_a_predicted_object_that_is_right_becomes_one_that_is_drawn():
    guess = np.where(TWO == -1, 0, -1).astype(np.int32)
    guess[0, 2:4] = 9
    after = edited(TWO, Edit(kind="right", points=((0.5, 2.5),)), predicted=guess)
    assert after[0].tolist() == [-1, -1, 3, 3, -1, -1]


def test_accepting_fills_what_is_unknown_and_leaves_out_objects_that_are_drawn_already():
    guess = np.zeros_like(TWO)
    guess[1:3, 1:3] = 4  # is drawn as 1
    guess[0, 4:6] = 5
    after = edited(TWO, Edit(kind="accept"), predicted=guess)
    assert (after[TWO >= 0] == TWO[TWO >= 0]).all()
    assert after[0].tolist() == [0, 0, 0, 0, 3, 3]
    assert (after >= 0).all()


def test_finishing_makes_the_rest_of_a_region_background():
    after = edited(TWO, Edit(kind="finish", box=(0, 0, 2, 3)))
    assert after[:2, :3].tolist() == [[0, 0, 0], [0, 1, 1]]
    assert (after[2:] == TWO[2:]).all()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Edit(kind="merge", points=((1.5, 1.5), (2.5, 1.5))), "one object already"),
        (Edit(kind="merge", points=((0.5, 0.5), (2.5, 1.5))), "objects that are drawn"),
        (Edit(kind="split", points=((0.5, 0.5), (0.5, 4.5))), "crosses no object"),
        (Edit(kind="split", points=((1.5, 1.2), (1.5, 1.4))), "does not cut"),
        (Edit(kind="delete", points=((0.5, 0.5),)), "no object at this point"),
        (Edit(kind="right", points=((0.5, 0.5),)), "no object is predicted"),
        (Edit(kind="delete", points=((90, 0.5),)), "outside"),
        (Edit(kind="finish", box=(90, 90, 99, 99)), "outside"),
        (Edit(kind="accept"), "no prediction"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused_in_words(edit, message):
    with pytest.raises(LabelError, match=message):
        edited(TWO, edit)


points = st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 25)), min_size=1, max_size=6)


@given(points, st.floats(0.5, 6))
def test_a_stroke_covers_the_pixels_near_its_line_and_no_others(line, radius):
    box, mask = stroke(line, radius, (20, 20))
    whole = np.zeros((20, 20), bool)
    whole[box.slices] = mask
    y, x = np.mgrid[:20, :20] + 0.5
    near = np.full((20, 20), np.inf)
    for (y0, x0), (y1, x1) in zip(line, line[1:] or line, strict=False):
        length = max((y1 - y0) ** 2 + (x1 - x0) ** 2, 1e-12)
        share = np.clip(((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / length, 0, 1)
        near = np.minimum(near, np.hypot(y - y0 - share * (y1 - y0), x - x0 - share * (x1 - x0)))
    assert whole[near < radius - 1e-6].all()
    under = {(int(np.floor(a)), int(np.floor(b))) for a, b in line}
    for at in np.argwhere(whole & (near > radius + 1e-6)):
        assert tuple(at) in under  # the pixel under the brush


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), min_size=3, max_size=8))
def test_a_closed_line_is_filled_as_ray_casting_says(line):
    box, mask = filled(line, (20, 20))
    whole = np.zeros((20, 20), bool)
    whole[box.slices] = mask
    for y, x in [(3, 3), (10, 10), (15, 4), (19, 19)]:
        crossings = 0
        for (y0, x0), (y1, x1) in zip(line, [*line[1:], line[0]], strict=True):
            if (y0 > y + 0.5) != (y1 > y + 0.5):
                at = x0 + (y + 0.5 - y0) * (x1 - x0) / (y1 - y0)
                if abs(at - x - 0.5) < 1e-6:
                    return  # on the line: either will do
                crossings += at < x + 0.5
        if all(abs(y + 0.5 - each) > 1e-6 for each, _ in line):
            assert whole[y, x] == bool(crossings % 2)


def test_an_object_is_found_whole_however_large_it_is():
    labels = np.zeros((700, 900), np.int32)
    labels[10:650, 20:40] = 3
    labels[640:650, 20:880] = 3
    label, box = object_at((12, 22), lambda at: labels[at.slices], labels.shape)
    assert (label, box.start, box.stop) == (3, (10, 20), (650, 880))
