"""Parts of large images that stand for the whole: spread evenly, and objects that they cut left out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box, face
from biounet.core.labels import IGNORE
from biounet.data.dataset import Pair
from biounet.data.out_of_core import WHOLE, pixels_of, row_pixels

__all__ = ["Crop", "choose_parts", "choose_validated", "limit_pixels", "spread_crops"]


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


PARTS, PART_ROWS = 4, 512
"""Of a large image so many parts are validated on, or fewer, so that each has so many rows."""


def choose_validated(
    held_out: Sequence[Pair], *, most: float, labelled: Callable[[Pair], bool]
) -> tuple[Sequence[Pair], list[str]]:
    """Choose what is validated on of the images held out: parts of them by `choose_parts`, or some by `limit_pixels`.

    Parameters and what is returned are as of these two.
    """
    parts, divided = choose_parts(held_out, most=most, labelled=labelled)
    chosen, said = limit_pixels(parts, most=most)
    return chosen, [*divided, *said]


def limit_pixels(held_out: Sequence[Pair], *, most: float) -> tuple[Sequence[Pair], list[str]]:
    """Choose what is validated on of the images held out: it lies in memory, and is predicted at every report.

    Parameters
    ----------
    held_out : images
    most : pixels, channels left out
        A matter of the settings, so that a run is the same on every machine.

    Returns
    -------
    held_out : no more of them than have room, one at least, spread evenly
        None that has no room by itself, unless all are so large: then the smallest. See `choose_parts`.
    notes : what a person should know; none if all have room

    Examples
    --------
    >>> from pathlib import Path
    >>> images = [Pair(name, Path(name), (), "", shape=(1, 10, 10)) for name in "abcdef"]
    >>> chosen, (note,) = limit_pixels(images, most=350)
    >>> [pair.name for pair in chosen], note
    (['a', 'c', 'e'], 'of 6 images held out, 3 are validated on: train.validation_pixels has room for no more')
    """
    pixels = sum(map(pixels_of, held_out))
    if pixels <= most:
        return held_out, []
    small = [pair for pair in held_out if pixels_of(pair) <= most] or [min(held_out, key=pixels_of)]
    count = max(1, min(len(small), int(len(held_out) * most / pixels)))
    while count > 1 and sum(map(pixels_of, _spread(small, count))) > most:
        count -= 1
    note = f"of {len(held_out)} images held out, {count} are validated on: train.validation_pixels has room for no more"
    return _spread(small, count), [note]


def choose_parts(
    held_out: Sequence[Pair], *, most: float, labelled: Callable[[Pair], bool]
) -> tuple[Sequence[Pair], list[str]]:
    """Choose rows to validate on, where every image held out is so large that it has to be divided.

    Parameters
    ----------
    held_out, most : as of `limit_pixels`
    labelled : (some rows of an image) -> whether any of their pixels has a label

    Returns
    -------
    held_out : up to `PARTS` with labels, spread evenly, each an image of its own
        All as they are, unless all of them are that large.
    notes : what a person should know

    Examples
    --------
    >>> from pathlib import Path
    >>> image = Pair("a", Path("a.tif"), (), "a", shape=(1, 60_000, 60_000), rows=(45_000, 60_000))
    >>> chosen, (note,) = choose_parts([image], most=2**26, labelled=lambda part: part.rows[0] > 50_000)
    >>> [part.name for part in chosen], note.partition(":")[0]
    (['a, rows 52267 to 52825', 'a, rows 56739 to 57297'], 'of the rows held out 2 x 559 are validated on')
    """
    if not held_out or min(map(pixels_of, held_out)) <= max(most, WHOLE):
        return held_out, []
    count = max(1, min(PARTS, int(most / max(map(row_pixels, held_out))) // PART_ROWS))
    parts = [part for pair in held_out for part in _parts_of(pair, max(1, int(most / count) // row_pixels(pair)))]
    parts = list(filter(labelled, parts)) or parts
    count = min(count, len(parts))
    chosen = [parts[(2 * number + 1) * len(parts) // (2 * count)] for number in range(count)]
    first, last = chosen[0].extent
    note = (
        f"of the rows held out {count} x {last - first} are validated on: train.validation_pixels has room for no more"
    )
    return chosen, [note]


def _parts_of(pair: Pair, rows: int) -> list[Pair]:
    """Divide an image along Y into as many parts of so many rows as there are; what is left is of none."""
    start, stop = pair.extent
    return [
        replace(pair, name=f"{pair.name}, rows {top} to {top + rows - 1}", rows=(top, top + rows))
        for top in range(start, stop - rows + 1, rows)
    ]


def _spread(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """So many of some images, spread evenly."""
    return [pairs[number * len(pairs) // count] for number in range(count)]
