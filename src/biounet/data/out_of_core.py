"""Images that memory does not hold whole are read in bands along Y, each with what lies around it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from biounet.data.dataset import Pair
from biounet.data.label_files import counted_axis
from biounet.data.normalize import Normalization, measure
from biounet.data.targets import least_classes
from biounet.io import open_lazily
from biounet.io.frames import Frame

__all__ = [
    "WHOLE",
    "Band",
    "LazySequence",
    "band_rows",
    "bytes_to_make",
    "fit_memory",
    "measure_whole",
    "pixels_of",
    "read_bands",
    "row_pixels",
    "rows_together",
]


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
    load : (part of a pair) -> image and labels, as `biounet.data.load`
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


T = TypeVar("T", covariant=True)


class LazySequence(Sequence[T]):
    """Things with names, read anew each time they are asked for; nothing is kept.

    Parameters
    ----------
    names : one per thing
    read : (number of a thing) -> the thing
    bands : (number of a thing) -> the thing in bands that follow each other along Y
        Each with what lies around it, and which of its rows are those of the band. Without, all are read whole.

    Examples
    --------
    >>> squares = LazySequence(["one", "two", "three"], lambda number: (number + 1) ** 2)
    >>> squares[-1], list(squares[::2]), squares[1:].names, list(squares[1:].bands(0))
    (9, [1, 9], ('two', 'three'), [(4, slice(None, None, None))])
    """

    def __init__(
        self,
        names: Sequence[str],
        read: Callable[[int], T],
        *,
        bands: Callable[[int], Iterator[tuple[T, slice]]] | None = None,
    ) -> None:
        self.names = tuple(names)
        self._read = read
        self.bands = bands or (lambda number: iter([(read(number), slice(None))]))

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> "LazySequence[T]": ...

    def __getitem__(self, index: int | slice) -> "T | LazySequence[T]":
        """Read one thing; or choose some, which reads none."""
        numbers = range(len(self))[index]
        if isinstance(numbers, int):
            return self._read(numbers)
        return LazySequence(
            [self.names[number] for number in numbers],
            lambda number: self._read(numbers[number]),
            bands=lambda number: self.bands(numbers[number]),
        )


def fit_memory(train: Sequence[Pair], held_out: Sequence[Pair], *, memory: float, target: str = "classes") -> list[str]:
    """See whether memory holds the images of a training, with what belongs to them.

    Images take 4 bytes per pixel and channel, labels 4 and the target 8; those to train on 4 more for weights, those
    held out 4 for the probability of each class. While that of a large image is made it takes more.

    Parameters
    ----------
    train, held_out : images to train on, and to validate on
    memory : bytes that they may take
    target : what is learnt of labels
        Tells the number of classes where labels are objects. Where they are classes, nobody knows it before all are
        read, and 2 are taken: of C classes, those held out take 4 (C - 2) bytes per pixel more than is said.

    Returns
    -------
    notes : what a person should know; none if memory holds all
    """
    validated = _bytes_validated(held_out, target)
    needed = _bytes(train, 16) + validated
    made = max(map(bytes_to_make, train), default=0)
    if needed + made <= memory:
        return []
    stored = _bytes(train, 6)  # target and weights: 2 + 4 bytes
    notes = [
        f"the images take {(needed + made) / 2**30:.2f} GiB, and train.memory leaves them {memory / 2**30:.2f} GiB: "
        f"patches are cut from files of up to {stored / 2**30:.2f} GiB, which are made once, in the folder of the run"
    ]
    in_bands = [rows for rows in rows_together(train, held_out, memory=memory, target=target) if rows is not None]
    if in_bands:
        notes.append(
            f"{len(in_bands)} of {len(train)} images to train on have no room as a whole: no more than "
            f"{max(in_bands)} rows of one are in memory at a time"
        )
    if validated > memory:
        notes.append(
            f"the images to validate on stay in memory and take {validated / 2**30:.2f} GiB of it: "
            "if that is too much, give less train.validation_pixels"
        )
    return notes


def rows_together(
    train: Sequence[Pair], held_out: Sequence[Pair], *, memory: float, target: str = "classes"
) -> list[int | None]:
    """Of each image to train on, how many rows are in memory at a time; None for all. Parameters as of `fit_memory`."""
    left = memory - _bytes_validated(held_out, target)
    return [band_rows(pair, memory=left) for pair in train]


def _bytes_validated(held_out: Sequence[Pair], target: str) -> int:
    """What images to validate on take, with the probabilities of their classes."""
    return _bytes(held_out, 12 + 4 * least_classes(target))


def _bytes(pairs: Sequence[Pair], others: int) -> int:
    """What images take: float32 per channel, and so many other bytes per pixel."""
    return sum(pixels_of(pair) * (4 * pair.channels + others) for pair in pairs)
