"""Statistics of training images, each computed in one pass: size, class counts, hashes, extent of the objects."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from operator import mul
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from biounet.core.components import dense_numbers
from biounet.core.geometry import Span, hull

__all__ = ["Extents", "ImageStatistics", "median_spacing", "total_counts"]


LEVELS, FARTHEST = 2**16, 8.0
"""Number of histogram bins, and the largest normalised intensity that they reach to either side of 0."""

ENDS = (0.01, 0.998)
"""Shares of the pixels below the darkest and the brightest intensity of an image."""

COLUMNS = 1024
"""Columns that a histogram counts at most about; of an image twice as wide it counts every second column."""

Rows = tuple[NDArray[Any], NDArray[Any], NDArray[np.integer[Any]]]
"""Rows of an image (C, *spatial), of its labels, and of the target (*spatial)."""


@dataclass(frozen=True)
class ImageStatistics:
    """Size, class counts and hashes of an annotated image, kept when memory does not hold the image.

    Parameters
    ----------
    name : of the image
    shape : (C, *spatial) of the image
    counts : pixels that are unknown, and of each class up to the highest that occurs
    image_hash : SHA-256 of the pixels
    hash : SHA-256 of pixels, labels and target
    extent : in units of the normalised intensities
        Distance of percentiles 1 and 99.8, in the channel where it is smallest; in steps of 1/4096, of intensities
        between -8 and 8.

    Examples
    --------
    >>> labels = np.array([[0, 2, 2, -1]])
    >>> ImageStatistics.of("a", np.zeros((1, 1, 4)), labels, labels).counts.tolist()
    [1, 1, 0, 2]
    """

    name: str
    shape: tuple[int, ...]
    counts: NDArray[np.int64]
    image_hash: str
    hash: str
    extent: float = inf

    @classmethod
    def of(cls, name: str, image: NDArray[Any], labels: NDArray[Any], target: NDArray[np.integer[Any]]) -> Self:
        """Statistics of an image (C, *spatial), its labels, and the target (*spatial), where negative is unknown."""
        return cls.joined(name, [(image, labels, target)])

    @classmethod
    def joined(cls, name: str, strips: Iterable[Rows]) -> Self:
        """Statistics of an image, labels and target in strips from top to bottom; equal to those of the whole image.

        >>> labels = np.array([[0, 2], [-1, 1]])
        >>> strips = [(part, part, part) for part in (labels[:1], labels[1:])]
        >>> ImageStatistics.joined("a", strips).hash == ImageStatistics.of("a", labels, labels, labels).hash
        True
        """
        hashes, counts, histogram = [_Hash() for _ in range(3)], np.zeros(1, np.int64), _Histogram()
        for strip in strips:
            histogram.add(strip[0])
            for one, array in zip(hashes, strip, strict=True):
                one.add(array)
            more = np.bincount(np.maximum(strip[2], -1).ravel() + 1, minlength=len(counts))
            more[: len(counts)] += counts
            counts = more
        each = [one.hexdigest() for one in hashes]
        together = hashlib.sha256("".join(each).encode()).hexdigest()
        return cls(name, hashes[0].shape, counts, each[0], together, histogram.extent())

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


class _Hash:
    """SHA-256 of the type, shape and contents of an array, row by row, so that it may come in strips."""

    def __init__(self) -> None:
        self._sum, self._kind = hashlib.sha256(), ""
        self.shape: tuple[int, ...] = ()

    def add(self, strip: NDArray[Any]) -> None:
        """Add the next rows, along the last axis but one."""
        rows = strip.shape[-2] + (self.shape[-2] if self.shape else 0)
        self.shape, self._kind = (*strip.shape[:-2], rows, strip.shape[-1]), str(strip.dtype)
        self._sum.update(np.ascontiguousarray(np.moveaxis(strip, -2, 0)).data)

    def hexdigest(self) -> str:
        """Hash of all rows."""
        whole = self._sum.copy()
        whole.update(f"{self._kind} {self.shape}".encode())
        return whole.hexdigest()


class _Histogram:
    """Histogram of each channel of an image, counted strip by strip."""

    def __init__(self) -> None:
        self._counts = np.zeros((1, LEVELS), np.int64)

    def add(self, strip: NDArray[Any]) -> None:
        """Count the pixels of the next rows, (C, *spatial)."""
        some = strip[..., :: max(1, strip.shape[-1] // COLUMNS)]
        self._counts = self._counts + np.stack([np.bincount(_level_of(channel), minlength=LEVELS) for channel in some])

    def extent(self) -> float:
        """Smallest distance of the percentiles `ENDS` over the channels, channels left out in which they coincide."""
        shares = self._counts.cumsum(axis=1) / self._counts.sum(axis=1, keepdims=True)
        ends = [np.searchsorted(share, ENDS) for share in shares]
        apart = [int(last - first) for first, last in ends if last > first]
        return min(apart) * 2 * FARTHEST / LEVELS if apart else inf


def _level_of(channel: NDArray[Any]) -> NDArray[np.uint16]:
    """Histogram bin of each pixel."""
    scaled = (channel.ravel() + FARTHEST) * (LEVELS / (2 * FARTHEST))
    return np.clip(scaled, 0, LEVELS - 1).astype(np.uint16)


class Extents:
    """Bounding boxes of the objects of an image that comes in strips, each box around the whole object.

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
        """Find the objects in the next strip, (Y, X) or (Z, Y, X): positive numbers."""
        numbers = dense_numbers(objects)  # for find_objects makes a list as long as the largest number
        names = np.zeros(1 + int(numbers.max(initial=0)), np.int64)
        names[numbers.ravel()] = objects.ravel()
        above = [0] * objects.ndim
        above[-2] = self._rows
        for name, sides in zip(names[1:].tolist(), find_objects(numbers), strict=True):
            if sides is not None:
                box = [(side.start + rows, side.stop - 1 + rows) for side, rows in zip(sides, above, strict=True)]
                self._boxes[name] = list(map(hull, box, self._boxes.get(name, box)))
        self._rows += objects.shape[-2]

    def longest_sides(self, steps: Sequence[float] | None = None) -> list[float]:
        """Longest side of the bounding box of each object, in pixels along X; `steps`: size of a pixel per axis."""
        boxes = ([last - first + 1 for first, last in box] for box in self._boxes.values())
        return [max(map(mul, box, steps or [1] * len(box))) for box in boxes]


def median_spacing(spacings: Sequence[tuple[float, ...] | None]) -> tuple[float, ...] | None:
    """Median pixel size along each axis; None if that of any image is unknown.

    >>> median_spacing([(0.5, 0.1), (0.5, 0.1), (0.3, 0.2)]), median_spacing([(0.1, 0.1), None])
    ((0.5, 0.1), None)
    """
    known = [spacing for spacing in spacings if spacing is not None]
    return tuple(np.median(known, axis=0).tolist()) if known and len(known) == len(spacings) else None
