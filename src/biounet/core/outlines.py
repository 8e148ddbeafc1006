"""Outlines of objects along the edges of pixels, with holes, and the pixels inside of outlines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.core.components import label_objects, number_objects
from biounet.core.labels import check_labels

__all__ = ["Polygon", "fill_polygons", "trace_polygons"]


Polygon = Sequence[NDArray[Any]]
"""Rings of a polygon, each (K, 2), Y and X of its corners: the outer one, then holes. Pixel (y, x) covers y..y + 1,
x..x + 1. The last corner is joined to the first."""


def trace_polygons(labels: np.ndarray) -> dict[int, list[list[NDArray[np.int32]]]]:
    """Polygons with holes that cover exactly the pixels of each object.

    Parameters
    ----------
    labels : (Y, X), integers
        0 is background, negative is IGNORE, which has no polygons.

    Returns
    -------
    label -> its polygons, one per piece; ascending labels
        ``Polygon``, int32: an outer ring, clockwise as the image is seen, and its holes, counter-clockwise, each from
        its top left corner on. Pixels that only meet at a corner are two pieces. No ring passes a corner twice, so that
        polygons are valid for OGC and JTS.

    Raises
    ------
    LabelError, ShapeError
        If the array is no label image of a plane.

    Notes
    -----
    Cost: linear in the number of pixels.

    Examples
    --------
    >>> outer, hole = trace_polygons(np.array([[4, 4, 4], [4, 0, 4], [4, 4, 4]]))[4][0]
    >>> outer.tolist(), hole.tolist()
    ([[0, 0], [0, 3], [3, 3], [3, 0]], [[1, 1], [2, 1], [2, 2], [1, 2]])
    """
    check_labels(labels, masks=True, axes=("YX",))
    numbers, names = number_objects(labels)
    pieces = label_objects(numbers)
    of_piece = np.zeros(int(pieces.max(initial=0)) + 1, np.int64)
    of_piece[pieces.ravel()] = names[numbers.ravel()]
    corners, starts, owners = _trace(np.pad(pieces.astype(np.int32), 1))
    holes = _areas(corners, starts) < 0
    found: dict[int, list[list[NDArray[np.int32]]]] = {int(label): [] for label in np.unique(names[1:])}
    rings = np.split(corners, starts[1:])
    order = np.lexsort((holes, owners))  # the rings of a piece together, the outer one first
    for ring, hole, piece in zip(order.tolist(), holes[order].tolist(), owners[order].tolist(), strict=True):
        polygons, corners = found[int(of_piece[piece])], _from_top_left(rings[ring])
        if hole:
            polygons[-1].append(corners)
        else:
            polygons.append([corners])
    return found


def fill_polygons(labels: NDArray[np.int32], polygons: Sequence[Polygon], number: int) -> tuple[int, int]:
    """Write a number into all pixels whose centres lie in any of the polygons of an object.

    Parameters
    ----------
    labels : (Y, X), int32
        Is changed.
    polygons : ``Polygon``, floats or integers, at most 1e9
        A pixel is inside where rings are crossed an odd number of times on the way there. What lies outside of the
        array is left out.
    number : int

    Returns
    -------
    painted, taken : int
        How many pixels were written, and how many of them had another number than 0 before.

    Examples
    --------
    >>> labels = np.zeros((2, 4), np.int32)
    >>> fill_polygons(labels, [[np.array([[0, 1], [0, 3], [2, 3], [2, 1]])]], 7)
    (4, 0)
    >>> labels.tolist()
    [[0, 7, 7, 0], [0, 7, 7, 0]]
    """
    painted = taken = 0
    for rings in polygons:
        starts = np.cumsum([0, *map(len, rings)])
        corners = np.concatenate(rings).astype(np.float64)
        more, lost = _fill(labels, corners, starts, number)
        painted, taken = painted + more, taken + lost
    return painted, taken


def _areas(corners: NDArray[np.int32], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Twice the area of each ring, negative if it is counter-clockwise as the image is seen."""
    if not len(starts):
        return np.zeros(0)
    after = np.arange(1, len(corners) + 1)
    after[np.append(starts[1:], len(corners)) - 1] = starts
    y, x = corners.astype(np.float64).T
    return np.add.reduceat(x * y[after] - x[after] * y, starts)


def _from_top_left(ring: NDArray[np.int32]) -> NDArray[np.int32]:
    """A ring from its top left corner on."""
    return np.roll(ring, -int(np.lexsort((ring[:, 1], ring[:, 0]))[0]), axis=0)


@njit(cache=True, nogil=True)
def _fill(labels, corners, starts, number):  # type: ignore[no-untyped-def]
    """Fill one polygon by scanlines through the centres of pixels; pixels written, and pixels taken from others."""
    height, width = labels.shape
    low_y, low_x = corners[:, 0].min(), corners[:, 1].min()
    high_y, high_x = corners[:, 0].max(), corners[:, 1].max()
    top, bottom = int(max(0.0, np.ceil(low_y - 0.5))), int(min(float(height), np.ceil(high_y - 0.5)))
    left, right = int(max(0.0, np.ceil(low_x - 0.5))), int(min(float(width), np.ceil(high_x - 0.5)))
    if top >= bottom or left >= right:
        return 0, 0
    crossed = np.zeros((bottom - top, right - left + 1), np.bool_)
    for ring in range(len(starts) - 1):
        before = starts[ring + 1] - 1
        for corner in range(starts[ring], starts[ring + 1]):
            y0, x0, y1, x1 = corners[before, 0], corners[before, 1], corners[corner, 0], corners[corner, 1]
            before = corner
            if y0 > y1:
                y0, x0, y1, x1 = y1, x1, y0, x0
            first = int(max(float(top), np.ceil(y0 - 0.5)))
            last = int(min(float(bottom), np.ceil(y1 - 0.5)))
            for row in range(first, last):
                x = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
                column = int(min(max(float(left), np.ceil(x - 0.5)), float(right)))
                crossed[row - top, column - left] = not crossed[row - top, column - left]
    painted = taken = 0
    for row in range(bottom - top):
        inside = False
        for column in range(right - left):
            inside = inside != crossed[row, column]
            if inside:
                before = labels[top + row, left + column]
                painted += 1
                taken += before != 0 and before != number
                labels[top + row, left + column] = number
    return painted, taken


@njit(cache=True, nogil=True)
def _take_ring(walk_y, walk_x, start, place, ys, xs):  # type: ignore[no-untyped-def]
    """Move the corners of a walk from `start` on to those of rings, the last one first."""
    while len(walk_y) > start:
        y, x = walk_y.pop(), walk_x.pop()
        place[y, x] = -1
        ys.append(y - 1)
        xs.append(x - 1)


@njit(cache=True, nogil=True)
def _trace(framed):  # type: ignore[no-untyped-def]
    """Corners (K, 2) of all rings, where each ring begins, and its piece, from walks with the piece on the right."""
    # Steps east, south, west, north; the pixels ahead on the left and on the right of a corner, in that order.
    step_y, step_x = (0, 1, 0, -1), (1, 0, -1, 0)
    left_y, left_x = (-1, 0, 0, -1), (0, 0, -1, -1)
    done = np.zeros(framed.shape, np.bool_)  # the upper edges of pixels that were walked along
    place = np.full(framed.shape, -1, np.int64)  # of a corner that the walk passes twice, among its corners so far
    ys, xs, starts, owners = [0 for _ in range(0)], [0 for _ in range(0)], [0 for _ in range(0)], [0 for _ in range(0)]
    walk_y, walk_x = [0 for _ in range(0)], [0 for _ in range(0)]
    for top in range(1, framed.shape[0] - 1):
        for first in range(1, framed.shape[1] - 1):
            piece = framed[top, first]
            if piece == 0 or framed[top - 1, first] == piece or done[top, first]:
                continue
            y, x, heading = top, first, 0
            while heading != 0 or not done[y, x]:
                if heading == 0:
                    done[y, x] = True
                y, x = y + step_y[heading], x + step_x[heading]
                right = (heading + 1) % 4
                on_left = framed[y + left_y[heading], x + left_x[heading]] == piece
                on_right = framed[y + left_y[right], x + left_x[right]] == piece
                if on_right and not on_left:
                    continue
                heading = (heading + (3 if on_right else 1)) % 4
                start = place[y, x]
                if on_left and not on_right and start >= 0:  # a loop is closed: it becomes a ring of its own
                    starts.append(len(ys))
                    owners.append(piece)
                    _take_ring(walk_y, walk_x, start, place, ys, xs)
                if on_left and not on_right:
                    place[y, x] = len(walk_y)
                walk_y.append(y)
                walk_x.append(x)
            starts.append(len(ys))
            owners.append(piece)
            _take_ring(walk_y, walk_x, 0, place, ys, xs)
    corners = np.empty((len(ys), 2), np.int32)
    for index in range(len(ys)):
        corners[len(ys) - 1 - index, 0], corners[len(ys) - 1 - index, 1] = ys[index], xs[index]
    return corners, len(ys) - np.append(np.array(starts, np.int64), len(ys))[:0:-1], np.array(owners, np.int64)[::-1]
