"""Holes in objects: background that is shut in by one object alone."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.core.components import label_objects
from biounet.segmentation.watershed import steps_to_neighbours

__all__ = ["OUTSIDE", "HoleTable", "fill_holes", "measure_holes"]


OUTSIDE = np.uint32(np.iinfo(np.uint32).max)
"""Stands around an image, as if it were an object; what touches it is no hole."""


class HoleTable:
    """Pieces of background: their pixels, and the lowest and the highest number of the objects around them."""

    def __init__(self, sizes: NDArray[np.int64], low: NDArray[np.uint32], high: NDArray[np.uint32]) -> None:
        self.sizes, self.low, self.high = sizes, low, high

    def joined(self, component: NDArray[np.int64]) -> "HoleTable":
        """Add pieces up to the components that they are parts of."""
        number = int(component.max(initial=-1)) + 1
        sizes = np.zeros(number, np.int64)
        low, high = np.full(number, OUTSIDE), np.zeros(number, np.uint32)
        np.add.at(sizes, component, self.sizes)
        np.minimum.at(low, component, self.low)
        np.maximum.at(high, component, self.high)
        return HoleTable(sizes, low, high)

    def fillings(self, largest: int | None) -> NDArray[np.uint32]:
        """Number of the object that each piece is a hole of; 0 if of none, or too large."""
        holes = (self.low == self.high) & (self.high != OUTSIDE)
        if largest is not None:
            holes &= self.sizes <= largest
        return np.where(holes, self.high, 0).astype(np.uint32)


def fill_holes(labels: NDArray[np.uint32], *, largest: int | None = None) -> NDArray[np.uint32]:
    """Fill what lies within an object.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X)
        0 is background, every object has its own positive number.
    largest : pixels
        Larger holes stay; None: all are filled.

    Returns
    -------
    uint32 of the shape of `labels`
        A hole is background that hangs together by sides, has but one object at its sides, and does not reach the
        edge of the image. Background between several objects stays.

    Examples
    --------
    >>> fill_holes(np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 2]], np.uint32))
    array([[1, 1, 1, 0],
           [1, 1, 1, 0],
           [1, 1, 1, 2]], dtype=uint32)
    """
    holes = label_objects(labels == 0)
    fillings = measure_holes(holes, np.pad(labels, 1, constant_values=OUTSIDE)).fillings(largest)
    return labels + np.append(np.uint32(0), fillings)[holes]


def measure_holes(holes: NDArray[np.uint32], labels: NDArray[np.uint32]) -> HoleTable:
    """Measure pieces of background 1..n, given the objects in and one pixel around them."""
    number = int(holes.max(initial=0))
    low, high = np.full(number, OUTSIDE), np.zeros(number, np.uint32)
    around = steps_to_neighbours(labels.shape)
    sizes = np.zeros(number, np.int64)
    _look_around(np.pad(holes, 1).reshape(-1), np.ascontiguousarray(labels).reshape(-1), around, sizes, low, high)
    return HoleTable(sizes, low, high)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _look_around(
    holes: NDArray[np.uint32],
    labels: NDArray[np.uint32],
    steps: NDArray[np.int64],
    sizes: NDArray[np.int64],
    low: NDArray[np.uint32],
    high: NDArray[np.uint32],
) -> None:
    """Count the pixels of each piece, and note the numbers beside them."""
    for pixel in range(len(holes)):
        if holes[pixel] > 0:
            hole = holes[pixel] - 1
            sizes[hole] += 1
            for step in steps:
                near = labels[pixel + step]
                if near > 0:
                    low[hole] = min(low[hole], near)
                    high[hole] = max(high[hole], near)
