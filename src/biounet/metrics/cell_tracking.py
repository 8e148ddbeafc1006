"""SEG and DET of the Cell Tracking Challenge."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biounet.metrics.matching import Matching, match_objects

__all__ = ["DetectionCosts", "det", "detection_costs", "reference_jaccards", "seg"]


def seg(truth: np.ndarray, result: np.ndarray) -> float:
    """SEG, the segmentation score of the Cell Tracking Challenge; 1 is perfect, 0 the worst.

    Parameters
    ----------
    truth : (Y, X) or (Z, Y, X), integers
        Reference objects of one frame, each with its own positive number; negative is IGNORE.
    result : the shape of `truth`, integers

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape.

    Notes
    -----
    Source: Maska et al. 2014, equation 1. The mean over all reference objects of the Jaccard index with
    the one object of the result that covers more than half of it, 0 if there is none. What Ronneberger et
    al. 2015, table 2, call IOU. Objects found beside the reference cost nothing. For a sequence take the
    mean over the objects of all frames (`reference_jaccards`), not over frames.
    No objects in either image: 1. No reference objects but some found: NaN, for SEG does not see those.

    Examples
    --------
    >>> seg(np.array([1, 1, 1, 0, 2]), np.array([1, 1, 0, 0, 0]))           # (2/3 + 0) / 2
    0.3333333333333333
    """
    matching = match_objects(truth, result)
    if not len(matching.truth_pixels):
        return np.nan if len(matching.result_pixels) else 1.0
    return float(reference_jaccards(matching).mean())


def reference_jaccards(matching: Matching) -> NDArray[np.float64]:
    """Jaccard index of each reference object with the object that covers more than half of it, (I,).

    >>> reference_jaccards(match_objects(np.array([1, 1, 1, 0, 2]), np.array([1, 1, 0, 0, 0]))).round(4)
    array([0.6667, 0.    ])
    """
    covered = _covered(matching)
    jaccards = np.zeros(len(matching.truth_pixels))
    jaccards[matching.truth[covered]] = matching.iou[covered]
    return jaccards


@dataclass(frozen=True)
class DetectionCosts:
    """Operations that turn the objects of a result into those of the reference, as DET counts them."""

    splits: int
    missed: int
    false: int
    reference: int

    @property
    def score(self) -> float:
        """1 - min(5 splits + 10 missed + false, 10 reference) / (10 reference)."""
        if not self.reference:
            return 0.0 if self.false else 1.0
        cost = 5 * self.splits + 10 * self.missed + self.false
        return 1 - min(cost / (10 * self.reference), 1.0)


def det(truth: np.ndarray, result: np.ndarray) -> float:
    """DET, the detection score of the Cell Tracking Challenge; 1 is perfect, 0 the worst.

    Parameters
    ----------
    truth : (Y, X) or (Z, Y, X), integers
        Markers of all objects of one frame (``TRA``), or the objects themselves; negative is IGNORE.
    result : the shape of `truth`, integers

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape.

    Notes
    -----
    Source: Matula et al. 2015, AOGM with the weights of detection alone: 5 for each object of the result
    to be split (k - 1 for one that covers k markers), 10 for each marker that no object covers by more
    than half, 1 for each object that covers none; normalised by 10 for each marker, as if all were
    missed, and never below 0. For a sequence add the counts of all frames (`detection_costs`).
    No objects in either image: 1. No markers but some found: 0.

    Examples
    --------
    One marker found, one missed: 1 - 10 / 20.

    >>> det(np.array([1, 1, 1, 0, 2]), np.array([1, 1, 0, 0, 0]))
    0.5
    """
    return detection_costs(match_objects(truth, result)).score


def detection_costs(matching: Matching) -> DetectionCosts:
    """Numbers of splits to make, and of missed and false objects, of one frame; see `det`.

    >>> detection_costs(match_objects(np.array([1, 0, 2, 0]), np.array([1, 1, 1, 2])))
    DetectionCosts(splits=1, missed=0, false=1, reference=2)
    """
    covered = _covered(matching)
    markers = len(matching.truth_pixels)
    found, used = int(covered.sum()), len(np.unique(matching.result[covered]))
    return DetectionCosts(found - used, markers - found, len(matching.result_pixels) - used, markers)


def _covered(matching: Matching) -> NDArray[np.bool_]:
    """Pairs in which the result covers more than half of the reference object; at most one for each."""
    return 2 * matching.shared > matching.truth_pixels[matching.truth]
