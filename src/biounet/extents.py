"""How long objects are, of labels that come in bands along Y."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

__all__ = ["boxes_in", "longest_sides"]


def boxes_in(objects: NDArray[Any], *, top: int = 0) -> NDArray[np.int64]:
    """Boxes around the objects of one band.

    Parameters
    ----------
    objects : (Y, X) or (Z, Y, X), integers
        Positive numbers are objects.
    top : the row of the image that the band begins with

    Returns
    -------
    (objects, 1 + 2 * axes)
        Number, first pixel per axis, last but one per axis.

    Examples
    --------
    >>> boxes_in(np.array([[0, 7, 7], [0, 0, 7]]), top=5)
    array([[7, 5, 1, 7, 3]])
    """
    boxes = enumerate(find_objects(np.maximum(objects, 0)), 1)
    found = [(number, *(s.start for s in box), *(s.stop for s in box)) for number, box in boxes if box is not None]
    table = np.array(found, np.int64).reshape(-1, 1 + 2 * objects.ndim)
    table[:, [objects.ndim - 1, 2 * objects.ndim - 1]] += top
    return table


def longest_sides(boxes: Sequence[NDArray[np.int64]]) -> list[int]:
    """Longest side of the box around each object, in pixels.

    Parameters
    ----------
    boxes : of each band of an image, as of `boxes_in`

    Examples
    --------
    >>> upper, lower = np.array([[0, 7, 7], [0, 0, 7]]), np.array([[0, 0, 7], [3, 0, 7]])
    >>> longest_sides([boxes_in(upper), boxes_in(lower, top=2)])
    [1, 4]
    """
    table = np.concatenate(boxes)
    table = table[np.argsort(table[:, 0], kind="stable")]
    first = np.flatnonzero(np.diff(table[:, 0], prepend=0))
    if not first.size:
        return []
    starts, stops = np.split(table[:, 1:], 2, axis=1)
    sides = np.maximum.reduceat(stops, first) - np.minimum.reduceat(starts, first)
    longest: list[int] = sides.max(axis=1).tolist()
    return longest
