"""Counts of the objects in a region, from one pass over its pixels."""

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.components import number_objects
from biounet.core.labels import check_labels
from biounet.measurement.checks import fit_channels_first, foreground
from biounet.measurement.convex_hull import on_hull, row_ends
from biounet.measurement.counts import RegionCounts, unique_pairs
from biounet.measurement.perimeter import directions

__all__ = ["count_region"]


def count_region(
    labels: np.ndarray,
    *,
    image: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    by_class: bool = False,
    core: Box | None = None,
    origin: Sequence[int] | None = None,
) -> RegionCounts:
    """Counts of the objects in a region: sizes, positions, neighbours, intensities, probabilities.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        A region of the image, with the pixels around it that belong to other regions. Negative is IGNORE.
    image : (C, Y, X) or (C, Z, Y, X), or without the channel axis
        Intensities there.
    probabilities : (classes, Y, X) or (classes, Z, Y, X), in [0, 1], or of the foreground only, without that axis
    by_class : bool
        Count each class apart; else all but the first are foreground.
    core : Box
        The part of `labels` that is counted; all of it if not given. One pixel around it must be given, except at
        the edge of the image, where background is assumed.
    origin : pixels per axis
        Where the first pixel of `labels` lies in the image.

    Raises
    ------
    LabelError, ShapeError
        If `labels` are none, or the arrays do not fit each other.

    Notes
    -----
    Cost: linear in the number of pixels, whatever the number of objects.

    Examples
    --------
    >>> counts = count_region(np.array([[4, 4, 9]]), image=np.array([[1, 3, 7]]))
    >>> counts.labels, counts.pixels, counts.values.ravel(), counts.pairs.tolist()
    (array([4, 9]), array([2, 1]), array([4., 7.]), [[4, 9], [9, 4]])
    """
    check_labels(labels, masks=True, axes=("YX", "ZYX"))
    shares = fit_channels_first(probabilities, labels, "probabilities")
    if shares is not None and not by_class:
        shares = foreground(shares)
    channels = [fit_channels_first(image, labels, "image"), shares]
    core = core or Box((0,) * labels.ndim, labels.shape)
    zero = [start + first for start, first in zip(origin or (0,) * labels.ndim, core.start, strict=True)]
    shift = np.array([0] * (3 - labels.ndim) + zero)
    framed, names = _frame(labels, core)
    inner = framed[1:-1, 1:-1, 1:-1]
    count = len(names) - 1
    pixels, sums, products, start, stop, crossings, pairs = _scan(framed, directions(labels.ndim), count, shift)
    objects, points = row_ends(inner, count)
    corners = on_hull(objects, points)
    intensities, scores = (_blocks(array, core) for array in channels)
    statistics = np.array([_measure(inner, channel, pixels) for channel in intensities]).reshape(-1, 4, count + 1)
    values, spread, low, high = statistics.transpose(1, 2, 0)
    numbers = inner.ravel()
    totals = [np.bincount(numbers, channel.ravel(), count + 1) for channel in scores]
    # Objects without a pixel in the region lie in the frame alone; the others are sorted by label.
    here = np.flatnonzero(pixels)
    here = here[np.argsort(names[here])]
    rank = np.full(count + 1, -1, np.int32)
    rank[here] = np.arange(len(here), dtype=np.int32)
    order = np.argsort(rank[objects[corners]], kind="stable")
    return RegionCounts(
        labels.ndim, names[here], pixels[here], sums[here], products[here], start[here], stop[here], crossings[here],
        point_objects=rank[objects[corners]][order],
        points=points[corners][order] + shift.astype(np.int32),
        pairs=unique_pairs(names[pairs]),
        values=values[here], spread=spread[here], low=low[here], high=high[here],
        scores=np.array(totals, np.float64).reshape(-1, count + 1).T[here],
    )  # fmt: skip


def _frame(labels: np.ndarray, core: Box) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Numbers of the objects of a region and of one pixel around it, (Z + 2, Y + 2, X + 2); 0 beyond the image."""
    around = core.grown((1,) * labels.ndim, labels.shape)
    numbers, names = number_objects(labels[around.slices])
    framed = np.zeros([size + 2 for size in core.shape], np.int32)
    framed[around.relative_to([start - 1 for start in core.start]).slices] = numbers
    return (np.pad(framed[np.newaxis], ((1, 1), (0, 0), (0, 0))) if labels.ndim == 2 else framed), names


def _blocks(array: np.ndarray | None, core: Box) -> list[NDArray[np.float64]]:
    """The channels of a region as (Z, Y, X)."""
    if array is None:
        return []
    return [channel[core.slices].astype(np.float64).reshape((-1, *core.shape[-2:])) for channel in array]


@njit(cache=True, nogil=True)
def _scan(framed, steps, count, shift):  # type: ignore[no-untyped-def]
    """Count pixels, positions, crossings and neighbours of objects 1..count; row 0 is background."""
    pixels = np.zeros(count + 1, np.int64)
    sums, products = np.zeros((count + 1, 3)), np.zeros((count + 1, 3, 3))
    start, stop = np.full((count + 1, 3), 2**62), np.zeros((count + 1, 3), np.int64)
    crossings = np.zeros((count + 1, len(steps)), np.int64)
    last = np.zeros(count + 1, np.int32)  # the neighbour that was met last, as it is often met again
    pairs = [(np.int32(0), np.int32(0)) for _ in range(0)]  # empty, but typed
    depth, height, width = framed.shape
    flat, place = framed.ravel(), np.zeros(3, np.int64)
    strides = steps[:, 0] * height * width + steps[:, 1] * width + steps[:, 2]
    for z in range(1, depth - 1):
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                pixel = (z * height + y) * width + x
                number = flat[pixel]
                if number == 0:
                    continue
                pixels[number] += 1
                place[0], place[1], place[2] = z - 1 + shift[0], y - 1 + shift[1], x - 1 + shift[2]
                for axis in range(3):
                    sums[number, axis] += place[axis]
                    start[number, axis] = min(start[number, axis], place[axis])
                    stop[number, axis] = max(stop[number, axis], place[axis] + 1)
                    for other in range(3):
                        products[number, axis, other] += np.float64(place[axis]) * place[other]
                for k in range(strides.size):
                    for neighbour in (flat[pixel + strides[k]], flat[pixel - strides[k]]):
                        if neighbour != number:
                            crossings[number, k] += 1
                            if neighbour > 0 and last[number] != neighbour:
                                last[number] = neighbour
                                pairs.append((number, neighbour))
    found = np.empty((len(pairs), 2), np.int64)
    for index, pair in enumerate(pairs):
        found[index] = pair
    return pixels, sums, products, start, stop, crossings, found


@njit(cache=True, nogil=True)
def _measure(numbers, channel, pixels):  # type: ignore[no-untyped-def]
    """Sum, squared differences from the mean, least and largest intensity of each object: (4, count + 1)."""
    found = np.zeros((4, pixels.size))
    found[2], found[3] = np.inf, -np.inf
    for pixel, value in np.ndenumerate(channel):
        number = numbers[pixel]
        if number:
            found[0, number] += value
            found[2, number] = min(found[2, number], value)
            found[3, number] = max(found[3, number], value)
    means = found[0] / np.maximum(pixels, 1)
    for pixel, value in np.ndenumerate(channel):
        number = numbers[pixel]
        if number:
            found[1, number] += (value - means[number]) ** 2
    return found
