"""Images that memory does not hold whole are read in bands along Y, each with what lies around it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.folders import Pair
from biounet.folders.labels import counted_axis
from biounet.frames import Frame, measure
from biounet.images import open_lazily
from biounet.normalize import Normalization

__all__ = ["WHOLE", "Band", "band_rows", "bytes_to_make", "measure_whole", "pixels_of", "read_bands", "row_pixels"]

WHOLE = 2**24
"""Pixels; images that have no more are never divided."""

HALO = 64
"""Rows around a band that are read with it at least: border weights of the paper reach 26 pixels."""

MAKING = 80
"""Bytes per pixel that target and weights take while they are made, beside 8 per channel for the image."""


@dataclass(frozen=True)
class Band:
    """Some rows of an image, read with those around them.

    image : (C, *spatial), of the type in the file
    labels : (*spatial), integers
    own : of the rows that were read, those of the band
    cut : numbers of objects in the band that reach farther than what was read, or may do so
    """

    image: NDArray[Any]
    labels: NDArray[Any]
    own: slice
    cut: NDArray[Any]


def bytes_to_make(pair: Pair) -> int:
    """What an image takes while what training needs of it is made; 0 of one that is too small to be divided."""
    pixels = pixels_of(pair)
    return pixels * _bytes_per_pixel(pair) if pixels > WHOLE else 0


def band_rows(pair: Pair, *, memory: float) -> int | None:
    """How many rows of an image are read at a time, those around a band included; None if all of it.

    Parameters
    ----------
    pair : Pair
    memory : bytes that they may take; less than none, where others take too much
        At least 256 rows are read, whatever they take.

    Examples
    --------
    >>> from pathlib import Path
    >>> pair = Pair("a", Path("a.tif"), (), "a", shape=(1, 60_000, 60_000))
    >>> band_rows(pair, memory=8e9), band_rows(pair, memory=4e11)
    (1515, None)
    """
    if bytes_to_make(pair) <= max(0, memory):
        return None
    return max(4 * HALO, int(memory / (row_pixels(pair) * _bytes_per_pixel(pair))))


def pixels_of(pair: Pair) -> int:
    """Pixels of an image, or of its rows, channels left out."""
    first, last = pair.extent
    return row_pixels(pair) * (last - first)


def row_pixels(pair: Pair) -> int:
    """Pixels of a row, through all sections."""
    *sections, _, columns = pair.shape[1:]
    return prod(sections) * columns


def _bytes_per_pixel(pair: Pair) -> int:
    return MAKING + 8 * pair.channels


def read_bands(
    load: Callable[[Pair], tuple[NDArray[Any], NDArray[Any]]], pair: Pair, rows: int, *, whole_objects: bool
) -> Iterator[Band]:
    """Read an image in bands that follow each other from top to bottom.

    Parameters
    ----------
    load : (part of a pair) -> image and labels, as `biounet.folders.load`
    pair : Pair
    rows : as `band_rows` says
    whole_objects : bool
        Whether what is made of an object depends on all of it. Then more is read around a band that would cut some,
        up to a quarter of `rows` to each side; and what is read together stays as much, so that bands are smaller.
    """
    start, stop = pair.extent
    top, halo = start, HALO
    while top < stop:
        first = max(start, top - halo)
        last = min(stop, first + rows)
        bottom = last if last == stop else last - halo
        image, labels = load(replace(pair, rows=(first, last)))
        own = slice(top - first, bottom - first)
        near = labels[..., max(0, own.start - halo // 2) : own.stop + halo // 2, :]
        edges = [labels[..., row, :] for row, cuts in ((0, first > start), (-1, last < stop)) if cuts and whole_objects]
        if 8 * halo <= rows and _common(near, edges).size:
            halo *= 2
            continue
        yield Band(image, labels, own, _common(labels[..., own, :], edges))
        top, halo = bottom, HALO


def _common(labels: NDArray[Any], edges: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Numbers of objects that are in labels and at an edge."""
    numbers = np.unique(np.concatenate([np.zeros(0, labels.dtype), *(edge[edge > 0] for edge in edges)]))
    return np.unique(labels[np.isin(labels, numbers)]) if numbers.size else numbers


def measure_whole(pair: Pair, normalization: Normalization) -> Normalization:
    """Take the statistics of the whole image that a pair is a section, or some rows of, without holding it.

    They are those that prediction takes of the same image.

    Raises
    ------
    ImageError
        If it cannot be read, or pixels are NaN or infinite.
    """
    with open_lazily(pair.image) as file:
        counted = counted_axis(file.axes, pair.section)
        position = ((counted, pair.section or 0),) if counted else ()
        return measure(Frame(position, file, pair.channels, pair.name), normalization)
