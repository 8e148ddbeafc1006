"""Pixels and first pixels of numbered objects, from which sizes and the order of labels follow."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["ObjectSizes", "has_markers", "object_sizes"]


class ObjectSizes:
    """Pixels and first pixel of each number 0, 1, ... of a label image.

    Examples
    --------
    >>> ObjectSizes(np.array([5, 2, 0, 4]), np.array([0, 7, 0, 3])).order()          # 3 comes before 1, 2 is nowhere
    array([0, 2, 0, 1], dtype=uint32)
    """

    def __init__(self, sizes: NDArray[np.int64], firsts: NDArray[np.int64]) -> None:
        self.sizes, self.firsts = sizes, firsts

    def order(self) -> NDArray[np.uint32]:
        """Label of each number: 1, 2, ... in the order of first pixels, 0 for background and numbers without pixels."""
        there = np.flatnonzero(self.sizes[1:]) + 1
        table = np.zeros(len(self.sizes), np.uint32)
        table[there[np.argsort(self.firsts[there], kind="stable")]] = np.arange(1, len(there) + 1)
        return table


def object_sizes(labels: NDArray[np.uint32]) -> ObjectSizes:
    """Pixels of each number of a label image, and its first pixel, row by row.

    >>> object_sizes(np.array([[0, 2, 2, 0]], np.uint32)).sizes
    array([2, 0, 2])
    """
    number = int(labels.max(initial=0)) + 1
    sizes, firsts = np.zeros(number, np.int64), np.zeros(number, np.int64)
    _count(labels.reshape(-1), sizes, firsts)
    return ObjectSizes(sizes, firsts)


def has_markers(pieces: NDArray[np.uint32], marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mask of the pieces 1..n that hold a marked pixel.

    >>> has_markers(np.array([1, 1, 0, 2], np.uint32), np.array([False, True, True, False]))
    array([ True, False])
    """
    marked = np.zeros(int(pieces.max(initial=0)) + 1, bool)
    marked[pieces[marks]] = True
    return marked[1:]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _count(labels: NDArray[np.uint32], sizes: NDArray[np.int64], firsts: NDArray[np.int64]) -> None:
    """Add up pixels; the first of a number is where its count is still zero."""
    for pixel in range(len(labels)):
        number = labels[pixel]
        if sizes[number] == 0:
            firsts[number] = pixel
        sizes[number] += 1
