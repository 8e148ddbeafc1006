"""Convex hulls of objects, from the ends of their rows."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["hull_pixels", "hull_voxels", "on_hull", "row_ends"]


FAR = 2**60
"""Beyond any pixel."""


@njit(cache=True, nogil=True)
def row_ends(numbers, count):  # type: ignore[no-untyped-def]
    """Ends of the runs of pixels of each object; no other pixel can be a corner of the convex hull.

    Parameters
    ----------
    numbers : (Z, Y, X), int32
        Objects 1..count.

    Returns
    -------
    objects : (P,), int32
        The object of each end, ascending.
    points : (P, 3), int32
        Z, Y, X, ascending for each object.
    """
    sizes = np.zeros(count + 2, np.int64)
    for fill in (False, True):
        if fill:
            place = np.cumsum(sizes)[:-1].copy()
            objects, points = np.empty(sizes.sum(), np.int32), np.empty((sizes.sum(), 3), np.int32)
        for z in range(numbers.shape[0]):
            for y in range(numbers.shape[1]):
                last = numbers.shape[2] - 1
                for x in range(last + 1):
                    number = numbers[z, y, x]
                    inside = 0 < x < last and numbers[z, y, x - 1] == number and numbers[z, y, x + 1] == number
                    if number == 0 or inside:
                        continue
                    if fill:
                        objects[place[number]] = number
                        points[place[number]] = (z, y, x)
                        place[number] += 1
                    else:
                        sizes[number + 1] += 1
    return objects, points


@njit(cache=True, nogil=True)
def on_hull(objects, points):  # type: ignore[no-untyped-def]
    """Mask of the points that are corners of the convex hull of one object in one section.

    Parameters
    ----------
    objects : (P,), int32
    points : (P, 3), int32
        Z, Y, X; sorted by object, then Z, Y and X.

    Returns
    -------
    (P,), bool

    Notes
    -----
    Source: the monotone chain of Andrew 1979, which takes points that are sorted.
    """
    keep = np.zeros(objects.size, np.bool_)
    stack = np.empty(objects.size, np.int64)
    first = 0
    while first < objects.size:
        stop = first + 1
        while stop < objects.size and objects[stop] == objects[first] and points[stop, 0] == points[first, 0]:
            stop += 1
        for side in (1, -1):
            height = 0
            for point in range(first, stop):
                y, x = points[point, 1], points[point, 2]
                while height > 1:
                    a, b = stack[height - 2], stack[height - 1]
                    along, across = y - points[a, 1], x - points[a, 2]
                    turn = (points[b, 1] - points[a, 1]) * across - (points[b, 2] - points[a, 2]) * along
                    if side * turn > 0:
                        break
                    height -= 1
                stack[height] = point
                height += 1
            keep[stack[:height]] = True
        first = stop
    return keep


@njit(cache=True, nogil=True)
def hull_pixels(objects, points, count):  # type: ignore[no-untyped-def]
    """Pixels of the convex hull of each object of a plane.

    Parameters
    ----------
    objects : (P,), int32
        Objects 0..count - 1, ascending.
    points : (P, 3), int32
        Z, Y, X of the corners of hulls.

    Returns
    -------
    (count,), int64

    Notes
    -----
    As in scikit-image, the hull is that of the middles of the four sides of all pixels, and a pixel whose centre lies
    in it or on its edge counts. Here in integers: coordinates are doubled.
    """
    pixels = np.zeros(count, np.int64)
    first = 0
    while first < objects.size:
        stop = first + 1
        while stop < objects.size and objects[stop] == objects[first]:
            stop += 1
        ys = points[first:stop, 1]
        top = ys.min()
        low = np.full(2 * (ys.max() - top) + 3, FAR)
        high = low.copy()
        for y, x in points[first:stop, 1:]:
            row = 2 * (y - top) + 1
            for step, reach in ((-1, 0), (0, 1), (1, 0)):
                low[row + step] = min(low[row + step], 2 * x - reach)
                high[row + step] = min(high[row + step], -2 * x - reach)
        pixels[objects[first]] = (1 - _first_columns(low) - _first_columns(high)).sum()
        first = stop
    return pixels


@njit(cache=True, nogil=True)
def _first_columns(low):  # type: ignore[no-untyped-def]
    """First pixel of each row at or right of the convex curve below all points (row, low[row]), both doubled."""
    chain = np.empty(low.size, np.int64)
    height = 0
    for row in range(low.size):
        if low[row] == FAR:
            continue
        while height > 1:
            a, b = chain[height - 2], chain[height - 1]
            if (low[b] - low[a]) * (row - a) < (low[row] - low[a]) * (b - a):
                break
            height -= 1
        chain[height] = row
        height += 1
    columns = np.empty(low.size // 2, np.int64)
    link = 0
    for index in range(columns.size):
        row = 2 * index + 1
        while chain[link + 1] < row:
            link += 1
        a, b = chain[link], chain[link + 1]
        doubled = 2 * (b - a)
        columns[index] = -((-low[a] * (b - a) - (low[b] - low[a]) * (row - a)) // doubled)
    return columns


def hull_voxels(objects: NDArray[np.int32], points: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Voxels of the convex hull of each object of a volume; see `hull_pixels`.

    Notes
    -----
    Cost: one hull by Qhull per object, about a millisecond.
    """
    from scipy.spatial import ConvexHull  # slow to import, and only volumes need it

    voxels = np.zeros(count, np.int64)
    sides = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    starts = np.flatnonzero(np.diff(objects, prepend=-1))
    for first, stop in zip(starts, np.append(starts, len(objects))[1:], strict=False):
        middle = points[first:stop]
        start, end = middle.min(axis=0), middle.max(axis=0)
        hull = ConvexHull(((middle - start)[:, None] + sides).reshape(-1, 3))
        normals, offsets = hull.equations[:, :3], hull.equations[:, 3] - 1e-9
        z, y = np.ogrid[: end[0] - start[0] + 1, : end[1] - start[1] + 1]
        rest = -(offsets + normals[:, 0] * z[..., None] + normals[:, 1] * y[..., None])
        slope = normals[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            bounds = rest / slope
        upper = np.where(slope > 1e-12, bounds, np.inf).min(axis=-1)
        lower = np.where(slope < -1e-12, bounds, -np.inf).max(axis=-1)
        outside = ((np.abs(slope) <= 1e-12) & (rest < 0)).any(axis=-1)
        inside = np.where(outside, 0, np.floor(upper) - np.ceil(lower) + 1)
        voxels[objects[first]] = np.maximum(inside, 0).sum()
    return voxels
