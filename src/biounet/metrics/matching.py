"""Overlaps of the objects of two label images, from which all object scores follow."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from biounet.metrics.contingency import overlap_table

__all__ = ["Matching", "match_objects"]


@dataclass(frozen=True)
class Matching:
    """Objects of a truth and of a result, and the pixels that each pair shares.

    Objects are numbered from 0 by their first pixel. IGNORE pixels count for nobody.

    Attributes
    ----------
    truth_pixels : (I,), int64
        Size of each object of the truth.
    result_pixels : (J,), int64
        Size of each object of the result.
    truth, result : (P,), int64
        The objects of each pair that overlaps.
    shared : (P,), int64
        Pixels of each pair.
    """

    truth_pixels: NDArray[np.int64]
    result_pixels: NDArray[np.int64]
    truth: NDArray[np.int64]
    result: NDArray[np.int64]
    shared: NDArray[np.int64]

    @cached_property
    def union(self) -> NDArray[np.int64]:
        """Pixels of both objects of each pair, (P,)."""
        return self.truth_pixels[self.truth] + self.result_pixels[self.result] - self.shared

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair, (P,)."""
        return self.shared / self.union

    @cached_property
    def truth_inside(self) -> NDArray[np.bool_]:
        """Whether more than half of the object of the truth lies in that of the result, for each pair, (P,)."""
        return 2 * self.shared > self.truth_pixels[self.truth]

    @cached_property
    def result_inside(self) -> NDArray[np.bool_]:
        """Whether more than half of the object of the result lies in that of the truth, for each pair, (P,)."""
        return 2 * self.shared > self.result_pixels[self.result]

    def true_positives(self, threshold: float) -> int:
        """Most pairs of at least this IoU in which no object occurs twice."""
        good = self.iou >= threshold
        pairs = (self.truth[good], self.result[good])
        if threshold > 0.5:  # no object reaches that with two others
            return len(pairs[0])
        shape = (len(self.truth_pixels), len(self.result_pixels))
        graph = csr_array((np.ones(len(pairs[0]), np.int8), pairs), shape=shape)
        return int(np.count_nonzero(maximum_bipartite_matching(graph) >= 0))


def match_objects(truth: np.ndarray, result: np.ndarray) -> Matching:
    """Objects and overlaps of two label images, counted once for all scores.

    Parameters
    ----------
    truth : (Y, X) or (Z, Y, X) or any, integers
        0 is background, every object has its own positive number, negative is IGNORE: such pixels
        belong to no object in either image.
    result : the shape of `truth`, integers

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape.

    Notes
    -----
    Cost: linear in the number of pixels, whatever the number of objects.

    Examples
    --------
    >>> matching = match_objects(np.array([1, 1, 0, 2]), np.array([0, 7, 7, 0]))
    >>> matching.truth_pixels, matching.result_pixels, matching.iou.round(4)
    (array([2, 1]), array([2]), array([0.3333]))
    """
    table = overlap_table(truth, result)
    is_truth, is_result = table.truth_labels > 0, table.result_labels > 0
    truth_number, result_number = np.cumsum(is_truth) - 1, np.cumsum(is_result) - 1
    both = is_truth[table.truth] & is_result[table.result]
    return Matching(
        table.truth_pixels[is_truth],
        table.result_pixels[is_result],
        truth_number[table.truth[both]],
        result_number[table.result[both]],
        table.pixels[both],
    )
