"""Holes in objects: pieces of background with a single object around them."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.segmentation.watershed import steps_to_neighbours

__all__ = ["OUTSIDE", "measure_holes", "surrounding"]


OUTSIDE = np.uint32(np.iinfo(np.uint32).max)
"""Label of the pixels beyond an image, so that background at its edge is no hole."""


def surrounding(
    pixels: NDArray[np.int64], low: NDArray[np.uint32], high: NDArray[np.uint32], *, largest: int | None = None
) -> NDArray[np.uint32]:
    """Label of the single object around each piece of background; 0 if the piece is no hole, or too large.

    Parameters
    ----------
    pixels, low, high : (N,)
        As `measure_holes` counts them.
    largest : pixels, or None
        Larger pieces are no holes.

    Examples
    --------
    >>> surrounding(np.array([1, 1, 9]), np.array([3, 3, 5], np.uint32), np.array([3, 4, 5], np.uint32), largest=4)
    array([3, 0, 0], dtype=uint32)
    """
    holes = (low == high) & (high != OUTSIDE)
    if largest is not None:
        holes &= pixels <= largest
    return np.where(holes, high, 0).astype(np.uint32)


def measure_holes(
    holes: NDArray[np.uint32], labels: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint32]]:
    """Pixels of each piece of background 1..n, and the lowest and the highest label beside it.

    Parameters
    ----------
    holes : (Y, X) or (Z, Y, X)
        Pieces that are connected by the sides of pixels.
    labels : the same with one pixel around it
        `OUTSIDE` beyond the image.

    Examples
    --------
    >>> measure_holes(np.array([[0, 1]], np.uint32), np.array([[9, 9, 9, 9], [9, 7, 0, 9], [9, 9, 9, 9]], np.uint32))
    (array([1]), array([7], dtype=uint32), array([9], dtype=uint32))
    """
    number = int(holes.max(initial=0))
    low, high = np.full(number, OUTSIDE), np.zeros(number, np.uint32)
    around = steps_to_neighbours(labels.shape)
    sizes = np.zeros(number, np.int64)
    _look_around(np.pad(holes, 1).reshape(-1), np.ascontiguousarray(labels).reshape(-1), around, sizes, low, high)
    return sizes, low, high


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _look_around(
    holes: NDArray[np.uint32],
    labels: NDArray[np.uint32],
    steps: NDArray[np.int64],
    sizes: NDArray[np.int64],
    low: NDArray[np.uint32],
    high: NDArray[np.uint32],
) -> None:
    """Count the pixels of each piece, and keep the lowest and the highest label beside them."""
    for pixel in range(len(holes)):
        if holes[pixel] > 0:
            hole = holes[pixel] - 1
            sizes[hole] += 1
            for step in steps:
                neighbour = labels[pixel + step]
                if neighbour > 0:
                    low[hole] = min(low[hole], neighbour)
                    high[hole] = max(high[hole], neighbour)
