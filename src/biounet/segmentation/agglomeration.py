"""Agglomeration: fragments joined in the order of the mean evidence for a border between them.

The evidence is counted once for every pair of fragments that touch (`Borders`, a region adjacency graph). When two
fragments join, their borders with a third are pooled. The height at which two fragments become one is an ultrametric:
below any height, fragments fall into regions that do not leak through a gap in their border.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.segmentation.watershed import steps_to_neighbours

__all__ = ["Borders", "draw_heights", "merge_heights"]


HALF = 32
"""Bits that the lower fragment is shifted by in a pair of fragments."""


@dataclass(frozen=True)
class Borders:
    """Evidence on the border of each pair of fragments that touch; counts of regions add up.

    Attributes
    ----------
    pairs : (borders,), int64, rising
        The lower number of two fragments in the upper 32 bits, the higher one in the lower 32.
    sums : (borders,), int64
        Sum of the evidence over all pairs of pixels that touch across the border.
    counts : (borders,), int64
        Number of these pairs of pixels.
    lowest : (borders,), int64
        The least evidence of a pair of pixels.

    Examples
    --------
    Two fragments that touch in two places; the evidence of a pair of pixels is the sum of both:

    >>> evidence = np.pad(np.array([[5, 90], [7, 8]]), 1)
    >>> borders = Borders.of(evidence, np.pad(np.array([[1, 2], [1, 2]], np.uint32), 1))
    >>> borders.sums, borders.counts, borders.lowest
    (array([110]), array([2]), array([15]))
    """

    pairs: NDArray[np.int64]
    sums: NDArray[np.int64]
    counts: NDArray[np.int64]
    lowest: NDArray[np.int64]

    @classmethod
    def of(cls, evidence: NDArray[Any], fragments: NDArray[np.uint32]) -> Self:
        """Borders in a region, both arrays with one pixel around it: of the next region, or 0 outside of the image.

        Pairs of pixels across a face count in the region before the face.
        """
        flat, steps = np.ascontiguousarray(fragments).reshape(-1), steps_to_neighbours(fragments.shape)
        inner = _inner_pixels(fragments.shape)
        pairs, sums = _touching(flat, np.ascontiguousarray(evidence).reshape(-1), inner, steps[len(steps) // 2 :])
        return cls(pairs, sums, np.ones(len(pairs), np.int64), sums)._pooled()

    @classmethod
    def joined(cls, regions: Iterable[Self]) -> Self:
        """Borders of several regions together."""
        tables = [(each.pairs, each.sums, each.counts, each.lowest) for each in regions]
        return cls(*(np.concatenate(columns) for columns in zip(*tables, strict=True)))._pooled()

    def _pooled(self) -> Self:
        """One row for each pair of fragments."""
        if not len(self.pairs):
            return self
        order = np.argsort(self.pairs, kind="stable")
        pairs = self.pairs[order]
        starts = np.flatnonzero(np.append(True, pairs[1:] != pairs[:-1]))
        sums, counts = (np.add.reduceat(column[order], starts) for column in (self.sums, self.counts))
        return type(self)(pairs[starts], sums, counts, np.minimum.reduceat(self.lowest[order], starts))


def merge_heights(borders: Borders, *, prior: int = 0) -> NDArray[np.float64]:
    """Height at which the two fragments of each border become part of one region.

    Parameters
    ----------
    borders : Borders
    prior : pairs of pixels, 0 or more
        The evidence of a border is its mean, as if it had so many more pairs of pixels where it is weakest. So a short
        border is weak if it is weak anywhere, a long one with a gap is not.

    Returns
    -------
    (borders,), float64, in the units of the evidence

    Notes
    -----
    Of all borders that with the least evidence goes first, of equal ones that of the lowest pair of fragments. Borders
    of two fragments with the same third are pooled: sums and counts add up. So the evidence never falls below that of
    the joins before.
    Source: average agglomeration on the graph of a watershed (Arbelaez et al. 2011, section 3), with an ultrametric
    contour map as its result. Differs: `prior`.
    Cost: n log n for n borders; about 200 bytes for each.

    Examples
    --------
    Fragments 1 and 2 join first, then both with 3 at the mean of their borders with it, (4 + 8) / 2:

    >>> pairs = np.array([1 << 32 | 2, 1 << 32 | 3, 2 << 32 | 3])
    >>> one = np.ones(3, np.int64)
    >>> merge_heights(Borders(pairs, np.array([1, 4, 8]), one, np.array([1, 4, 8])))
    array([1., 6., 6.])
    """
    ends = np.stack([borders.pairs >> HALF, borders.pairs & (1 << HALF) - 1], axis=1)
    stats = np.stack([borders.sums, borders.counts, borders.lowest], axis=1).astype(np.float64)
    heights: NDArray[np.float64] = _join(ends, stats, int(ends.max(initial=0)) + 1, float(prior))
    return heights


def draw_heights(
    evidence: NDArray[Any], fragments: NDArray[np.uint32], borders: Borders, heights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Map of merge heights: on each border, of two pixels that touch, the one with more evidence has its height.

    Parameters
    ----------
    evidence, fragments : as for `Borders.of`
    borders : of the whole image
    heights : (borders,)

    Returns
    -------
    float64, of the region without the pixels around it
        The greatest height of the borders that a pixel stands for; 0 elsewhere. No path over the sides of pixels leads
        from one fragment to another around it. Of two pixels with equal evidence it is the first.

    Examples
    --------
    >>> row = np.pad(np.array([[5, 90, 7]]), 1), np.pad(np.array([[1, 1, 2]], np.uint32), 1)
    >>> draw_heights(*row, Borders.of(*row), np.array([4.0]))
    array([[0., 4., 0.]])
    """
    flat, steps = np.ascontiguousarray(fragments).reshape(-1), steps_to_neighbours(fragments.shape)
    inner = _inner_pixels(fragments.shape)
    drawn = _draw(flat, np.ascontiguousarray(evidence).reshape(-1), inner, steps, borders.pairs, heights)
    return np.asarray(drawn, np.float64).reshape([size - 2 for size in fragments.shape])


def _inner_pixels(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Flat indices of the pixels of an array that are not at its rim."""
    return np.arange(np.prod(shape), dtype=np.int64).reshape(shape)[(slice(1, -1),) * len(shape)].reshape(-1)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _pair(one: int, other: int) -> int:
    """Two fragments as one number."""
    return min(one, other) << HALF | max(one, other)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _touching(
    fragments: NDArray[np.uint32], evidence: NDArray[Any], inner: NDArray[np.int64], steps: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair of fragments, and sum of the evidence, of all pixels that touch across a border."""
    found = 0
    for pixel in inner:
        for step in steps:
            found += fragments[pixel + step] > 0 and fragments[pixel] != fragments[pixel + step]
    pairs, sums = np.empty(found, np.int64), np.empty(found, np.int64)
    found = 0
    for pixel in inner:
        for step in steps:
            own, other = np.int64(fragments[pixel]), np.int64(fragments[pixel + step])
            if other > 0 and own != other:
                pairs[found] = _pair(own, other)
                sums[found] = np.int64(evidence[pixel]) + np.int64(evidence[pixel + step])
                found += 1
    return pairs, sums


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _draw(
    fragments: NDArray[np.uint32],
    evidence: NDArray[Any],
    inner: NDArray[np.int64],
    steps: NDArray[np.int64],
    pairs: NDArray[np.int64],
    heights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Greatest height of the borders that each pixel stands for."""
    drawn = np.zeros(len(inner), np.float64)
    for number, pixel in enumerate(inner):
        for step in steps:
            own, other = np.int64(fragments[pixel]), np.int64(fragments[pixel + step])
            if other > 0 and own != other:
                more = np.int64(evidence[pixel]) - np.int64(evidence[pixel + step])
                if more > 0 or (more == 0 and step > 0):
                    border = np.searchsorted(pairs, _pair(own, other))
                    drawn[number] = max(drawn[number], heights[border])
    return drawn


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _join(ends: NDArray[np.int64], stats: NDArray[np.float64], fragments: int, prior: float) -> NDArray[np.float64]:
    """Join fragments, weakest border first; `ends` and `stats` are changed.

    ends : (borders, 2) fragments; stats : (borders, 3) sum, count and least evidence
    """
    values = (stats[:, 0] + prior * stats[:, 2]) / (stats[:, 1] + prior)
    heights, height = np.zeros(len(ends)), 0.0
    whole, closed = np.arange(len(ends)), np.zeros(len(ends), np.bool_)  # border that each was pooled into
    borders_of = [[0][:0] for _ in range(fragments)]
    index = {np.int64(0): 0}
    for border, (one, other) in enumerate(ends):
        borders_of[one].append(border)
        borders_of[other].append(border)
        index[_pair(one, other)] = border
    heap = [(value, border) for border, value in enumerate(values)]
    heapify(heap)
    while len(heap) > 0:
        value, border = heappop(heap)
        if closed[border] or value != values[border]:
            continue
        keep, gone = ends[border]
        if len(borders_of[keep]) < len(borders_of[gone]):
            keep, gone = gone, keep
        closed[border] = True
        height = max(height, value)  # a pooled value is no lower, but for rounding
        heights[border] = height
        for moved in borders_of[gone]:
            if closed[moved]:
                continue
            third = ends[moved, 0] + ends[moved, 1] - gone
            ends[moved] = keep, third
            other = index.get(_pair(keep, third), moved)
            first, last = min(other, moved), max(other, moved)
            index[_pair(keep, third)] = first
            if first == moved:
                borders_of[keep].append(moved)
            if first < last:
                _pool(stats, first, last)
                whole[last], closed[last] = first, True
                values[first] = (stats[first, 0] + prior * stats[first, 2]) / (stats[first, 1] + prior)
                heappush(heap, (values[first], first))
        borders_of[gone].clear()
    for border in range(len(ends)):  # the lower ones are known
        heights[border] = heights[whole[border]]
    return heights


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _pool(stats: NDArray[np.float64], first: int, last: int) -> None:
    """Add the evidence of one border to another."""
    stats[first, 0] += stats[last, 0]
    stats[first, 1] += stats[last, 1]
    stats[first, 2] = min(stats[first, 2], stats[last, 2])
