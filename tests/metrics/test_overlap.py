"""Overlap of masks and classes, partitions and the contingency table, by hand and against scikit-image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.metrics import adapted_rand_error
from skimage.metrics import variation_of_information as their_information

from biounet.core.errors import LabelError, ShapeError
from biounet.core.labels import IGNORE
from biounet.metrics import (
    accuracy,
    adapted_rand,
    adjusted_rand_index,
    class_scores,
    confusion,
    dice,
    iou,
    overlap_table,
    variation_of_information,
)

label_images = hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3))


@st.composite
def pairs(draw) -> tuple[np.ndarray, np.ndarray]:
    truth = draw(label_images)
    return truth, draw(hnp.arrays(np.int64, truth.shape, elements=st.integers(0, 3)))


@given(pairs(), st.sampled_from([1, 10**6, 10**12]))
def test_table_equals_counting_pair_by_pair(pair, scale):
    truth, result = pair[0] * scale - 1, pair[1] * scale
    table = overlap_table(truth, result)
    rows = zip(table.truth_labels[table.truth], table.result_labels[table.result], table.pixels, strict=True)
    ours = {(int(i), int(j)): int(n) for i, j, n in rows}
    values, counts = np.unique(np.stack([truth.ravel(), result.ravel()]), axis=1, return_counts=True)
    assert ours == {(i, j): n for (i, j), n in zip(values.T.tolist(), counts.tolist(), strict=True) if i >= 0}


def test_masks_by_hand():
    truth, result = np.array([[1, 1, 1, 0, 0, -1]]), np.array([[0, 1, 1, 1, 0, 1]])
    assert iou(truth, result) == 2 / 4
    assert dice(truth, result) == 4 / 6
    assert dice(truth * 255, result.astype(bool)) == 4 / 6


def test_nothing_in_either_mask_is_perfect():
    nothing, something = np.zeros(4, bool), np.ones(4, bool)
    assert iou(nothing, nothing) == dice(nothing, nothing) == 1
    assert iou(nothing, something) == dice(something, nothing) == 0
    assert iou(np.full(4, IGNORE), something) == accuracy(np.full(4, IGNORE), something) == 1


def test_classes_by_hand():
    truth, result = np.array([0, 0, 1, 1, 1, 3, -1]), np.array([0, 1, 1, 1, 0, 3, 2])
    scores = class_scores(truth, result)
    assert scores.confusion.tolist() == [[1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert scores.accuracy == accuracy(truth, result) == 4 / 6
    assert scores.iou == pytest.approx([1 / 3, 2 / 4, np.nan, 1], nan_ok=True)
    assert scores.dice == pytest.approx([2 / 4, 4 / 6, np.nan, 1], nan_ok=True)
    assert scores.mean_iou == pytest.approx((1 / 3 + 1 / 2 + 1) / 3)
    assert confusion(truth, result, classes=5).shape == (5, 5)


def test_classes_beyond_the_matrix_are_refused():
    with pytest.raises(LabelError, match="below 3, got 3"):
        confusion(np.array([0, 1]), np.array([0, 3]), classes=3)
    with pytest.raises(LabelError, match="below 1000"):
        confusion(np.array([0, 1]), np.array([0, 10**6]))


@given(pairs())
def test_dice_and_iou_tell_the_same(pair):
    jaccard = iou(*pair)
    assert dice(*pair) == pytest.approx(2 * jaccard / (1 + jaccard))
    assert dice(*pair) == dice(*pair[::-1]) == dice(pair[0].T, pair[1].T)


@given(pairs())
def test_swapping_transposes_the_confusion_matrix(pair):
    matrix = confusion(*pair, classes=4)
    assert (confusion(*pair[::-1], classes=4) == matrix.T).all()
    assert (confusion(pair[0].T, pair[1].T, classes=4) == matrix).all()
    assert matrix.sum() == pair[0].size


@given(pairs())
def test_variation_of_information_equals_scikit_image(pair):
    ours = variation_of_information(*pair)
    split, merge = their_information(*pair)
    assert (ours.split, ours.merge) == pytest.approx((split, merge), abs=1e-12)
    assert ours.value == pytest.approx(split + merge, abs=1e-12)


def test_adapted_rand_equals_scikit_image():
    rng = np.random.default_rng(3)
    truth, result = rng.integers(0, 5, (2, 40, 50))
    ours = adapted_rand(truth, result)
    error, *parts = adapted_rand_error(truth, result)
    assert ours.value == pytest.approx(error)
    assert sorted([ours.split, ours.merge]) == pytest.approx(sorted(parts))
    assert ours.merge > ours.split, "four true objects are cut in five"


def test_adjusted_rand_index_by_hand():
    # Hubert and Arabie 1985: of 6 pairs of foreground pixels, 2 are together in the truth, 3 in the result, 1 in both.
    truth, result = np.array([0, 0, 1, 1, 2, 2]), np.array([7, 7, 7, 7, 7, 3])
    assert adjusted_rand_index(truth, result) == pytest.approx((1 - 2 * 3 / 6) / (2.5 - 2 * 3 / 6))
    # With the background: 15 pairs, 3 together in the truth, 10 in the result, 2 in both.
    assert adjusted_rand_index(truth, result, background=True) == pytest.approx((2 - 2) / (6.5 - 2))
    assert adjusted_rand_index(truth, np.array([9, 0, 4, 4, 5, 5])) == 1, "what the background is called is not scored"


@given(pairs())
def test_adjusted_rand_index_equals_counting_pairs(pair):
    truth, result = (labels.ravel() for labels in pair)
    i, j = np.triu_indices(truth.size, 1)
    same_truth, same_result = truth[i] == truth[j], result[i] == result[j]
    by_chance = same_truth.sum() * same_result.sum() / max(i.size, 1)
    most = (same_truth.sum() + same_result.sum()) / 2
    expected = 1 if most == by_chance else ((same_truth & same_result).sum() - by_chance) / (most - by_chance)
    assert adjusted_rand_index(*pair, background=True) == pytest.approx(expected, abs=1e-9)


@given(pairs())
def test_partition_scores_know_no_numbers_and_no_order(pair):
    for score in (adapted_rand, variation_of_information):
        straight, swapped = (score(*each, background=True) for each in (pair, pair[::-1]))
        assert (straight.split, straight.merge) == pytest.approx((swapped.merge, swapped.split))
        renumbered = score(7 - pair[0], (pair[1] + 1) * 1000, background=True)
        assert renumbered.value == pytest.approx(straight.value)
        assert score(pair[0], pair[0]).value == pytest.approx(0, abs=1e-12)


@given(pairs(), st.data())
def test_ignored_pixels_are_never_scored(pair, data):
    truth, result = pair
    unknown = data.draw(hnp.arrays(bool, truth.shape))
    other = data.draw(hnp.arrays(np.int64, truth.shape, elements=st.integers(0, 9)))
    marked, changed = np.where(unknown, IGNORE, truth), np.where(unknown, other, result)
    for score in (iou, dice, accuracy, adapted_rand, adjusted_rand_index, variation_of_information):
        assert score(marked, changed) == score(marked, result)


@pytest.mark.parametrize(
    "score", [iou, dice, accuracy, confusion, adapted_rand, adjusted_rand_index, variation_of_information]
)
def test_bad_input_is_refused(score):
    labels = np.ones((2, 3), int)
    with pytest.raises(LabelError, match="float32"):
        score(labels, labels.astype(np.float32))
    with pytest.raises(LabelError, match="negative"):
        score(labels, -labels)
    with pytest.raises(ShapeError, match="same shape"):
        score(labels, labels.T)
    with pytest.raises(ShapeError, match="at least one pixel"):
        score(labels[:0], labels[:0])
