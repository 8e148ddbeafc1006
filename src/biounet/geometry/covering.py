"""Few boxes around what is there, so that what lies between need not be computed."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from biounet.geometry.boxes import Box

__all__ = ["covering_boxes"]


def covering_boxes(there: NDArray[np.bool_], margin: Sequence[float]) -> list[Box]:
    """Boxes without overlap that hold all that is there, for work that needs a margin around each.

    Parameters
    ----------
    there : any axes
    margin : in elements of `there`, one number per axis
        What must be read on each side of a box, as far as it lies inside of the array.

    Returns
    -------
    list of Box
        None where nothing is there. All of it is in one box; boxes are cut in two as long as that is less to read.

    Examples
    --------
    >>> there = np.array([[1, 0, 0, 0, 0, 1]], bool)
    >>> covering_boxes(there, (0, 1))               # reads 2 and 2 in place of 6
    [Box(start=(0, 0), stop=(1, 1)), Box(start=(0, 5), stop=(1, 6))]
    >>> covering_boxes(there, (0, 2))               # 3 and 3 are no less
    [Box(start=(0, 0), stop=(1, 6))]
    """
    whole = Box((0,) * there.ndim, there.shape)

    def read(box: Box) -> float:
        sides = zip(box.start, box.stop, there.shape, margin, strict=True)
        return math.prod(float(min(stop + more, size) - max(start - more, 0)) for start, stop, size, more in sides)

    found, left = [], [_shrunk(there, whole)] if there.any() else []
    while left:
        box = left.pop()
        halves = min(_cuts(there, box), key=lambda pair: sum(map(read, pair)), default=[box])
        if sum(map(read, halves)) < read(box):
            left += reversed(halves)
        else:
            found.append(box)
    return found


def _shrunk(there: NDArray[np.bool_], box: Box) -> Box:
    """The smallest box around all that is there in a box."""
    axes = range(there.ndim)
    inside = there[box.slices]
    held = [np.flatnonzero(inside.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return Box(
        tuple(start + int(places[0]) for start, places in zip(box.start, held, strict=True)),
        tuple(start + int(places[-1]) + 1 for start, places in zip(box.start, held, strict=True)),
    )


def _cuts(there: NDArray[np.bool_], box: Box) -> Iterator[list[Box]]:
    """All ways to cut a box in two; its first and last element along every axis hold something."""
    for axis, (start, stop) in enumerate(zip(box.start, box.stop, strict=True)):
        for at in range(start + 1, stop):
            end, begin = list(box.stop), list(box.start)
            end[axis] = begin[axis] = at
            yield [_shrunk(there, Box(box.start, tuple(end))), _shrunk(there, Box(tuple(begin), box.stop))]
