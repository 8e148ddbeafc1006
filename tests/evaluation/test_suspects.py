"""Suspects by hand, and the law that the numbers of objects do not matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import Box
from biounet.evaluation.suspects import Suspect, Suspects, reliabilities, suspect_classes, suspect_objects

RULES = ObjectRules()


def suspects(truth, result, inside):
    inside = np.asarray(inside, float)[None]
    given = suspect_objects(np.array([truth]), np.array([result]), np.stack([1 - inside, inside]), RULES)
    return [(each.what, each.labels, each.certainty) for each in given.found]


def test_labels_that_the_network_sees_as_they_are_drawn_are_not_suspected():
    assert suspects([0, 3, 3, 0, 5, 5], [0, 9, 9, 0, 2, 2], [0, 1, 1, 0, 1, 1]) == []


def test_an_object_that_is_not_seen_is_as_sure_as_the_background_is_probable_in_it():
    assert suspects([0, 3, 3, 0], [0, 0, 0, 0], [0, 0.25, 0.5, 0]) == [("not seen", (3,), 0.625)]


def test_an_object_that_is_not_drawn_is_as_sure_as_the_foreground_is_probable_in_it():
    assert suspects([0, 0, 0, 0], [0, 4, 4, 0], [0, 0.75, 1, 0]) == [("not drawn", (), 0.875)]


def test_objects_are_seen_as_one_where_the_pass_between_their_summits_is_high():
    """Heights 1 + 254 p, rounded: 128 between 255 and 191."""
    ((what, labels, certainty),) = suspects([3, 3, 3, 5, 5, 0], [4, 4, 4, 4, 4, 0], [1, 0.75, 0.5, 0.625, 0.75, 0])
    assert (what, labels) == ("seen as one", (3, 5))
    assert certainty == pytest.approx(128 / 191)


def test_an_object_is_seen_as_several_where_the_pass_is_low():
    """Heights 1 + 254 p, rounded: 65 between 255 and 128."""
    ((what, labels, certainty),) = suspects([3, 3, 3, 3, 3], [4, 4, 0, 6, 6], [1, 1, 0.25, 0.5, 0.5])
    assert (what, labels) == ("seen as several", (3,))
    assert certainty == pytest.approx(1 - 65 / 128)


def test_an_object_drawn_beside_its_place_is_one_suspect():
    """Drawn at 0..3, seen at 2..5: IoU 1/3, and 4 of 6 pixels are contradicted."""
    ((what, labels, certainty),) = suspects([7, 7, 7, 7, 0, 0, 0], [0, 0, 4, 4, 4, 4, 0], [0, 0, 1, 1, 1, 1, 0])
    assert (what, labels) == ("seen elsewhere", (7,))
    assert certainty == pytest.approx(4 / 6)


def test_small_objects_are_less_sure():
    """Of 1, 4 and 4 pixels the first is not seen: the root of 1 / 4."""
    found = suspects(
        [1, 0, 2, 2, 2, 2, 0, 3, 3, 3, 3], [0, 0, 1, 1, 1, 1, 0, 2, 2, 2, 2], [0, 0, *4 * [1], 0, *4 * [1]]
    )
    assert found == [("not seen", (1,), 0.5)]


def test_nothing_is_suspected_of_unknown_pixels():
    assert suspects([-1, -1, -1, 0, 3], [4, 4, 4, 0, 9], [1, 1, 1, 0, 1]) == []


def test_the_place_is_the_middle_of_the_object_in_a_volume():
    truth = np.zeros((3, 9, 9), int)
    truth[1, 2:5, 4:9] = 6
    nothing = np.zeros((3, 9, 9))
    (found,) = suspect_objects(truth, np.zeros_like(truth), np.stack([1 - nothing, nothing]), RULES).found
    assert found == Suspect("not seen", (6,), 1.0, Box((1, 2, 4), (2, 5, 9)))
    assert found.place == (1, 3, 6)


def test_certainty_counts_less_where_the_network_often_differs():
    """Of 8 pairs that touch 5 are seen as one: (3 + 1) / (8 + 2)."""
    joined = [Suspect("seen as one", labels, 0.5, Box((0,), (1,))) for labels in [(1, 2, 3), (4, 5, 6, 7)]]
    share = reliabilities([Suspects(joined[:1], {"seen as one": 5}), Suspects(joined[1:], {"seen as one": 3})])
    assert share == {"seen as one": 0.4}
    assert joined[0].weighed(share).certainty == pytest.approx(0.2)


def test_pairs_that_touch_are_those_that_may_be_seen_as_one():
    truth = np.array([[1, 1, 2, 0, 0, 3, 0, 0, 0, 4]])
    given = suspect_objects(truth, np.zeros_like(truth), np.stack([np.ones((1, 10)), np.zeros((1, 10))]), RULES)
    assert given.possible["seen as one"] == 2
    assert given.possible["not seen"] == 4
    assert given.possible["not drawn"] == 0


def test_thin_differences_of_classes_along_outlines_are_no_suspects():
    truth = np.zeros((12, 12), int)
    truth[3:9, 3:9] = 1
    seen = np.zeros((12, 12))
    seen[4:9, 3:9] = 1
    probabilities = np.stack([1 - seen, seen])
    assert suspect_classes(truth, probabilities).found == []
    truth[:3, :3] = -1
    probabilities[:, :4, :4] = np.array([0.0, 1.0])[:, None, None]
    assert suspect_classes(truth, probabilities).found == []
    truth[9:, 9:] = 1
    (found,) = suspect_classes(truth, probabilities).found
    assert (found.what, found.labels, found.box) == ("another class", (1, 0), Box((9, 9), (12, 12)))
    assert found.certainty == 0  # a square of 3 pixels and no more
    assert found.said(["glia", "neuron"]) == "drawn as neuron, seen as glia"


@given(data=st.data())
def test_numbers_of_objects_do_not_matter(data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=8))
    truth, result = (data.draw(hnp.arrays(np.int64, shape, elements=st.integers(low, 4))) for low in (-1, 0))
    inside = data.draw(hnp.arrays(np.float64, shape, elements=st.integers(0, 4).map(lambda quarters: quarters / 4)))
    probabilities = np.stack([1 - inside, inside])
    names = np.array([0, 70, 3, 12, 5, -1])
    plain = suspect_objects(truth, result, probabilities, RULES)
    other = suspect_objects(names[truth], np.array([0, 9, 2, 400, 1])[result], probabilities, RULES)
    assert all(0 <= each.certainty <= 1 for each in plain.found)
    renamed = [(each.what, tuple(names[list(each.labels)]), each.certainty, each.box) for each in plain.found]
    assert [(each.what, each.labels, each.certainty, each.box) for each in other.found] == renamed
    assert other.possible == plain.possible
