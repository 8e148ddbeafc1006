"""Regions, and what is read and written by region."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from numpy.typing import NDArray

__all__ = ["ArrayReader", "ArrayWriter", "Box", "Reader", "Writer"]


@dataclass(frozen=True)
class Box:
    """A rectangular region: ``start`` included, ``stop`` excluded, one number per axis.

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
        """Return the same region in coordinates that begin at `origin`.

        >>> Box((5,), (9,)).relative_to((4,))
        Box(start=(1,), stop=(5,))
        """
        return type(self)(
            tuple(start - zero for start, zero in zip(self.start, origin, strict=True)),
            tuple(stop - zero for stop, zero in zip(self.stop, origin, strict=True)),
        )

    def grown(self, margin: Sequence[int], shape: Sequence[int]) -> Self:
        """Return the region with a margin on every side, as far as an image of this shape reaches.

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
