"""Scores of segmented objects: average precision, panoptic quality, AJI, splits and merges."""

from dataclasses import dataclass

import numpy as np

from biounet.core.errors import ConfigError
from biounet.metrics.matching import Matching, match_objects
from biounet.metrics.overlap import share

__all__ = [
    "FOUND",
    "IOU_THRESHOLDS",
    "Detection",
    "ObjectErrors",
    "Panoptic",
    "aggregated_jaccard",
    "average_precision",
    "detection",
    "object_errors",
    "panoptic",
    "panoptic_quality",
]


IOU_THRESHOLDS: tuple[float, ...] = tuple(step / 20 for step in range(10, 20))
"""0.5, 0.55, ... 0.95."""

FOUND = 0.5
"""Least IoU with an object of the other side at which an object is found, in training, evaluation and reports."""


@dataclass(frozen=True)
class Detection:
    """Numbers of true positive, false positive and false negative objects at one IoU threshold.

    Each share is 1 where there are no objects that it counts.

    >>> Detection(true_positives=2, false_positives=1, false_negatives=1).average_precision
    0.5
    """

    true_positives: int
    false_positives: int
    false_negatives: int

    def __add__(self, other: "Detection") -> "Detection":
        """The objects of two images together."""
        return Detection(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return share(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN)."""
        return share(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)


def detection(matching: Matching, *, threshold: float = FOUND) -> Detection:
    """True positive, false positive and false negative objects, from which precision, recall, F1 and AP follow.

    Parameters
    ----------
    matching : from `match_objects`
    threshold : in (0, 1]
        Least IoU of a pair that counts as found. Pairs are one to one, as many as possible.

    Raises
    ------
    ConfigError
        If the threshold is outside of (0, 1].

    Examples
    --------
    >>> detection(match_objects(np.array([1, 1, 1, 0, 2]), np.array([1, 1, 0, 0, 0])))
    Detection(true_positives=1, false_positives=0, false_negatives=1)
    """
    if not 0 < threshold <= 1:
        raise ConfigError(f"an IoU threshold must lie in 0..1, above 0, got {threshold}")
    found = matching.true_positives(threshold)
    return Detection(found, len(matching.result_pixels) - found, len(matching.truth_pixels) - found)


def average_precision(truth: np.ndarray, result: np.ndarray, *, threshold: float = 0.5) -> float:
    """Average precision of objects at one IoU threshold; 1 is perfect, 0 the worst.

    Parameters
    ----------
    truth, result
        Label images as in `match_objects`.
    threshold : in (0, 1]
        Least IoU of a pair that counts as found.

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape.
    ConfigError
        If the threshold is outside of (0, 1].

    Notes
    -----
    TP / (TP + FP + FN), the AP of the 2018 Data Science Bowl, StarDist and Cellpose (not the area under
    a curve). Pairs are one to one, as many as possible, which matters at 0.5 and below only.
    No objects in either image: 1.

    Examples
    --------
    >>> truth, result = np.array([1, 1, 1, 0, 2]), np.array([1, 1, 0, 0, 0])    # IoU 2/3, and one missed
    >>> average_precision(truth, result), average_precision(truth, result, threshold=0.75)
    (0.5, 0.0)
    """
    return detection(match_objects(truth, result), threshold=threshold).average_precision


@dataclass(frozen=True)
class Panoptic:
    """Panoptic quality and its two factors.

    Attributes
    ----------
    iou_sum : no unit
        Sum of the IoU of the pairs found.
    found : Detection
        Pairs with an IoU above 0.5, and objects in none of them.
    """

    iou_sum: float
    found: Detection

    @property
    def quality(self) -> float:
        """Segmentation times recognition quality; 1 if there are no objects at all."""
        return self.segmentation * self.recognition

    @property
    def segmentation(self) -> float:
        """Mean IoU of the pairs found; 1 if there are none."""
        return share(self.iou_sum, self.found.true_positives)

    @property
    def recognition(self) -> float:
        """F1 of the pairs found; 1 if there are no objects at all."""
        return self.found.f1


def panoptic(matching: Matching) -> Panoptic:
    """Panoptic quality of a matching with its factors; see `panoptic_quality`.

    >>> scores = panoptic(match_objects(np.array([1, 1, 1, 0, 2]), np.array([1, 1, 0, 0, 0])))
    >>> round(scores.segmentation, 4), round(scores.recognition, 4)
    (0.6667, 0.6667)
    """
    pairs = matching.iou > 0.5
    found = int(pairs.sum())
    false, missed = len(matching.result_pixels) - found, len(matching.truth_pixels) - found
    return Panoptic(float(matching.iou[pairs].sum()), Detection(found, false, missed))


def panoptic_quality(truth: np.ndarray, result: np.ndarray) -> float:
    """Panoptic quality of the objects of one class; 1 is perfect, 0 the worst.

    Parameters
    ----------
    truth, result
        Label images as in `match_objects`.

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape.

    Notes
    -----
    Source: Kirillov et al. 2019, equation 1: the sum of the IoU of all pairs above 0.5, divided by
    TP + FP / 2 + FN / 2. No objects in either image: 1.

    Examples
    --------
    >>> round(panoptic_quality(np.array([1, 1, 1, 0, 2]), np.array([1, 1, 0, 0, 0])), 4)    # 2/3 / (1 + 1/2)
    0.4444
    """
    return panoptic(match_objects(truth, result)).quality


def aggregated_jaccard(matching: Matching) -> tuple[int, int]:
    """Pixels of the aggregated Jaccard index (AJI): their ratio is the index, 1 is perfect, 0 the worst.

    Returns
    -------
    intersection, union : pixels
        Both 0 without objects.

    Notes
    -----
    Source: Kumar et al. 2017, algorithm 1. Each object of the truth adds intersection and union with the
    object of the result of largest IoU (the first in the image if there are more); objects of the
    result that no object of the truth chose add their pixels to the union.

    Examples
    --------
    >>> aggregated_jaccard(match_objects(np.array([1, 1, 1, 0, 2]), np.array([1, 1, 0, 0, 0])))    # 2 of 3 + 1
    (2, 4)
    """
    order = np.lexsort((matching.result, -matching.iou, matching.truth))
    truths, first = np.unique(matching.truth[order], return_index=True)
    chosen = order[first]
    alone = np.delete(matching.truth_pixels, truths).sum()
    unused = np.delete(matching.result_pixels, np.unique(matching.result[chosen])).sum()
    return int(matching.shared[chosen].sum()), int(matching.union[chosen].sum() + alone + unused)


@dataclass(frozen=True)
class ObjectErrors:
    """Numbers of split, merged, missed and false (spurious) objects; see `object_errors`."""

    splits: int
    merges: int
    missed: int
    false: int


def object_errors(matching: Matching) -> ObjectErrors:
    """Numbers of split, merged, missed and false objects, counted the way a person does by eye.

    Notes
    -----
    An object lies in another if more than half of its pixels do. ``splits``: objects of the truth in
    which two or more of the result lie. ``merges``: objects of the result in which two or more of the
    truth lie. ``missed`` and ``false``: objects of the truth and of the result that neither lie in
    another nor have another in them. Swapping truth and result swaps splits with merges and missed
    with false. No objects: all 0.

    Examples
    --------
    >>> object_errors(match_objects(np.array([1, 1, 1, 1, 0, 2]), np.array([1, 1, 2, 2, 0, 0])))
    ObjectErrors(splits=1, merges=0, missed=1, false=0)
    """
    related = matching.truth_inside | matching.result_inside
    return ObjectErrors(
        splits=int((np.bincount(matching.truth[matching.result_inside]) > 1).sum()),
        merges=int((np.bincount(matching.result[matching.truth_inside]) > 1).sum()),
        missed=len(matching.truth_pixels) - len(np.unique(matching.truth[related])),
        false=len(matching.result_pixels) - len(np.unique(matching.result[related])),
    )
