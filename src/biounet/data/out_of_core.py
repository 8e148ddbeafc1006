"""Images that are too large for memory: they are read in strips along Y, which overlap."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.data.dataset import Pair
from biounet.data.label_files import counted_axis
from biounet.data.normalize import Normalization, measure
from biounet.data.targets import least_classes
from biounet.io import open_selected
from biounet.io.frames import Frame

__all__ = [
    "SIZES",
    "Strip",
    "StripSizes",
    "bytes_to_prepare",
    "fit_memory",
    "measure_whole",
    "memory_for_strips",
    "pixels_of",
    "read_strips",
    "row_pixels",
    "strip_rows",
]


PREPARING = 80
"""Bytes per pixel that target and weights take while they are computed, besides 8 per channel for the image."""


@dataclass(frozen=True)
class StripSizes:
    """Which images are divided into strips, and how far strips overlap.

    undivided : pixels; images that have no more are never divided
    halo : fewest rows that are read above and below a strip; border weights of the paper reach 26 pixels
    """

    undivided: int = 2**24
    halo: int = 64


SIZES = StripSizes()
"""Sizes that training uses."""


@dataclass(frozen=True)
class Strip:
    """Some rows of an image, read with rows above and below them.

    image : (C, *spatial), of the type in the file
    labels : (*spatial), integers
    own : the rows of the strip, among the rows that were read
    cut : numbers of objects in the strip that reach, or may reach, beyond the rows that were read
    """

    image: NDArray[Any]
    labels: NDArray[Any]
    own: slice
    cut: NDArray[Any]


def bytes_to_prepare(pair: Pair, *, sizes: StripSizes = SIZES) -> int:
    """Memory that an image takes while target and weights are computed; 0 if it is too small to be divided."""
    pixels = pixels_of(pair)
    return pixels * _bytes_per_pixel(pair) if pixels > sizes.undivided else 0


def strip_rows(pair: Pair, *, memory: float, sizes: StripSizes = SIZES) -> int | None:
    """Rows of an image that are read at a time, those around a strip included; None if memory holds the whole image.

    Parameters
    ----------
    pair : Pair
    memory : bytes that the rows may take
        May be negative, where other images take too much. A strip has at least four halos of rows in any case.
    sizes : StripSizes

    Examples
    --------
    >>> from pathlib import Path
    >>> pair = Pair("a", Path("a.tif"), (), "a", shape=(1, 60_000, 60_000))
    >>> strip_rows(pair, memory=8e9), strip_rows(pair, memory=4e11)
    (1515, None)
    """
    if bytes_to_prepare(pair, sizes=sizes) <= max(0, memory):
        return None
    return max(4 * sizes.halo, int(memory / (row_pixels(pair) * _bytes_per_pixel(pair))))


def pixels_of(pair: Pair) -> int:
    """Pixels of an image, or of its rows, whatever the number of channels."""
    first, last = pair.extent
    return row_pixels(pair) * (last - first)


def row_pixels(pair: Pair) -> int:
    """Pixels of a row, through all sections."""
    *sections, _, columns = pair.shape[1:]
    return prod(sections) * columns


def _bytes_per_pixel(pair: Pair) -> int:
    return PREPARING + 8 * pair.channels


def read_strips(
    load: Callable[[Pair], tuple[NDArray[Any], NDArray[Any]]],
    pair: Pair,
    rows: int,
    *,
    whole_objects: bool,
    sizes: StripSizes = SIZES,
) -> Iterator[Strip]:
    """Read an image in strips from top to bottom.

    Parameters
    ----------
    load : (some rows of a pair) -> image and labels, as `biounet.data.load`
    pair : Pair
    rows : as `strip_rows` says
    whole_objects : bool
        Whether the target at a pixel depends on the whole object. Then a strip that would cut objects gets a larger
        halo, up to a quarter of `rows` to each side. No more rows are read together for it: the strip is smaller.
    sizes : StripSizes
    """
    start, stop = pair.extent
    top, around = start, sizes.halo
    while top < stop:
        first = max(start, top - around)
        last = min(stop, first + rows)
        bottom = last if last == stop else last - around
        image, labels = load(replace(pair, rows=(first, last)))
        own = slice(top - first, bottom - first)
        near = labels[..., max(0, own.start - around // 2) : own.stop + around // 2, :]
        edges = [labels[..., row, :] for row, cuts in ((0, first > start), (-1, last < stop)) if cuts and whole_objects]
        if 8 * around <= rows and _common(near, edges).size:
            around *= 2
            continue
        yield Strip(image, labels, own, _common(labels[..., own, :], edges))
        top, around = bottom, sizes.halo


def _common(labels: NDArray[Any], edges: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Numbers of objects that are in labels and at an edge."""
    numbers = np.unique(np.concatenate([np.zeros(0, labels.dtype), *(edge[edge > 0] for edge in edges)]))
    return np.unique(labels[np.isin(labels, numbers)]) if numbers.size else numbers


def measure_whole(pair: Pair, normalization: Normalization) -> Normalization:
    """Intensity statistics of the whole image that a pair is a section, or some rows of; the image is not held.

    They are the statistics that prediction measures on the same image.

    Raises
    ------
    ImageError
        If the image cannot be read, or pixels are NaN or infinite.
    """
    with open_selected(pair.image, pair.selection) as file:
        counted = counted_axis(file.axes, pair.section)
        position = ((counted, pair.section or 0),) if counted else ()
        return measure(Frame(position, file, pair.channels, pair.name), normalization)


def fit_memory(
    train: Sequence[Pair],
    held_out: Sequence[Pair],
    *,
    memory: float,
    target: str = "classes",
    sizes: StripSizes = SIZES,
) -> list[str]:
    """Notes for people on what memory does not hold of the images of a training; none if it holds all.

    Images take 4 bytes per pixel and channel, labels 4 and the target 8. Images to train on take 4 more for weights,
    images held out 4 for the probability of each class. A large image takes more while its target is computed.

    Parameters
    ----------
    train, held_out : images to train on, and to validate on
    memory : bytes that they may take
    target : what is learnt of labels
        Where labels are objects, it tells the number of classes. Where labels are classes, their number is known only
        after all labels are read, and 2 are assumed: images held out with C classes take 4 (C - 2) bytes per pixel
        more.
    sizes : StripSizes
    """
    validated = _bytes_validated(held_out, target)
    needed = _bytes(train, 16) + validated
    preparing = max((bytes_to_prepare(pair, sizes=sizes) for pair in train), default=0)
    if needed + preparing <= memory:
        return []
    stored = _bytes(train, 6)  # target and weights: 2 + 4 bytes
    notes = [
        f"the images take {(needed + preparing) / 2**30:.2f} GiB, and train.memory leaves them "
        f"{memory / 2**30:.2f} GiB: patches are cut from files of up to {stored / 2**30:.2f} GiB, which are made once, "
        "in the folder of the run"
    ]
    left = memory - validated
    rows = [strip_rows(pair, memory=left, sizes=sizes) for pair in train]
    if divided := [count for count in rows if count is not None]:
        notes.append(
            f"{len(divided)} of {len(train)} images to train on have no room as a whole: no more than "
            f"{max(divided)} rows of one are in memory at a time"
        )
    if validated > memory:
        notes.append(
            f"the images to validate on stay in memory and take {validated / 2**30:.2f} GiB of it: "
            "if that is too much, give less train.validation_pixels"
        )
    return notes


def memory_for_strips(held_out: Sequence[Pair], *, memory: float, target: str = "classes") -> float:
    """Bytes that images held out, which stay in memory, leave for strips; parameters as of `fit_memory`."""
    return memory - _bytes_validated(held_out, target)


def _bytes_validated(held_out: Sequence[Pair], target: str) -> int:
    """Bytes of images to validate on, with the probabilities of their classes."""
    return _bytes(held_out, 12 + 4 * least_classes(target))


def _bytes(pairs: Sequence[Pair], others: int) -> int:
    """Bytes of images: float32 per channel, and so many other bytes per pixel."""
    return sum(pixels_of(pair) * (4 * pair.channels + others) for pair in pairs)
