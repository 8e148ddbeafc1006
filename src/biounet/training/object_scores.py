"""Objects of held-out images, compared with those of the expert: how many are found, and how far off their outlines."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.metrics import Matching, detection, match_objects, object_errors
from biounet.metrics.contingency import overlap_table
from biounet.metrics.objects import FOUND
from biounet.metrics.overlap import confusion
from biounet.metrics.surface_distance import surface_distances
from biounet.segmentation import score_objects, segment_objects

__all__ = ["ObjectComparison", "compare_objects", "count_objects", "outline_error"]


MEASURED = 2**20
"""Pixels of images on which the distance of outlines is measured, at least one image: it takes as long as an object."""


@dataclass(frozen=True)
class ObjectComparison:
    """Objects that rules find in images, and how they compare with those of the expert."""

    objects: Sequence[NDArray[Any]]
    """Per image (*spatial) unsigned integers, 0 is background."""
    per_image: Sequence[Mapping[str, float]]
    """Per image, see `count_objects`."""
    confusion: NDArray[np.int64]
    """(2, 2), pixels by background or object of the expert (row), and of the network (column)."""
    outline_error: float
    """See the function `outline_error`; of the first images only, where there are many pixels."""


def compare_objects(
    probabilities: Iterable[NDArray[np.float32]],
    truths: Sequence[NDArray[Any]],
    rules: ObjectRules,
    *,
    spacing: Sequence[float],
) -> ObjectComparison:
    """Objects that rules find in the probabilities of images, and their comparison with the truth.

    Parameters
    ----------
    probabilities : (classes, *spatial) of each image
    truths : (*spatial) integers of each image, numbered objects; negative is IGNORE
    rules : ObjectRules
    spacing : pixel size per spatial axis, in pixels along X
    """
    found = (segment_objects(given, rules) for given in probabilities)
    objects = [labels.astype(np.min_scalar_type(labels.max(initial=0))) for labels in found]
    pairs = list(zip(truths, objects, strict=True))
    pixels = np.cumsum([truth.size for truth in truths])
    measured = pairs[: max(1, int(np.searchsorted(pixels, MEASURED, side="right")))]
    foregrounds = [confusion(np.sign(truth), np.sign(labels), classes=2) for truth, labels in pairs]
    return ObjectComparison(
        objects,
        [count_objects(match_objects(*pair)) for pair in pairs],
        np.sum(foregrounds, axis=0),
        outline_error(measured, spacing=spacing),
    )


def count_objects(matching: Matching) -> dict[str, float]:
    """Average precision of the objects of an image, and counts of objects that are found, missed or wrong.

    >>> count_objects(match_objects(np.array([1, 2]), np.array([3, 0])))
    {'ap': 0.5, 'objects': 2, 'predicted': 1, 'found': 1, 'missed': 1, 'false': 0, 'merges': 0, 'splits': 0}
    """
    wrong = object_errors(matching)
    return {
        "ap": score_objects([matching], metric="ap"),
        "objects": len(matching.truth_pixels),
        "predicted": len(matching.result_pixels),
        "found": detection(matching).true_positives,
        **{name: getattr(wrong, name) for name in ("missed", "false", "merges", "splits")},
    }


def outline_error(pairs: Iterable[tuple[NDArray[Any], NDArray[Any]]], *, spacing: float | Sequence[float]) -> float:
    """Mean distance between the outlines of the objects that are found and those of the expert.

    Parameters
    ----------
    pairs : truth and result of each image, numbered objects
    spacing : as for `biounet.metrics.surface_distance.surface_distances`

    Returns
    -------
    float, in the unit of `spacing`
        Where objects touch, they have one outline. NaN where none is found.

    Examples
    --------
    Object 1 is found with its right end a pixel off, object 2 is not: (0 + 1 + 0 + 1) / 4.

    >>> outline_error([(np.array([1, 1, 1, 0, 0, 2]), np.array([5, 5, 5, 5, 0, 0]))], spacing=1.0)
    0.5
    """
    distances = [np.zeros(0)]
    for truth, result in pairs:
        matching, table = match_objects(truth, result), overlap_table(truth, result)
        found = matching.iou >= FOUND
        drawn = table.truth_labels[table.truth_labels > 0][matching.truth[found]]
        given = table.result_labels[table.result_labels > 0][matching.result[found]]
        mask = np.where(truth < 0, truth, np.isin(truth, drawn))
        distances += surface_distances(mask, np.isin(result, given), spacing=spacing)
    each = np.concatenate(distances)
    return float(each.mean()) if each.size else math.nan
