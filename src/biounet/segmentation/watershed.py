"""Seeded watershed over an elevation map, with the same result on an image as on its regions.

A path from a seed to a pixel runs over the sides of foreground pixels. Its cost is 1 per step plus every rise of the
elevation map on the path; going down is free. A pixel belongs to the seed with the cheapest path to it, and of several
such seeds to the one with the lowest number. Costs add up along paths in one order, so the best label of a
pixel follows from the best labels of its neighbours. So regions of an image reach the labels of the whole image
if they exchange the costs and labels at their faces until nothing changes.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["FAR", "labels_of", "padded", "spread", "steps_to_neighbours", "watershed"]


FAR = np.int64(np.iinfo(np.int64).max)
"""The cost of a pixel that no seed has reached. Other costs hold the number of the seed in their lower half."""

HALF = 32
LOWER = (1 << HALF) - 1

RING = 256
"""More than the cost of a step, which is at most 255: one, and the rise from the lowest to the highest foreground."""

NOBODY, NOWHERE = -1, -2
"""Marks in linked lists: no pixel follows; and the pixel is in no list."""


def watershed(elevation: NDArray[np.uint8], seeds: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Seeded watershed: numbered seeds that grow over the foreground of an elevation map until they meet.

    Parameters
    ----------
    elevation : (Y, X) or (Z, Y, X)
        0 is background; seeds meet in its valleys. See `biounet.segmentation.make_elevation`.
    seeds : of the shape of `elevation`
        0 is none; seeds lie in the foreground.

    Returns
    -------
    uint32 of the shape of `elevation`
        Number of the seed that each pixel belongs to; 0 in the background and where no path leads from a seed.

    Notes
    -----
    Each object is connected by the sides of its pixels.
    Source: the watershed by topographic distance (Meyer 1994), in which plains are divided by distance. Differs: the
    cost of a path is the sum of its rises instead of its highest point, so that small bumps do not decide, and there
    are no lines between objects.
    Cost: linear in pixels; about 25 bytes per pixel. The first call compiles, once per installation.

    Examples
    --------
    >>> watershed(np.array([[9, 4, 2, 5, 6, 9, 0]], np.uint8), np.array([[1, 0, 0, 0, 0, 2, 0]], np.uint32))
    array([[1, 1, 1, 2, 2, 2, 0]], dtype=uint32)
    """
    inner = (slice(1, -1),) * elevation.ndim
    costs = padded(np.where((seeds > 0) & (elevation > 0), seeds, FAR), FAR)
    spread(padded(elevation, 0), costs)
    return labels_of(costs[inner])


def spread(elevation: NDArray[np.uint8], costs: NDArray[np.int64]) -> None:
    """Cheapest paths from pixels whose cost is known to all pixels of the foreground; in place.

    Parameters
    ----------
    elevation : (Z)YX, contiguous
        Its outermost pixels are 0.
    costs : of the shape of `elevation`, contiguous
        Cost of each pixel to which a path is known, in the upper 32 bits, and number of its seed, in the lower 32;
        `FAR` elsewhere, and wherever the elevation map is 0.
    """
    flat = costs.reshape(-1)
    known = np.flatnonzero((flat > LOWER) & (flat != FAR))
    known_costs = flat[known] >> HALF
    order = np.argsort(known_costs, kind="stable")
    index = np.int32 if flat.size < 2**31 else np.int64
    after, before = np.empty(flat.size, index), np.full(flat.size, NOWHERE, index)
    steps = steps_to_neighbours(elevation.shape)
    _spread(elevation.reshape(-1), flat, steps, known[order], known_costs[order], after, before)


def labels_of(costs: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Numbers of the seeds in costs; 0 where no seed has come."""
    return np.where(costs == FAR, 0, costs & LOWER).astype(np.uint32)


def steps_to_neighbours(shape: Sequence[int]) -> NDArray[np.int64]:
    """Steps from a pixel to its neighbours in a flat array.

    >>> steps_to_neighbours((4, 5)).tolist()
    [-5, -1, 5, 1]
    """
    steps = np.array([math.prod(shape[axis + 1 :]) for axis in range(len(shape))], np.int64)
    return np.concatenate([-steps, steps])


def padded(array: NDArray[Any], value: Any) -> NDArray[Any]:
    """An array with one pixel of a value around it."""
    return np.pad(array, 1, constant_values=value)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _spread(
    elevation: NDArray[np.uint8],
    costs: NDArray[np.int64],
    steps: NDArray[np.int64],
    known: NDArray[np.int64],
    known_costs: NDArray[np.int64],
    after: NDArray[Any],
    before: NDArray[Any],
) -> None:
    """Visit pixels in the order of their cost, from a ring of linked lists, one for each cost (Dial 1969)."""
    ring = np.full(RING, NOBODY, np.int64)
    cost, waiting, entered = 0, 0, 0
    for pixel in range(len(costs)):
        if costs[pixel] <= LOWER and _can_grow(pixel, elevation, costs, steps):
            _link(pixel, 0, ring, after, before)
            waiting += 1
    while waiting > 0 or entered < len(known):
        if waiting == 0:
            cost = max(cost, known_costs[entered])
        while entered < len(known) and known_costs[entered] <= cost:
            pixel = known[entered]
            entered += 1
            if before[pixel] == NOWHERE and costs[pixel] >> HALF == cost:
                _link(pixel, cost % RING, ring, after, before)
                waiting += 1
        while ring[cost % RING] != NOBODY:
            pixel = ring[cost % RING]
            _unlink(pixel, cost % RING, ring, after, before)
            waiting += _offer(pixel, elevation, costs, steps, ring, after, before) - 1
        cost += 1


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _can_grow(pixel: int, elevation: NDArray[np.uint8], costs: NDArray[np.int64], steps: NDArray[np.int64]) -> bool:
    """Whether a pixel of a seed has a neighbour in the foreground that belongs to no seed."""
    for step in steps:
        neighbour = pixel + step
        if elevation[neighbour] > 0 and costs[neighbour] > LOWER:
            return True
    return False


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _offer(
    pixel: int,
    elevation: NDArray[np.uint8],
    costs: NDArray[np.int64],
    steps: NDArray[np.int64],
    ring: NDArray[np.int64],
    after: NDArray[Any],
    before: NDArray[Any],
) -> int:
    """Lower the costs of the neighbours of a pixel; return how many more pixels wait."""
    more = 0
    for step in steps:
        neighbour = pixel + step
        if elevation[neighbour] > 0:
            cost = (costs[pixel] >> HALF) + 1 + max(0, np.int64(elevation[neighbour]) - np.int64(elevation[pixel]))
            offered = cost << HALF | costs[pixel] & LOWER
            if offered < costs[neighbour]:
                if cost < costs[neighbour] >> HALF:
                    if before[neighbour] != NOWHERE:
                        _unlink(neighbour, (costs[neighbour] >> HALF) % RING, ring, after, before)
                        more -= 1
                    _link(neighbour, cost % RING, ring, after, before)
                    more += 1
                costs[neighbour] = offered
    return more


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _link(pixel: int, place: int, ring: NDArray[np.int64], after: NDArray[Any], before: NDArray[Any]) -> None:
    """Put a pixel at the head of a list."""
    head = ring[place]
    after[pixel], before[pixel] = head, NOBODY
    if head != NOBODY:
        before[head] = pixel
    ring[place] = pixel


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _unlink(pixel: int, place: int, ring: NDArray[np.int64], after: NDArray[Any], before: NDArray[Any]) -> None:
    """Take a pixel out of its list."""
    if before[pixel] == NOBODY:
        ring[place] = after[pixel]
    else:
        after[before[pixel]] = after[pixel]
    if after[pixel] != NOBODY:
        before[after[pixel]] = before[pixel]
    before[pixel] = NOWHERE
