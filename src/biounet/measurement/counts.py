"""Region counts: sums over the pixels of each object in a region, which add up to those of the image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biounet.measurement.convex_hull import on_hull

__all__ = ["RegionCounts", "join"]


@dataclass(frozen=True, eq=False)
class RegionCounts:
    """Sums over the pixels of N objects in a region: sizes, positions, neighbours, intensities.

    Positions are given in the whole image, in pixels, along Z, Y and X; the Z of a plane is 0.

    Attributes
    ----------
    dims : int
        2 or 3.
    labels : (N,), int64
        Ascending.
    pixels : (N,), int64
    sums : (N, 3), float64
        Of positions.
    products : (N, 3, 3), float64
        Sums of products of positions.
    start, stop : (N, 3), int64
        The box around the pixels.
    crossings : (N, K), int64
        Pairs of neighbours along each direction of which one is in the object and the other not.
    point_objects : (P,), int32
        Index of the object of each of `points`, ascending.
    points : (P, 3), int32
        Corners of the convex hull of each object in each section, ascending for each object.
    pairs : (M, 2), int64
        Labels of objects that touch: each pair both ways, ascending.
    values, spread, low, high : (N, C), float64
        Sum of the intensities, sum of their squared differences from the mean, least and largest.
    scores : (N, classes), float64
        Sums of probabilities: of the foreground, or of every class.
    """

    dims: int
    labels: NDArray[np.int64]
    pixels: NDArray[np.int64]
    sums: NDArray[np.float64]
    products: NDArray[np.float64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    crossings: NDArray[np.int64]
    point_objects: NDArray[np.int32]
    points: NDArray[np.int32]
    pairs: NDArray[np.int64]
    values: NDArray[np.float64]
    spread: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    scores: NDArray[np.float64]


def join(region_counts: Sequence[RegionCounts]) -> RegionCounts:
    """Counts of an image, or of a part of it, from those of regions that do not overlap.

    Parameters
    ----------
    region_counts : at least one
        With equal axes, channels and classes; in any order.

    Notes
    -----
    Squared differences from the mean are joined as by Chan, Golub and LeVeque 1983. All else adds up exactly, as far
    as integers fit 53 bits.

    Examples
    --------
    >>> from biounet.measurement.region_counts import count_region
    >>> first, second = count_region(np.array([[5, 5]])), count_region(np.array([[5, 0]]), origin=(0, 2))
    >>> whole = join([first, second])
    >>> whole.labels, whole.pixels, whole.sums[:, 2]
    (array([5]), array([3]), array([3.]))
    """
    every = np.concatenate([counts.labels for counts in region_counts])
    labels, inverse = np.unique(every, return_inverse=True)
    row = inverse.astype(np.int32)
    firsts = np.cumsum([0, *(len(counts.labels) for counts in region_counts)])

    def together(name: str, *, how: np.ufunc = np.add, start: float = 0) -> np.ndarray:
        parts = np.concatenate([getattr(counts, name) for counts in region_counts])
        whole = np.full((len(labels), *parts.shape[1:]), start, parts.dtype)
        how.at(whole, row, parts)
        return whole

    pixels, values = together("pixels"), together("values")
    point_objects = np.concatenate(
        [row[first + counts.point_objects] for first, counts in zip(firsts[:-1], region_counts, strict=True)]
    )
    points = np.concatenate([counts.points for counts in region_counts])
    order = np.lexsort((*points.T[::-1], point_objects))
    point_objects, points = point_objects[order], points[order]
    corners = on_hull(point_objects, points)
    pairs = np.concatenate([counts.pairs for counts in region_counts])
    return RegionCounts(
        dims=region_counts[0].dims,
        labels=labels,
        pixels=pixels,
        sums=together("sums"),
        products=together("products"),
        start=together("start", how=np.minimum, start=np.iinfo(np.int64).max),
        stop=together("stop", how=np.maximum),
        crossings=together("crossings"),
        point_objects=point_objects[corners],
        points=points[corners],
        pairs=unique_pairs(pairs),
        values=values,
        spread=together("spread") + _between(region_counts, row, values / pixels[:, None]),
        low=together("low", how=np.minimum, start=np.inf),
        high=together("high", how=np.maximum, start=-np.inf),
        scores=together("scores"),
    )


def unique_pairs(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs without repetition, ascending."""
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    new = np.ones(len(pairs), bool)
    new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[new]


def _between(
    region_counts: Sequence[RegionCounts], row: NDArray[np.int32], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared differences between the means of regions and the mean of the whole, for each object."""
    pixels = np.concatenate([counts.pixels for counts in region_counts])[:, None]
    values = np.concatenate([counts.values for counts in region_counts])
    added = np.zeros_like(means)
    np.add.at(added, row, pixels * (values / pixels - means[row]) ** 2)
    return added
