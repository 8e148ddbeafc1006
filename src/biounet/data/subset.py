"""Crops of large images to validate or tune on, spread evenly, without the objects that they cut."""

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
from biounet.data.out_of_core import SIZES, pixels_of, row_pixels

__all__ = ["Crop", "choose_strips", "choose_validated", "limit_pixels", "spread_crops"]


SPREAD = (0.6180, 0.8192, 0.7549, 0.5698)
"""Steps per image, and per crop along Z, Y and X: the sum of a crop's steps, modulo 1, is its place in the order."""


@dataclass(frozen=True)
class Crop:
    """A box inside an image, and the objects that its faces cut.

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
        """View of an array (..., *spatial) inside the box."""
        inside: tuple[Any, ...] = (..., *self.box.slices)
        view: NDArray[Any] = array[inside]
        return view

    def without_cut(self, labels: NDArray[Any], instead: int) -> NDArray[Any]:
        """Labels with another number in place of objects that reach, or may reach, beyond the box."""
        cut = [face(labels, axis, side).reshape(-1) for axis, side in self._faces_inside()]
        if not cut:
            return labels
        numbers = np.unique(np.concatenate(cut))
        return np.where(np.isin(labels, numbers[numbers > 0]), instead, labels.astype(np.int64))

    def _faces_inside(self) -> Iterator[tuple[int, int]]:
        """Axis and side (0 or 1) of each face of the box that is no edge of the image."""
        for axis, (start, stop, size) in enumerate(zip(self.box.start, self.box.stop, self.shape, strict=True)):
            yield from ((axis, side) for side, goes_on in ((0, start > 0), (1, stop < size)) if goes_on)


def spread_crops(labels: Sequence[NDArray[Any]], *, pixels: float, side: float, least: int = 2**18) -> list[Crop]:
    """Crops of images on which objects are compared.

    Parameters
    ----------
    labels : (*spatial) integers each
        Negative is IGNORE.
    pixels : most of all crops together
    side : pixels along each axis of a crop, at least, if images have as many
    least : pixels of a crop, at least, if images have as many
        The default is 512 x 512, or 64 x 64 x 64.

    Returns
    -------
    list of Crop
        All images, if they have no more pixels. Otherwise images are divided evenly into crops, small images into one;
        crops without any known pixel are left out. As many crops are chosen as fit, in an order that spreads over
        images and over each image (the additive recurrence of Roberts 2018); the first with a whole object comes
        first. Whole images, if no crop holds a whole object. The same input gives the same crops.

    Examples
    --------
    >>> image = np.kron(np.arange(1, 17).reshape(4, 4), np.pad(np.ones((510, 510), int), 1))
    >>> [crop.box.start for crop in spread_crops([image], pixels=2**20, side=100)]
    [(0, 0), (0, 1024), (1024, 512), (1024, 1536)]
    """
    whole = [Crop(number, Box((0,) * one.ndim, one.shape), one.shape) for number, one in enumerate(labels)]
    if sum(one.size for one in labels) <= pixels:
        return whole
    every = (crop for number, one in enumerate(labels) for crop in _divide(number, one.shape, side, least))
    crops = [crop for crop, _ in sorted(every, key=itemgetter(1)) if (crop.of(labels[crop.image]) >= 0).any()]
    first = next((crop for crop in crops if _holds_object(crop, labels[crop.image])), None)
    if first is None:
        return whole
    chosen, left = [first], pixels - prod(first.box.shape)
    for crop in crops:
        if crop is not first and prod(crop.box.shape) <= left:
            chosen.append(crop)
            left -= prod(crop.box.shape)
    return sorted(chosen, key=lambda crop: (crop.image, crop.box.start))


def _divide(number: int, shape: tuple[int, ...], side: float, least: int) -> Iterator[tuple[Crop, float]]:
    """Crops that cover an image, each with its place in the order in which crops are chosen."""
    shortest = max(side, least ** (1 / len(shape)))
    counts = [max(1, int(size // shortest)) for size in shape]
    ends = [np.linspace(0, size, count + 1).astype(int).tolist() for size, count in zip(shape, counts, strict=True)]
    for index in product(*map(range, counts)):
        sides = [(end[at], end[at + 1]) for end, at in zip(ends, index, strict=True)]
        start, stop = zip(*sides, strict=True)
        position = (number, *(0,) * (3 - len(shape)), *index)
        place = sum(step * at for step, at in zip(SPREAD, position, strict=True)) % 1
        yield Crop(number, Box(start, stop), shape), place


def _holds_object(crop: Crop, labels: NDArray[Any]) -> bool:
    """Whether a crop holds a whole object."""
    return bool((crop.without_cut(crop.of(labels), IGNORE) > 0).any())


def choose_validated(
    held_out: Sequence[Pair], *, most: float, labelled: Callable[[Pair], bool]
) -> tuple[Sequence[Pair], list[str]]:
    """Images held out that are validated on, or strips of large ones, and notes for people.

    See `choose_strips` and `limit_pixels`, which are applied one after the other, for the parameters.
    """
    divided, notes = choose_strips(held_out, most=most, labelled=labelled)
    chosen, more = limit_pixels(divided, most=most)
    return chosen, [*notes, *more]


def limit_pixels(held_out: Sequence[Pair], *, most: float) -> tuple[Sequence[Pair], list[str]]:
    """Images held out that are validated on, spread evenly, and notes for people.

    Images to validate on lie in memory, and are predicted at every report.

    Parameters
    ----------
    held_out : images
    most : pixels of all images together, whatever the number of channels
        It comes from the settings, not from the memory, so that a run is the same on every machine.

    Returns
    -------
    held_out : at least one image, and no more than `most` pixels
        Images that alone have more pixels are left out. If all have more, the smallest is validated on.
    notes : what a person should know; none if all images are validated on

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


def choose_strips(
    held_out: Sequence[Pair],
    *,
    most: float,
    labelled: Callable[[Pair], bool],
    count: int = 4,
    rows: int = 512,
    undivided: int = SIZES.undivided,
) -> tuple[Sequence[Pair], list[str]]:
    """Strips of the images held out, where all of these are too large to validate on, and notes for people.

    Parameters
    ----------
    held_out, most : as of `limit_pixels`
    labelled : (some rows of an image) -> whether any of their pixels has a label
    count : most strips
    rows : of a strip
        If `most` has no room for `count` strips of so many rows, fewer strips are chosen.
    undivided : pixels; images that have no more are never divided

    Returns
    -------
    held_out : strips with labels, spread evenly, each an image of its own
        The images as they are, unless all of them have more than `most` pixels.
    notes : what a person should know; none if no image is divided

    Examples
    --------
    >>> from pathlib import Path
    >>> image = Pair("a", Path("a.tif"), (), "a", shape=(1, 60_000, 60_000), rows=(45_000, 60_000))
    >>> chosen, (note,) = choose_strips([image], most=2**26, labelled=lambda strip: strip.rows[0] > 50_000)
    >>> [strip.name for strip in chosen], note.partition(":")[0]
    (['a, rows 52267 to 52825', 'a, rows 56739 to 57297'], 'of the rows held out 2 x 559 are validated on')
    """
    if not held_out or min(map(pixels_of, held_out)) <= max(most, undivided):
        return held_out, []
    count = max(1, min(count, int(most / max(map(row_pixels, held_out))) // rows))
    strips = [strip for pair in held_out for strip in _strips_of(pair, max(1, int(most / count) // row_pixels(pair)))]
    strips = list(filter(labelled, strips)) or strips
    count = min(count, len(strips))
    chosen = [strips[(2 * number + 1) * len(strips) // (2 * count)] for number in range(count)]
    first, last = chosen[0].extent
    note = (
        f"of the rows held out {count} x {last - first} are validated on: train.validation_pixels has room for no more"
    )
    return chosen, [note]


def _strips_of(pair: Pair, rows: int) -> list[Pair]:
    """Strips of an image with so many rows each; fewer rows at the end belong to none."""
    start, stop = pair.extent
    return [
        replace(pair, name=f"{pair.name}, rows {top} to {top + rows - 1}", rows=(top, top + rows))
        for top in range(start, stop - rows + 1, rows)
    ]


def _spread(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """Choose so many images, spread evenly."""
    return [pairs[number * len(pairs) // count] for number in range(count)]
