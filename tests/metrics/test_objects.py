"""Object scores by hand, by brute force, and against py-ctcmetrics."""

import os
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biounet.core.errors import ConfigError, LabelError, ShapeError
from biounet.core.labels import IGNORE
from biounet.metrics import (
    IOU_THRESHOLDS,
    METRICS,
    Detection,
    ObjectErrors,
    aggregated_jaccard,
    average_precision,
    det,
    detection,
    match_objects,
    object_errors,
    panoptic,
    panoptic_quality,
    seg,
)
from biounet.metrics.cell_tracking import detection_costs

DATA = Path(os.environ.get("BIOUNET_DATA", "no-data"))
GOLD = DATA / "DIC-C2DH-HeLa" / "01_GT" / "SEG"
SILVER = DATA / "DIC-C2DH-HeLa" / "01_ST" / "SEG"

# Truth: an object of 6, one of 4, one of 2 pixels. Result: 4 of the 6, the 4 in halves, and one elsewhere.
TRUTH = np.array([[1, 1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 3, 3, 0, 0]])
RESULT = np.array([[5, 5, 5, 5, 0, 0, 0, 6, 6, 7, 7, 0, 0, 0, 0, 8]])

label_images = hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 4))


@st.composite
def pairs(draw) -> tuple[np.ndarray, np.ndarray]:
    truth = draw(label_images)
    return truth, draw(hnp.arrays(np.int64, truth.shape, elements=st.integers(0, 4)))


def masks(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == number for number in np.unique(labels[labels > 0])]


def brute_iou(truth: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs, one by one."""
    table = [[(a & b).sum() / (a | b).sum() for b in masks(result)] for a in masks(truth)]
    return np.array(table).reshape(len(masks(truth)), len(masks(result)))


def brute_true_positives(iou: np.ndarray, threshold: float) -> int:
    """Most good pairs over all ways to assign objects one to one."""
    if iou.shape[0] > iou.shape[1]:
        iou = iou.T
    ways = permutations(range(iou.shape[1]), iou.shape[0])
    return max(sum(iou[i, j] >= threshold for i, j in enumerate(way)) for way in ways)


def test_matching_by_hand():
    matching = match_objects(TRUTH, RESULT)
    assert matching.truth_pixels.tolist() == [6, 4, 2]
    assert matching.result_pixels.tolist() == [4, 2, 2, 1]
    assert matching.iou.tolist() == [4 / 6, 0.5, 0.5]


def test_detection_by_hand():
    matching = match_objects(TRUTH, RESULT)
    found = detection(matching)  # the 6 at 2/3 and the 4 by one of its halves at 1/2
    assert found == Detection(true_positives=2, false_positives=2, false_negatives=1)
    assert (found.precision, found.recall, found.f1) == (2 / 4, 2 / 3, 4 / 7)
    assert average_precision(TRUTH, RESULT) == 2 / 5
    assert average_precision(TRUTH, RESULT, threshold=0.6) == 1 / 6
    assert average_precision(TRUTH, RESULT, threshold=0.7) == 0


def test_panoptic_quality_by_hand():
    scores = panoptic(match_objects(TRUTH, RESULT))  # only 2/3 is above one half
    assert scores.segmentation == 4 / 6
    assert scores.recognition == 2 / 7
    assert panoptic_quality(TRUTH, RESULT) == pytest.approx((4 / 6) / (1 + 3 / 2 + 2 / 2))


def test_aggregated_jaccard_by_hand():
    """Shared 4 + 2; unions 6 + 4 + the missed 2; unused results 2 + 1."""
    assert aggregated_jaccard(match_objects(TRUTH, RESULT)) == (6, 15)


def test_object_errors_by_hand():
    assert object_errors(match_objects(TRUTH, RESULT)) == ObjectErrors(splits=1, merges=0, missed=1, false=1)
    joined = np.where(TRUTH > 0, 1, 0)
    assert object_errors(match_objects(TRUTH, joined)) == ObjectErrors(splits=0, merges=1, missed=0, false=0)


def test_cell_tracking_scores_by_hand():
    assert seg(TRUTH, RESULT) == (4 / 6) / 3, "halves of the second cover exactly half, which is not enough"
    assert det(TRUTH, RESULT) == 1 - (10 * 2 + 3) / 30
    joined = np.where(TRUTH > 0, 1, 0)
    assert detection_costs(match_objects(TRUTH, joined)).splits == 2
    assert det(TRUTH, joined) == 1 - 10 / 30


def test_no_objects():
    nothing, something = np.zeros((3, 3), int), np.ones((3, 3), int)
    for score in (average_precision, panoptic_quality, seg, det):
        assert score(nothing, nothing) == 1
        assert score(something, nothing) == 0
    for score in (average_precision, panoptic_quality, det):
        assert score(nothing, something) == 0
    assert np.isnan(seg(nothing, something)), "SEG does not see objects beside the reference"
    assert aggregated_jaccard(match_objects(nothing, something)) == (0, 9)
    assert det(np.eye(2, dtype=int), np.array([[3, 4], [5, 0]])) == 0, "never below 0"


def test_objects_of_volumes():
    assert panoptic_quality(np.stack([TRUTH, TRUTH]), np.stack([RESULT, RESULT])) == panoptic_quality(TRUTH, RESULT)


def test_huge_labels_are_labels():
    assert seg(TRUTH * 10**9, RESULT.astype(np.uint64) * 10**12) == seg(TRUTH, RESULT)


@given(pairs(), st.sampled_from((0.1, 0.3, *IOU_THRESHOLDS)))
def test_detection_equals_brute_force(pair, threshold):
    iou = brute_iou(*pair)
    found = brute_true_positives(iou, threshold)
    false, missed = iou.shape[1] - found, iou.shape[0] - found
    assert detection(match_objects(*pair), threshold=threshold) == Detection(found, false, missed)


@given(pairs())
def test_panoptic_quality_equals_brute_force(pair):
    iou = brute_iou(*pair)
    total = sum(iou.shape) / 2  # TP + FP / 2 + FN / 2
    assert panoptic_quality(*pair) == pytest.approx(iou[iou > 0.5].sum() / total if total else 1)


@given(pairs())
def test_seg_and_aggregated_jaccard_equal_brute_force(pair):
    truth, result = masks(pair[0]), masks(pair[1])
    jaccards = [
        max([(a & b).sum() / (a | b).sum() for b in result if 2 * (a & b).sum() > a.sum()], default=0) for a in truth
    ]
    if truth:
        assert seg(*pair) == pytest.approx(np.mean(jaccards))
    iou = brute_iou(*pair)
    if np.unique(iou[iou > 0]).size == (iou > 0).sum():  # no ties
        shared = union = 0
        used = set()
        for i, row in enumerate(iou):
            if not row.any():
                union += truth[i].sum()
                continue
            used.add(row.argmax())
            shared += (truth[i] & result[row.argmax()]).sum()
            union += (truth[i] | result[row.argmax()]).sum()
        union += sum(mask.sum() for j, mask in enumerate(result) if j not in used)
        assert aggregated_jaccard(match_objects(*pair)) == (shared, union)


@given(label_images)
def test_perfect_is_perfect(labels):
    matching = match_objects(labels, labels)
    assert average_precision(labels, labels, threshold=1) == panoptic_quality(labels, labels) == 1
    assert seg(labels, labels) == det(labels, labels) == 1
    assert object_errors(matching) == ObjectErrors(0, 0, 0, 0)
    shared, union = aggregated_jaccard(matching)
    assert shared == union


def everything(truth: np.ndarray, result: np.ndarray) -> list:
    matching = match_objects(truth, result)
    found = [detection(matching, threshold=threshold) for threshold in IOU_THRESHOLDS]
    costs, quality = detection_costs(matching), pytest.approx(panoptic(matching).quality)
    return [
        found,
        quality,
        aggregated_jaccard(matching),
        object_errors(matching),
        costs,
        pytest.approx(seg(truth, result), nan_ok=True),
    ]


@given(pairs(), st.permutations(range(1, 5)), st.permutations(range(1, 5)))
def test_renumbering_changes_nothing(pair, first, second):
    renumbered = (np.array([0, *first])[pair[0]], np.array([0, *second])[pair[1]] * 1000)
    assert everything(*renumbered) == everything(*pair)


def wrong(group: str, *pairs: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """What `biounet evaluate` counts of some images."""
    scores = METRICS[group].score([METRICS[group].count(*pair, (1.0, 1.0)) for pair in pairs])
    return {name: scores[name] for name in ("splits", "merges", "missed", "false")}


@given(pairs(), pairs(), st.permutations(range(1, 5)))
def test_mistakes_add_up_over_images_whatever_the_numbers(first, second, order):
    for group in ("objects", "seg"):
        one, other = wrong(group, first), wrong(group, second)
        renumbered = (np.array([0, *order])[first[0]], first[1])
        assert wrong(group, renumbered, second) == {name: one[name] + other[name] for name in one}
        assert not any(wrong(group, (first[0], first[0]), (second[0], second[0])).values())


@given(pairs())
def test_turning_the_image_changes_nothing(pair):
    turned, straight = everything(pair[0].T, pair[1].T), everything(*pair)
    del turned[2], straight[2]  # ties of the aggregated Jaccard index go to the first in the image
    assert turned == straight


@given(pairs())
def test_swapping_truth_and_result_swaps_splits_and_merges(pair):
    straight, swapped = (object_errors(match_objects(*each)) for each in (pair, pair[::-1]))
    assert (straight.splits, straight.missed) == (swapped.merges, swapped.false)
    one, other = (detection(match_objects(*each)) for each in (pair, pair[::-1]))
    assert one.precision == other.recall
    assert panoptic_quality(*pair) == pytest.approx(panoptic_quality(*pair[::-1]))


@given(pairs(), st.data())
def test_ignored_pixels_are_never_scored(pair, data):
    truth, result = pair
    unknown = data.draw(hnp.arrays(bool, truth.shape))
    other = data.draw(hnp.arrays(np.int64, truth.shape, elements=st.integers(0, 6)))
    marked = np.where(unknown, IGNORE, truth)
    assert everything(marked, np.where(unknown, other, result)) == everything(marked, result)
    assert everything(marked, result) == everything(np.where(unknown, 0, truth), np.where(unknown, 0, result))


@pytest.mark.parametrize("score", [seg, det, average_precision, panoptic_quality])
def test_bad_input_is_refused(score):
    with pytest.raises(LabelError, match="float64"):
        score(TRUTH.astype(float), RESULT)
    with pytest.raises(LabelError, match="result labels must be integers"):
        score(TRUTH, RESULT.astype(float))
    with pytest.raises(LabelError, match="negative, got -1"):
        score(TRUTH, RESULT - 1)
    with pytest.raises(ShapeError, match=r"\(1, 16\).*\(16, 1\)"):
        score(TRUTH, RESULT.T)


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, np.nan])
def test_iou_thresholds_lie_between_0_and_1(threshold):
    with pytest.raises(ConfigError, match="IoU threshold"):
        average_precision(TRUTH, RESULT, threshold=threshold)


def made_up_results(truth: np.ndarray) -> dict[str, np.ndarray]:
    """What a network might do to the cells of a frame."""
    rows = np.arange(truth.shape[0])[:, None]
    numbers = np.unique(truth[truth > 0])
    joined = truth.copy()
    joined[joined == numbers[1]] = numbers[0]
    return {
        "same": truth,
        "shifted": np.roll(truth, (7, -12), axis=(0, 1)),
        "merged": joined,
        "all merged": (truth > 0).astype(truth.dtype),
        "split": np.where((rows % 60 < 25) & (truth > 0), truth + numbers.max(), truth).astype(truth.dtype),
        "eroded": np.where(np.roll(truth, 9, 0) == np.roll(truth, -9, 0), truth, 0),
        "empty": np.zeros_like(truth),
        "false": np.where((truth == 0) & (rows % 128 > 9), numbers.max() + 1 + rows // 128, truth).astype(truth.dtype),
    }


@pytest.mark.skipif(not GOLD.exists(), reason="no DIC-C2DH-HeLa in BIOUNET_DATA")
@pytest.mark.parametrize("frame", ["002", "039", "067"])
def test_seg_and_det_equal_py_ctcmetrics(frame, tmp_path):
    ctc = pytest.importorskip("ctc_metrics.utils.representations")
    from ctc_metrics.metrics.technical.det import det as their_det
    from ctc_metrics.metrics.technical.seg import seg as their_seg

    reference = GOLD / f"man_seg{frame}.tif"
    truth = tifffile.imread(reference)
    results = made_up_results(truth) | {"silver": tifffile.imread(SILVER / reference.name)}
    for name, result in results.items():
        path = tmp_path / f"mask{frame}.tif"
        tifffile.imwrite(path, result.astype(np.uint16))
        in_truth, in_result, matched, partners, ious = ctc.match(str(reference), str(path))
        assert seg(truth, result) == pytest.approx(their_seg([in_truth], [ious]), abs=1e-12), name
        splits, used = len(partners) - len(set(partners)), len(set(partners))
        missed, false = len(in_truth) - len(matched), len(in_result) - used
        theirs = their_det(NS=splits, FN=missed, FP=false, num_vertices=len(in_truth))
        assert det(truth, result) == pytest.approx(theirs, abs=1e-12), name
