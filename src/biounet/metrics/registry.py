"""`METRICS`: the table of metrics, each of which counts image by image and scores any number of images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.metrics.cell_tracking import DetectionCosts, detection_costs, reference_jaccards
from biounet.metrics.checks import as_probabilities
from biounet.metrics.isbi2012.scores import SectionCounts, count_section, pixel_counts, pool_pixels, pool_sections
from biounet.metrics.isbi2012.sections import sections
from biounet.metrics.matching import match_objects
from biounet.metrics.objects import (
    IOU_THRESHOLDS,
    Detection,
    ObjectErrors,
    Panoptic,
    aggregated_jaccard,
    object_errors,
    panoptic,
)
from biounet.metrics.overlap import ClassScores, confusion, dice_per_class, mask_counts, share
from biounet.metrics.partition import adapted_rand, variation_of_information
from biounet.metrics.surface_distance import hausdorff95, mean_surface_distance
from biounet.metrics.thresholds import Sweep

__all__ = ["METRICS", "MetricGroup"]


Count = Callable[[np.ndarray, np.ndarray, Sequence[float]], Any]
"""Truth, result, micrometres per pixel and axis -> counts of one image."""


@dataclass(frozen=True)
class MetricGroup:
    """Metrics that share one count per image.

    Attributes
    ----------
    count : from truth, result and spacing of one image
        The numbers from which `score` follows; they add up over images.
    score : from the counts of some images
        Name to value; NaN where a score is undefined.
    confusion : from the counts of some images
        Pixels of each true class (row) given each class (column), where classes were counted.
    sweep : from the counts of some images
        Name to the score at every threshold, where there are thresholds.
    planar : bool
        Z is a stack of sections, each of which is an image. Otherwise it is an axis of a volume.

    Examples
    --------
    >>> group = METRICS["objects"]
    >>> counts = [group.count(np.array([[1, 0, 2]]), np.array([[3, 0, 0]]), (1, 1))]
    >>> scores = group.score(counts)
    >>> scores["average_precision"], scores["missed"]
    (0.5, 1.0)
    """

    count: Count
    score: Callable[[Sequence[Any]], dict[str, float]]
    sweep: Callable[[Sequence[Any]], dict[str, Sweep]] = lambda counts: {}
    confusion: Callable[[Sequence[Any]], NDArray[np.int64] | None] = lambda counts: None
    planar: bool = False


def _count_isbi(truth: np.ndarray, result: np.ndarray, spacing: Sequence[float]) -> list[SectionCounts]:
    return [count_section(section) for section in sections(truth, result)]


def _sweep_isbi(counts: Sequence[list[SectionCounts]]) -> dict[str, Sweep]:
    return dict(pool_sections(list(chain.from_iterable(counts))))


def _score_isbi(counts: Sequence[list[SectionCounts]]) -> dict[str, float]:
    """The five scores of the leaderboard, then their parts."""
    sweeps = _sweep_isbi(counts)
    scores = {name: sweep.best for name, sweep in sweeps.items()}
    for name in ("rand_error", "v_rand", "v_info"):
        scores |= {f"{name}_{part}": value for part, value in sweeps[name].best_parts.items()}
    for part in ("splits", "merges"):
        scores[f"warping_{part}"] = sweeps["warping_error"].best_parts[part]
    return scores


@dataclass(frozen=True)
class _MaskCounts:
    """Pixels of the foreground, and for probabilities at every threshold."""

    pixels: NDArray[np.int64]
    at_thresholds: list[tuple[NDArray[np.int64], int]]


def _count_overlap(truth: np.ndarray, result: np.ndarray, spacing: Sequence[float]) -> _MaskCounts:
    """Counts of the foreground: labels above 0, probabilities above 0.5."""
    if result.dtype.kind != "f":
        return _MaskCounts(mask_counts(truth, result), [])
    parts = [(pixel_counts(section), section.pixels) for section in sections(truth, result)]
    return _MaskCounts(mask_counts(truth, as_probabilities(result) > 0.5), parts)


def _sweep_overlap(counts: Sequence[_MaskCounts]) -> dict[str, Sweep]:
    parts = list(chain.from_iterable(count.at_thresholds for count in counts))
    return {"pixel_error": pool_pixels(*zip(*parts, strict=True))} if parts else {}


def _score_overlap(counts: Sequence[_MaskCounts]) -> dict[str, float]:
    """Scores of the pixels of all images together."""
    both, truth, found, known = np.sum([count.pixels for count in counts], axis=0)
    scores = {
        "iou": share(both, truth + found - both),
        "dice": share(2 * both, truth + found),
        "accuracy": share(known - truth - found + 2 * both, known),
    }
    for sweep in _sweep_overlap(counts).values():
        scores |= {"pixel_error": sweep.best, "wrong_pixels": float(sweep.parts["wrong_pixels"].min())}
    return scores


def _confuse_masks(counts: Sequence[_MaskCounts]) -> NDArray[np.int64]:
    """Pixels of background and foreground given each."""
    both, truth, found, known = np.sum([count.pixels for count in counts], axis=0)
    return np.array([[known - truth - found + both, found - both], [truth - both, both]], np.int64)


def _count_classes(truth: np.ndarray, result: np.ndarray, spacing: Sequence[float]) -> NDArray[np.int64]:
    return confusion(truth, result)


def _confuse_classes(counts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Pixels of each class given each."""
    total = np.zeros((max(map(len, counts)),) * 2, np.int64)
    for matrix in counts:
        total[: len(matrix), : len(matrix)] += matrix
    return total


def _score_classes(counts: Sequence[NDArray[np.int64]]) -> dict[str, float]:
    """Scores of the pixels of all images together."""
    total = _confuse_classes(counts)
    scores = ClassScores(total)
    named = {"class_accuracy": scores.accuracy, "mean_iou": scores.mean_iou, "mean_dice": scores.mean_dice}
    named |= {f"iou_{number}": float(value) for number, value in enumerate(scores.iou)}
    return named | dice_per_class(total)


ERRORS = tuple(field.name for field in fields(ObjectErrors))
# Columns of the counts of objects; true positives at each IoU threshold follow.
OBJECT_COLUMNS = ("truth", "result", "aji_shared", "aji_union", *ERRORS, "iou", "pairs")


def _count_objects(truth: np.ndarray, result: np.ndarray, spacing: Sequence[float]) -> NDArray[np.float64]:
    matching = match_objects(truth, result)
    wrong, pq = object_errors(matching), panoptic(matching)
    numbers = [len(matching.truth_pixels), len(matching.result_pixels), *aggregated_jaccard(matching)]
    numbers += astuple(wrong)
    found = [matching.true_positives(threshold) for threshold in IOU_THRESHOLDS]
    return np.array([*numbers, pq.iou_sum, pq.found.true_positives, *found], float)


def _detections(counts: Sequence[NDArray[np.float64]]) -> list[Detection]:
    """Detections at each IoU threshold in all images together."""
    total = np.sum(counts, axis=0).astype(int)
    return [Detection(int(n), int(total[1] - n), int(total[0] - n)) for n in total[len(OBJECT_COLUMNS) :]]


def _sweep_objects(counts: Sequence[NDArray[np.float64]]) -> dict[str, Sweep]:
    values = np.array([found.average_precision for found in _detections(counts)])
    return {"average_precision": Sweep(values, IOU_THRESHOLDS, "max")}


def _score_objects(counts: Sequence[NDArray[np.float64]]) -> dict[str, float]:
    """Scores of the objects of all images together."""
    total = dict(zip(OBJECT_COLUMNS, np.sum(counts, axis=0).tolist(), strict=False))
    found = _detections(counts)
    pairs = int(total["pairs"])
    pq = Panoptic(total["iou"], Detection(pairs, int(total["result"]) - pairs, int(total["truth"]) - pairs))
    return {
        "average_precision": found[0].average_precision,
        "average_precision_50_90": float(np.mean([each.average_precision for each in found[:-1]])),
        "average_precision_50_95": float(np.mean([each.average_precision for each in found])),
        "f1": found[0].f1,
        "precision": found[0].precision,
        "recall": found[0].recall,
        "panoptic_quality": pq.quality,
        "segmentation_quality": pq.segmentation,
        "recognition_quality": pq.recognition,
        "aggregated_jaccard": share(total["aji_shared"], total["aji_union"]),
        **{name: total[name] for name in ERRORS},
        "objects": total["truth"],
        "objects_predicted": total["result"],
        "objects_found": float(found[0].true_positives),
    }


@dataclass(frozen=True)
class _SegCounts:
    """Jaccard index of each reference object, number of predicted objects, and errors."""

    jaccards: NDArray[np.float64]
    predicted: int
    wrong: ObjectErrors


def _count_seg(truth: np.ndarray, result: np.ndarray, spacing: Sequence[float]) -> _SegCounts:
    matching = match_objects(truth, result)
    return _SegCounts(reference_jaccards(matching), len(matching.result_pixels), object_errors(matching))


def _score_seg(counts: Sequence[_SegCounts]) -> dict[str, float]:
    """SEG over the reference objects of all frames, and the errors in all of them."""
    jaccards = np.concatenate([count.jaccards for count in counts])
    nothing = np.nan if any(count.predicted for count in counts) else 1.0
    mean = float(jaccards.mean()) if jaccards.size else nothing
    return {"seg": mean} | {name: float(sum(getattr(count.wrong, name) for count in counts)) for name in ERRORS}


def _count_det(truth: np.ndarray, result: np.ndarray, spacing: Sequence[float]) -> DetectionCosts:
    return detection_costs(match_objects(truth, result))


def _score_det(counts: Sequence[DetectionCosts]) -> dict[str, float]:
    """DET of the operations in all frames together."""
    total = DetectionCosts(*np.sum([astuple(costs) for costs in counts], axis=0).tolist())
    operations = {"det_merges": total.splits, "det_missed": total.missed, "det_false": total.false}  # merged: to split
    return {"det": total.score} | {name: float(count) for name, count in operations.items()}


def _count_partition(truth: np.ndarray, result: np.ndarray, spacing: Sequence[float]) -> dict[str, float]:
    rand, information = adapted_rand(truth, result), variation_of_information(truth, result)
    return {
        "adapted_rand_error": rand.value,
        "adapted_rand_split": rand.split,
        "adapted_rand_merge": rand.merge,
        "variation_of_information": information.value,
        "information_split": information.split,
        "information_merge": information.merge,
    }


def _count_distance(truth: np.ndarray, result: np.ndarray, spacing: Sequence[float]) -> dict[str, float]:
    masks = (truth, as_probabilities(result) > 0.5) if result.dtype.kind == "f" else (truth, result)
    scores = {
        "hausdorff95": hausdorff95(*masks, spacing=spacing),
        "mean_surface_distance": mean_surface_distance(*masks, spacing=spacing),
    }
    return {name: value if np.isfinite(value) else np.nan for name, value in scores.items()}


def _mean_scores(counts: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each score over the images where it is defined; NaN if it is defined for none."""
    columns = {name: np.array([count[name] for count in counts]) for name in counts[0]}
    defined = {name: values[~np.isnan(values)] for name, values in columns.items()}
    return {name: float(values.mean()) if values.size else np.nan for name, values in defined.items()}


METRICS: Mapping[str, MetricGroup] = MappingProxyType(
    {
        "isbi2012": MetricGroup(_count_isbi, _score_isbi, _sweep_isbi, planar=True),
        "overlap": MetricGroup(_count_overlap, _score_overlap, _sweep_overlap, _confuse_masks, planar=True),
        "classes": MetricGroup(_count_classes, _score_classes, confusion=_confuse_classes, planar=True),
        "objects": MetricGroup(_count_objects, _score_objects, _sweep_objects),
        "seg": MetricGroup(_count_seg, _score_seg),
        "det": MetricGroup(_count_det, _score_det),
        "partition": MetricGroup(_count_partition, _mean_scores),
        "distance": MetricGroup(_count_distance, _mean_scores),
    }
)
"""Name of a group of metrics, as ``--metrics`` takes it -> its count and its scores."""
