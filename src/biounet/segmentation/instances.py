"""Objects of an image in memory: seeds, growth, small ones dropped, holes filled, numbers in order."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.core.components import label_objects, number_objects
from biounet.segmentation.elevation import make_elevation, seed_level
from biounet.segmentation.holes import fill_holes
from biounet.segmentation.watershed import watershed

__all__ = [
    "ObjectSizes",
    "drop_small",
    "has_markers",
    "label_elevation",
    "object_sizes",
    "segment_objects",
]


def segment_objects(probabilities: NDArray[Any], rules: ObjectRules) -> NDArray[np.uint32]:
    """Make numbered objects of probabilities.

    Parameters
    ----------
    probabilities : (classes, Y, X) or (classes, Z, Y, X), floating point in [0, 1]
    rules : ObjectRules

    Returns
    -------
    uint32 of the spatial shape
        0 is background; objects are numbered 1..N in the order of their first pixels. Each hangs together by the
        sides of its pixels.

    Raises
    ------
    ShapeError, ImageError
        If these are no probabilities of the classes that `rules` name.

    Notes
    -----
    Cost: linear in pixels, whatever the number of objects.

    Examples
    --------
    Two cells that touch; the network sees less of the interior where they do.

    >>> interior = np.array([[0.1, 0.8, 0.9, 0.4, 0.8, 0.7]])
    >>> segment_objects(np.stack([1 - interior, interior]), ObjectRules(foreground=0.2, seed=0.6))
    array([[0, 1, 1, 1, 2, 2]], dtype=uint32)
    """
    return label_elevation(make_elevation(probabilities, rules), rules)


def label_elevation(elevation: NDArray[np.uint8], rules: ObjectRules) -> NDArray[np.uint32]:
    """Make numbered objects of an elevation map; see `segment_objects` and `make_elevation`.

    >>> label_elevation(np.array([[1, 200, 9, 10, 200]], np.uint8), ObjectRules())
    array([[1, 1, 1, 2, 2]], dtype=uint32)
    """
    seeds = elevation >= seed_level(rules.seed)
    if rules.choosy:
        pieces = label_objects(seeds)
        large = object_sizes(pieces).sizes[1:] >= rules.least_seed
        seeds = np.append(False, large & has_markers(pieces, elevation >= seed_level(rules.peak)))[pieces]
    if rules.second_seed is not None:
        pieces = label_objects(elevation >= seed_level(rules.second_seed))
        seeds |= ~np.append(True, has_markers(pieces, seeds))[pieces]
    objects = label_objects(seeds)
    if rules.grow:
        objects = watershed(elevation, objects)
    objects = drop_small(objects, least=rules.least_pixels)
    if rules.largest_hole != 0:
        objects = fill_holes(objects, largest=rules.largest_hole)
    return number_objects(objects)[0].view(np.uint32)


def drop_small(labels: NDArray[np.uint32], *, least: int) -> NDArray[np.uint32]:
    """Make background of objects of fewer than `least` pixels; the others keep their numbers.

    >>> drop_small(np.array([[1, 1, 0, 2]], np.uint32), least=2)
    array([[1, 1, 0, 0]], dtype=uint32)
    """
    if least <= 1:
        return labels
    keep = object_sizes(labels).sizes >= least
    return labels * keep[labels]


class ObjectSizes:
    """Pixels of each number of a label image, and where each comes first; the number 0 included."""

    def __init__(self, sizes: NDArray[np.int64], firsts: NDArray[np.int64]) -> None:
        self.sizes, self.firsts = sizes, firsts

    def order(self) -> NDArray[np.uint32]:
        """Table of dense numbers in the order of first pixels; 0, and what has no pixel, becomes 0."""
        there = np.flatnonzero(self.sizes[1:]) + 1
        table = np.zeros(len(self.sizes), np.uint32)
        table[there[np.argsort(self.firsts[there], kind="stable")]] = np.arange(1, len(there) + 1)
        return table


def object_sizes(labels: NDArray[np.uint32]) -> ObjectSizes:
    """Count the pixels of each number, and find the first of each in raster order.

    >>> object_sizes(np.array([[0, 2, 2, 0]], np.uint32)).sizes
    array([2, 0, 2])
    """
    number = int(labels.max(initial=0)) + 1
    sizes, firsts = np.zeros(number, np.int64), np.zeros(number, np.int64)
    _count(labels.reshape(-1), sizes, firsts)
    return ObjectSizes(sizes, firsts)


def has_markers(pieces: NDArray[np.uint32], marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each of the pieces 1..n holds a marked pixel.

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
