"""Parts of large images that stand for the whole: spread evenly, and objects that they cut left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config import IGNORE
from biounet.geometry import Box
from biounet.postprocess.regions import face

__all__ = ["Crop", "spread_crops"]

LEAST = 2**18
"""Pixels of a part, at least, if images have as many: 512 x 512, or 64 x 64 x 64."""

SPREAD = (0.6180, 0.8192, 0.7549, 0.5698)
"""Steps of images, and along Z, Y and X; places where they add up to least, whole numbers aside, lie far apart."""


@dataclass(frozen=True)
class Crop:
    """A part of an image.

    Parameters
    ----------
    image : number of the image
    box : where it lies
    shape : pixels per axis of the image

    Examples
    --------
    >>> crop = Crop(0, Box((0, 2), (1, 6)), (1, 8))
    >>> crop.of(np.array([[1, 1, 1, 2, 0, 3, 3, 3]]))
    array([[1, 2, 0, 3]])
    >>> crop.without_cut(np.array([[1, 2, 0, 3]]), IGNORE)
    array([[-1,  2,  0, -1]])
    """

    image: int
    box: Box
    shape: tuple[int, ...]

    def of(self, array: NDArray[Any]) -> NDArray[Any]:
        """The part of an array (..., *spatial)."""
        place: tuple[Any, ...] = (..., *self.box.slices)
        part: NDArray[Any] = array[place]
        return part

    def without_cut(self, labels: NDArray[Any], instead: int) -> NDArray[Any]:
        """Put a number in place of the objects that go on, or may, beyond a face inside the image."""
        cut = [face(labels, axis, side).reshape(-1) for axis, side in self._faces_inside()]
        if not cut:
            return labels
        numbers = np.unique(np.concatenate(cut))
        return np.where(np.isin(labels, numbers[numbers > 0]), instead, labels.astype(np.int64))

    def _faces_inside(self) -> Iterator[tuple[int, int]]:
        """Axis and side (0 or 1) of each face beyond which the image goes on."""
        for axis, (start, stop, size) in enumerate(zip(self.box.start, self.box.stop, self.shape, strict=True)):
            yield from ((axis, side) for side, goes_on in ((0, start > 0), (1, stop < size)) if goes_on)


def spread_crops(labels: Sequence[NDArray[Any]], *, pixels: float, side: float) -> list[Crop]:
    """Choose parts of images on which objects are compared.

    Parameters
    ----------
    labels : (*spatial) integers each
        Negative is IGNORE.
    pixels : most of all parts together
    side : pixels along each axis of a part, at least, if images have as many

    Returns
    -------
    list of Crop
        All images, if they have no more pixels. Else images are divided evenly into parts, of which those without any
        known pixel are left out; small images are one part. Of the others as many as fit, in an order that spreads
        over images and over each image (the additive recurrence of Roberts 2018); the first with a whole object comes
        first. Whole images, if no part holds a whole object. The same input gives the same parts.

    Examples
    --------
    >>> image = np.kron(np.arange(1, 17).reshape(4, 4), np.pad(np.ones((510, 510), int), 1))
    >>> [crop.box.start for crop in spread_crops([image], pixels=2**20, side=100)]
    [(0, 0), (0, 1024), (1024, 512), (1024, 1536)]
    """
    whole = [Crop(number, Box((0,) * one.ndim, one.shape), one.shape) for number, one in enumerate(labels)]
    if sum(one.size for one in labels) <= pixels:
        return whole
    parts = (part for number, one in enumerate(labels) for part in _parts(number, one.shape, side))
    crops = [crop for crop, _ in sorted(parts, key=itemgetter(1)) if (crop.of(labels[crop.image]) >= 0).any()]
    first = next((crop for crop in crops if _holds_object(crop, labels[crop.image])), None)
    if first is None:
        return whole
    chosen, left = [first], pixels - prod(first.box.shape)
    for crop in crops:
        if crop is not first and prod(crop.box.shape) <= left:
            chosen.append(crop)
            left -= prod(crop.box.shape)
    return sorted(chosen, key=lambda crop: (crop.image, crop.box.start))


def _parts(number: int, shape: tuple[int, ...], side: float) -> Iterator[tuple[Crop, float]]:
    """The parts of an image, each with its place in the order in which they are chosen."""
    least = max(side, LEAST ** (1 / len(shape)))
    counts = [max(1, int(size // least)) for size in shape]
    ends = [np.linspace(0, size, count + 1).astype(int).tolist() for size, count in zip(shape, counts, strict=True)]
    for index in product(*map(range, counts)):
        sides = [(end[at], end[at + 1]) for end, at in zip(ends, index, strict=True)]
        start, stop = zip(*sides, strict=True)
        place = (number, *(0,) * (3 - len(shape)), *index)
        key = sum(step * at for step, at in zip(SPREAD, place, strict=True)) % 1
        yield Crop(number, Box(start, stop), shape), key


def _holds_object(crop: Crop, labels: NDArray[Any]) -> bool:
    """Whether an object lies in a part as a whole."""
    return bool((crop.without_cut(crop.of(labels), IGNORE) > 0).any())
