"""Which objects of a picture are found, and their sizes, for outlines and hover texts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biounet.metrics import match_objects
from biounet.metrics.objects import FOUND

__all__ = ["Found", "find", "sizes_of"]


@dataclass(frozen=True)
class Found:
    """Objects of an expert and of a network.

    Attributes
    ----------
    expert, network : number of an object -> pixels, and the highest IoU with an object of the other side
    """

    expert: dict[int, tuple[int, float]]
    network: dict[int, tuple[int, float]]

    def missed(self, truth: np.ndarray) -> NDArray[np.bool_]:
        """Pixels of objects of the expert that were not found."""
        return np.isin(truth, [number for number, (_, iou) in self.expert.items() if iou < FOUND])

    def false(self, result: np.ndarray) -> NDArray[np.bool_]:
        """Pixels of objects of the network that match none of the expert."""
        return np.isin(result, [number for number, (_, iou) in self.network.items() if iou < FOUND])


def find(truth: np.ndarray, result: np.ndarray) -> Found:
    """Sizes of objects, and the best IoU of each.

    Parameters
    ----------
    truth, result : integers of one shape
        0 is background; negative in the truth is unknown, and counts for nobody.

    Examples
    --------
    >>> find(np.array([3, 3, 3, 4]), np.array([9, 9, 0, 0]))
    Found(expert={3: (3, 0.667), 4: (1, 0.0)}, network={9: (2, 0.667)})
    """
    known = truth >= 0
    matching = match_objects(truth, result)
    sides = []
    for labels, sizes, of_pairs in (
        (truth, matching.truth_pixels, matching.truth),
        (result, matching.result_pixels, matching.result),
    ):
        best = np.zeros(len(sizes))
        np.maximum.at(best, of_pairs, matching.iou)
        numbers = _by_first_pixel(labels[known])
        sides.append(
            {
                int(number): (int(size), round(float(iou), 3))
                for number, size, iou in zip(numbers, sizes, best, strict=True)
            }
        )
    return Found(*sides)


def _by_first_pixel(labels: np.ndarray) -> NDArray[np.int64]:
    """Numbers of objects in the order of their first pixels, as in a `biounet.metrics.Matching`."""
    numbers, first = np.unique(labels, return_index=True)
    ordered: NDArray[np.int64] = numbers[np.argsort(first)]
    return ordered[ordered > 0]


def sizes_of(labels: np.ndarray) -> NDArray[np.int64]:
    """Pixels of each object.

    >>> sizes_of(np.array([0, 2, 2, 5, -1]))
    array([2, 1])
    """
    return np.unique(labels[labels > 0], return_counts=True)[1]
