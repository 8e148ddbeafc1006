"""Stitching: objects of the sections of a stack, linked to objects of the volume or numbered apart."""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from biounet.core.components import number_objects
from biounet.core.errors import ConfigError
from biounet.core.labels import check_labels

__all__ = ["LEAST_OVERLAP", "Overlaps", "link_slices", "number_apart", "stack_numbers"]


LEAST_OVERLAP = 0.25
"""IoU from which objects of neighbouring sections are one."""

BITS = np.uint64(32)
"""Bits that the upper number is shifted by in a pair of numbers."""


def link_slices(labels: NDArray[Any], *, least_overlap: float = LEAST_OVERLAP) -> NDArray[np.uint32]:
    """Labels of a volume from labels of its sections: objects that lie over each other get one number.

    Parameters
    ----------
    labels : (Z, Y, X), integers
        Labels of each section by itself; 0 is background, and IGNORE becomes background.
    least_overlap : IoU in (0, 1]
        Two objects are one if they overlap by this much, and neither overlaps more with another of that section.

    Returns
    -------
    uint32 (Z, Y, X)
        Dense numbers in the order of first pixels. In a section no two objects get one number.

    Raises
    ------
    LabelError, ShapeError, ConfigError
        If the array is no stack of labels, or the overlap is no share.

    Examples
    --------
    >>> sections = np.array([[[1, 1, 0, 2]], [[0, 5, 5, 0]], [[0, 7, 7, 0]]])       # IoU 1/3, then 1
    >>> link_slices(sections)[:, 0]
    array([[1, 1, 0, 2],
           [0, 1, 1, 0],
           [0, 1, 1, 0]], dtype=uint32)
    >>> int(link_slices(sections, least_overlap=0.5).max())
    3
    """
    check_labels(labels, name="sections of labels", axes=("ZYX",))
    if not 0 < least_overlap <= 1:
        raise ConfigError(f"least_overlap must be a share above 0, got {least_overlap}; 0.25 is a good start")
    linked = np.zeros(labels.shape, np.uint32)
    count = 0
    for z, section in enumerate(labels):
        own, _ = number_objects(section)
        partners = Overlaps.of(linked[z - 1], own).partners(least_overlap) if z else None
        numbers = stack_numbers(int(own.max(initial=0)), count, partners=partners)
        linked[z] = numbers[own]
        count = max(count, int(numbers.max()))
    return linked


def number_apart(labels: NDArray[Any]) -> NDArray[np.uint32]:
    """Labels of a stack whose sections have no number in common.

    Parameters
    ----------
    labels : (Z, Y, X), integers
        As for `link_slices`.

    Returns
    -------
    uint32 (Z, Y, X)
        Dense numbers in the order of first pixels.

    Raises
    ------
    LabelError, ShapeError
        If the array is no stack of labels.

    Examples
    --------
    >>> number_apart(np.array([[[1, 1, 0, 2]], [[0, 1, 1, 0]]]))[:, 0]
    array([[1, 1, 0, 2],
           [0, 3, 3, 0]], dtype=uint32)
    """
    check_labels(labels, name="sections of labels", axes=("ZYX",))
    apart = np.zeros(labels.shape, np.uint32)
    count = 0
    for z, section in enumerate(labels):
        own, _ = number_objects(section)
        numbers = stack_numbers(int(own.max(initial=0)), count)
        apart[z] = numbers[own]
        count += len(numbers) - 1
    return apart


def stack_numbers(
    objects: int, count: int, *, partners: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
) -> NDArray[np.uint32]:
    """Number in a stack of each object of a section, after the numbers of the sections above.

    Parameters
    ----------
    objects : int
        Objects of the section, numbered 1..objects in the order of their first pixels.
    count : int
        The largest number in the sections above.
    partners : numbers above, numbers of the section
        Objects that are one, see `Overlaps.partners`.

    Returns
    -------
    uint32 (objects + 1,)
        Number in the stack of each number in the section; 0 stays 0.

    Examples
    --------
    >>> stack_numbers(3, 9, partners=(np.array([4]), np.array([2])))
    array([ 0, 10,  4, 11], dtype=uint32)
    """
    numbers = np.zeros(objects + 1, np.uint32)
    if partners is not None:
        above, below = partners
        numbers[below] = above
    new = np.flatnonzero(numbers[1:] == 0) + 1
    numbers[new] = count + 1 + np.arange(len(new))
    return numbers


class Overlaps:
    """Shared pixels of every pair of objects of two neighbouring sections; counts of regions add up.

    Examples
    --------
    >>> above, below = np.array([[7, 7, 0, 4]]), np.array([[0, 1, 1, 0]])
    >>> first, second = (Overlaps.of(above[:, part], below[:, part]) for part in (slice(2), slice(2, 4)))
    >>> Overlaps.joined([first, second]).partners(0.25)                                # 1 of 3 pixels
    (array([7]), array([1]))
    """

    def __init__(self, pairs: NDArray[np.uint64], pixels: NDArray[np.int64]) -> None:
        self._pairs, which = np.unique(pairs, return_inverse=True)
        self._pixels = np.zeros(len(self._pairs), np.int64)
        np.add.at(self._pixels, which, pixels)

    @classmethod
    def of(cls, above: NDArray[Any], below: NDArray[Any]) -> Self:
        """Overlaps in a region of two sections, (Y, X): 0 is background, numbers have 32 bits."""
        pairs = (above.astype(np.uint64) << BITS | below.astype(np.uint64)).reshape(-1)
        first = np.flatnonzero(np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)])  # sorting runs is far less work
        return cls(pairs[first], np.diff(first, append=len(pairs)))

    @classmethod
    def joined(cls, regions: Iterable[Self]) -> Self:
        """Sum of the overlaps of regions, of one at least."""
        tables = [(region._pairs, region._pixels) for region in regions]
        pairs, pixels = (np.concatenate(columns) for columns in zip(*tables, strict=True))
        return cls(pairs, pixels)

    def partners(self, least: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers above and below of pairs of objects, each the best overlap of the other, IoU at least `least`.

        Of equal overlaps that of the lower numbers counts.
        """
        above, below = (
            (self._pairs >> shift & np.uint64(2**32 - 1)).astype(np.int64) for shift in (BITS, np.uint64(0))
        )
        union = self._sizes(above) + self._sizes(below) - self._pixels
        iou = self._pixels / union
        good = np.flatnonzero((above > 0) & (below > 0) & (iou >= least))
        order = good[np.argsort(-iou[good], kind="stable")]
        best_of_above = order[np.unique(above[order], return_index=True)[1]]
        best_of_below = order[np.unique(below[order], return_index=True)[1]]
        best = np.intersect1d(best_of_above, best_of_below)
        return above[best], below[best]

    def _sizes(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pixels of the object of each row."""
        _, which = np.unique(numbers, return_inverse=True)
        sizes = np.zeros(len(numbers), np.int64)
        np.add.at(sizes, which, self._pixels)
        return sizes[which]
