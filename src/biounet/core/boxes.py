"""Boxes of pixels, and images that are read and written box by box."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ArrayReader", "ArrayWriter", "Box", "Reader", "Writer", "covering_boxes", "face", "two_parts"]


@dataclass(frozen=True)
class Box:
    """A rectangular region of an image: ``start`` included, ``stop`` excluded, one number per axis.

    Examples
    --------
    >>> Box((0, 10), (4, 30)).shape
    (4, 20)
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        """The region as an index of an array."""
        return tuple(slice(start, stop) for start, stop in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    def relative_to(self, origin: Sequence[int]) -> Self:
        """The same region in coordinates that begin at `origin`.

        >>> Box((5,), (9,)).relative_to((4,))
        Box(start=(1,), stop=(5,))
        """
        return type(self)(
            tuple(start - zero for start, zero in zip(self.start, origin, strict=True)),
            tuple(stop - zero for stop, zero in zip(self.stop, origin, strict=True)),
        )

    def middle(self, most: Sequence[int]) -> Self:
        """The middle of the region, of at most so many pixels per axis.

        >>> Box((0, 10), (100, 2010)).middle((1024, 1024))
        Box(start=(0, 498), stop=(100, 1522))
        """
        sizes = tuple(map(min, self.shape, most))
        start = tuple(zero + (have - size) // 2 for zero, have, size in zip(self.start, self.shape, sizes, strict=True))
        return type(self)(start, tuple(zero + size for zero, size in zip(start, sizes, strict=True)))

    def grown(self, margin: Sequence[int], shape: Sequence[int]) -> Self:
        """The region with a margin on every side, as far as an image of this shape reaches.

        >>> Box((0, 4), (2, 6)).grown((1, 3), (8, 8))
        Box(start=(0, 1), stop=(3, 8))
        """
        return type(self)(
            tuple(max(start - more, 0) for start, more in zip(self.start, margin, strict=True)),
            tuple(min(stop + more, size) for stop, more, size in zip(self.stop, margin, shape, strict=True)),
        )


class Reader(Protocol):
    """An image that is read by region: axes C(Z)YX."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis, channels first."""

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region inside the image."""


class Writer(Protocol):
    """An image that is written by region: axes C(Z)YX."""

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels of a region."""


@dataclass(frozen=True)
class ArrayReader:
    """An array in memory as a `Reader`."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis, channels first."""
        return self.array.shape

    def read(self, box: Box) -> NDArray[Any]:
        """Return a view of a region."""
        return self.array[box.slices]


@dataclass(frozen=True)
class ArrayWriter:
    """An array in memory as a `Writer`."""

    array: NDArray[Any]

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels of a region."""
        self.array[box.slices] = array


def covering_boxes(mask: NDArray[np.bool_], margin: Sequence[float]) -> list[Box]:
    """Boxes without overlap around the true elements of a mask, for work that reads a margin around each box.

    Parameters
    ----------
    mask : any axes, bool
    margin : in elements of `mask`, one number per axis
        Read on each side of a box, as far as the array reaches.

    Returns
    -------
    list of Box
        None where nothing is true. Boxes are cut in two as long as that leaves less to read.

    Examples
    --------
    >>> mask = np.array([[1, 0, 0, 0, 0, 1]], bool)
    >>> covering_boxes(mask, (0, 1))               # reads 2 and 2 in place of 6
    [Box(start=(0, 0), stop=(1, 1)), Box(start=(0, 5), stop=(1, 6))]
    >>> covering_boxes(mask, (0, 2))               # 3 and 3 are no less
    [Box(start=(0, 0), stop=(1, 6))]
    """
    whole = Box((0,) * mask.ndim, mask.shape)

    def read(box: Box) -> float:
        sides = zip(box.start, box.stop, mask.shape, margin, strict=True)
        return math.prod(float(min(stop + more, size) - max(start - more, 0)) for start, stop, size, more in sides)

    found, waiting = [], [_shrunk(mask, whole)] if mask.any() else []
    while waiting:
        box = waiting.pop()
        halves = min(_cuts(mask, box), key=lambda pair: sum(map(read, pair)), default=[box])
        if sum(map(read, halves)) < read(box):
            waiting += reversed(halves)
        else:
            found.append(box)
    return found


def _shrunk(mask: NDArray[np.bool_], box: Box) -> Box:
    """The smallest box around the true elements in a box."""
    axes = range(mask.ndim)
    inside = mask[box.slices]
    places = [np.flatnonzero(inside.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return Box(
        tuple(start + int(found[0]) for start, found in zip(box.start, places, strict=True)),
        tuple(start + int(found[-1]) + 1 for start, found in zip(box.start, places, strict=True)),
    )


def _cuts(mask: NDArray[np.bool_], box: Box) -> Iterator[list[Box]]:
    """Pairs of boxes that a box can be cut into, each shrunk to its true elements."""
    for axis, (start, stop) in enumerate(zip(box.start, box.stop, strict=True)):
        for at in range(start + 1, stop):
            end, begin = list(box.stop), list(box.start)
            end[axis] = begin[axis] = at
            yield [_shrunk(mask, Box(box.start, tuple(end))), _shrunk(mask, Box(tuple(begin), box.stop))]


def face(array: NDArray[Any], axis: int, side: int) -> NDArray[Any]:
    """The outermost pixels of an array on one side.

    >>> face(np.array([[1, 2], [3, 4]]), 1, 0)
    array([1, 3])
    """
    outermost: NDArray[Any] = array.take(-side, axis=axis)
    return outermost


def two_parts(size: int, part: int) -> tuple[int, int]:
    """First pixels of two parts of an axis, each in the middle of a half, as far as it does not reach outside.

    Parameters
    ----------
    size : pixels of the axis
    part : pixels of each part, at most `size`

    Examples
    --------
    >>> two_parts(1000, 256), two_parts(300, 256)
    ((122, 622), (0, 44))
    """
    return max(0, size // 4 - part // 2), min(size - part, 3 * size // 4 - part // 2)
