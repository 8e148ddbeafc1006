"""What one look at an image to learn from tells: its size, how often each class occurs, digests of its pixels."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from biounet.core.components import dense_numbers
from biounet.core.geometry import Span, hull

__all__ = ["Extents", "ImageStatistics", "total_counts"]


LEVELS, FARTHEST = 2**16, 8.0
"""Grey levels between minus and plus the greatest intensity that are told apart."""

COLUMNS = 1024
"""Of images that are so often wider every second, third, ... column tells."""

Rows = tuple[NDArray[Any], NDArray[Any], NDArray[np.integer[Any]]]
"""Some rows of an image (C, *spatial), of its labels, and of the target (*spatial)."""


@dataclass(frozen=True)
class ImageStatistics:
    """What is kept of an image, where memory may not hold all of them.

    Parameters
    ----------
    name : of the image
    shape : (C, *spatial) of the image
    counts : pixels that are unknown, and of each class up to the highest that occurs
    image_digest : SHA-256 of the pixels
    digest : SHA-256 of pixels, labels and target
    extent : of the normalised intensities
        How far percentiles 1 and 99.8 are apart, in the channel where they are nearest to each other; in steps of
        1/4096, and of intensities between -8 and 8.

    Examples
    --------
    >>> labels = np.array([[0, 2, 2, -1]])
    >>> ImageStatistics.of("a", np.zeros((1, 1, 4)), labels, labels).counts.tolist()
    [1, 1, 0, 2]
    """

    name: str
    shape: tuple[int, ...]
    counts: NDArray[np.int64]
    image_digest: str
    digest: str
    extent: float = inf

    @classmethod
    def of(cls, name: str, image: NDArray[Any], labels: NDArray[Any], target: NDArray[np.integer[Any]]) -> Self:
        """Look at an image (C, *spatial), its labels, and the target (*spatial), of which negative is unknown."""
        return cls.joined(name, [(image, labels, target)])

    @classmethod
    def joined(cls, name: str, bands: Iterable[Rows]) -> Self:
        """Look at an image, labels and target in bands that follow each other along Y; the same as of the whole.

        >>> labels = np.array([[0, 2], [-1, 1]])
        >>> bands = [(part, part, part) for part in (labels[:1], labels[1:])]
        >>> ImageStatistics.joined("a", bands).digest == ImageStatistics.of("a", labels, labels, labels).digest
        True
        """
        hashes, counts, levels = [_Digest() for _ in range(3)], np.zeros(1, np.int64), _Levels()
        for band in bands:
            levels.add(band[0])
            for digest, array in zip(hashes, band, strict=True):
                digest.add(array)
            more = np.bincount(np.maximum(band[2], -1).ravel() + 1, minlength=len(counts))
            more[: len(counts)] += counts
            counts = more
        each = [digest.hexdigest() for digest in hashes]
        together = hashlib.sha256("".join(each).encode()).hexdigest()
        return cls(name, hashes[0].shape, counts, each[0], together, levels.extent())

    @property
    def classes(self) -> int:
        """One more than the highest class that occurs."""
        return len(self.counts) - 1


def total_counts(statistics: Iterable[ImageStatistics], classes: int) -> NDArray[np.int64]:
    """Pixels of all images that are unknown, and of each class; (1 + classes,).

    >>> labels = np.array([[0, 1, -1]])
    >>> total_counts([ImageStatistics.of("a", labels, labels, labels)] * 2, classes=3).tolist()
    [2, 2, 2, 0]
    """
    counts = np.zeros(1 + classes, np.int64)
    for image in statistics:
        counts[: len(image.counts)] += image.counts
    return counts


class _Digest:
    """SHA-256 of the type, shape and contents of an array, row by row, so that it may come in bands."""

    def __init__(self) -> None:
        self._sum, self._kind = hashlib.sha256(), ""
        self.shape: tuple[int, ...] = ()

    def add(self, band: NDArray[Any]) -> None:
        """Add the next rows, those along the last axis but one."""
        rows = band.shape[-2] + (self.shape[-2] if self.shape else 0)
        self.shape, self._kind = (*band.shape[:-2], rows, band.shape[-1]), str(band.dtype)
        self._sum.update(np.ascontiguousarray(np.moveaxis(band, -2, 0)).data)

    def hexdigest(self) -> str:
        """The digest of all rows."""
        whole = self._sum.copy()
        whole.update(f"{self._kind} {self.shape}".encode())
        return whole.hexdigest()


class _Levels:
    """How many pixels of each channel have which grey level, counted band by band."""

    def __init__(self) -> None:
        self._counts = np.zeros((1, LEVELS), np.int64)

    def add(self, band: NDArray[Any]) -> None:
        """Count the pixels of the next rows, (C, *spatial)."""
        some = band[..., :: max(1, band.shape[-1] // COLUMNS)]
        self._counts = self._counts + np.stack([np.bincount(_level_of(channel), minlength=LEVELS) for channel in some])

    def extent(self, *, low: float = 1.0, high: float = 99.8) -> float:
        """How far percentiles are apart in the channel where that is least, those left out where they coincide."""
        shares = self._counts.cumsum(axis=1) / self._counts.sum(axis=1, keepdims=True)
        ends = [np.searchsorted(share, (low / 100, high / 100)) for share in shares]
        apart = [int(last - first) for first, last in ends if last > first]
        return min(apart) * 2 * FARTHEST / LEVELS if apart else inf


def _level_of(channel: NDArray[Any]) -> NDArray[np.uint16]:
    """Grey level of each pixel."""
    scaled = (channel.ravel() + FARTHEST) * (LEVELS / (2 * FARTHEST))
    return np.clip(scaled, 0, LEVELS - 1).astype(np.uint16)


class Extents:
    """Boxes around the objects of an image, each found as a whole whichever bands it lies in.

    Examples
    --------
    >>> extents = Extents()
    >>> extents.add(np.array([[0, 7, 7], [0, 0, 7]]))
    >>> extents.add(np.array([[0, 0, 7], [3, 0, 7]]))
    >>> extents.longest_sides()
    [4, 1]
    """

    def __init__(self) -> None:
        self._boxes: dict[int, list[Span]] = {}  # by the number of the object
        self._rows = 0

    def add(self, objects: NDArray[Any]) -> None:
        """Find the objects in the next band, (Y, X) or (Z, Y, X): positive numbers."""
        numbers = dense_numbers(objects)  # for find_objects makes a list as long as the largest is
        names = np.zeros(1 + int(numbers.max(initial=0)), np.int64)
        names[numbers.ravel()] = objects.ravel()
        above = [0] * objects.ndim
        above[-2] = self._rows
        for name, sides in zip(names[1:].tolist(), find_objects(numbers), strict=True):
            if sides is not None:
                box = [(side.start + rows, side.stop - 1 + rows) for side, rows in zip(sides, above, strict=True)]
                self._boxes[name] = list(map(hull, box, self._boxes.get(name, box)))
        self._rows += objects.shape[-2]

    def longest_sides(self) -> list[int]:
        """Longest side of the box around each object, in pixels."""
        return [max(last - first + 1 for first, last in box) for box in self._boxes.values()]
