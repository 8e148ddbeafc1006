"""Objects of the sections of a stack: linked to objects in three dimensions, or numbered apart."""

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
"""Of a key of two numbers, the upper one is shifted by so many."""


def link_slices(labels: NDArray[Any], *, least_overlap: float = LEAST_OVERLAP) -> NDArray[np.uint32]:
    """Give one number to the objects of neighbouring sections that lie over each other.

    Parameters
    ----------
    labels : (Z, Y, X), integers
        Sections that were numbered each for itself; 0 is background, what is negative becomes background.
    least_overlap : IoU in (0, 1]
        Two objects are one if they overlap by this much, and neither overlaps more with another of that section.

    Returns
    -------
    uint32 (Z, Y, X)
        Dense numbers in the order of first pixels. In a section no two objects get one number.

    Raises
    ------
    LabelError, ShapeError, ConfigError
        If these are no sections of labels, or the overlap is no share.

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
    """Give the objects of each section numbers that no other section has.

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
        If these are no sections of labels.

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
    """Number the objects of a section after those of the sections above.

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
    """How many pixels two objects share, for all objects of two neighbouring sections; counts of regions add up.

    Examples
    --------
    >>> above, below = np.array([[7, 7, 0, 4]]), np.array([[0, 1, 1, 0]])
    >>> left, right = (Overlaps.of(above[:, part], below[:, part]) for part in (slice(2), slice(2, 4)))
    >>> Overlaps.joined([left, right]).partners(0.25)                                # 1 of 3 pixels
    (array([7]), array([1]))
    """

    def __init__(self, keys: NDArray[np.uint64], pixels: NDArray[np.int64]) -> None:
        self._keys, which = np.unique(keys, return_inverse=True)
        self._pixels = np.zeros(len(self._keys), np.int64)
        np.add.at(self._pixels, which, pixels)

    @classmethod
    def of(cls, above: NDArray[Any], below: NDArray[Any]) -> Self:
        """Count in a region: labels (Y, X) of two sections, 0 is background, numbers have 32 bits."""
        keys = (above.astype(np.uint64) << BITS | below.astype(np.uint64)).reshape(-1)
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])  # sorting runs is far less work
        return cls(keys[first], np.diff(first, append=len(keys)))

    @classmethod
    def joined(cls, regions: Iterable[Self]) -> Self:
        """Add up regions; there must be one at least."""
        tables = [(region._keys, region._pixels) for region in regions]
        keys, pixels = (np.concatenate(columns) for columns in zip(*tables, strict=True))
        return cls(keys, pixels)

    def partners(self, least: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers above and below of objects, each the best of the other, of which the IoU is at least `least`.

        Of equal overlaps the one of the lower numbers is taken.
        """
        above, below = ((self._keys >> shift & np.uint64(2**32 - 1)).astype(np.int64) for shift in (BITS, np.uint64(0)))
        union = self._sizes(above) + self._sizes(below) - self._pixels
        iou = self._pixels / union
        good = np.flatnonzero((above > 0) & (below > 0) & (iou >= least))
        order = good[np.argsort(-iou[good], kind="stable")]
        best_of_above = order[np.unique(above[order], return_index=True)[1]]
        best_of_below = order[np.unique(below[order], return_index=True)[1]]
        best = np.intersect1d(best_of_above, best_of_below)
        return above[best], below[best]

    def _sizes(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pixels of the object that stands in each row."""
        _, which = np.unique(numbers, return_inverse=True)
        sizes = np.zeros(len(numbers), np.int64)
        np.add.at(sizes, which, self._pixels)
        return sizes[which]
