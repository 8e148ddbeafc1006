"""Images that memory does not hold together: what they take, and a sequence that reads each when it is asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar, overload

from biounet.bands import WHOLE, band_rows, bytes_to_make, pixels_of, row_pixels
from biounet.folders import Pair
from biounet.targets import least_classes

__all__ = ["OnDemand", "choose_parts", "choose_validated", "fit_memory", "limit_pixels", "rows_together"]

T = TypeVar("T", covariant=True)

PARTS, PART_ROWS = 4, 512
"""Of a large image so many parts are validated on, or fewer, so that each has so many rows."""


class OnDemand(Sequence[T]):
    """Things with names, read anew each time they are asked for; nothing is kept.

    Parameters
    ----------
    names : one per thing
    read : (number of a thing) -> the thing
    bands : (number of a thing) -> the thing in bands that follow each other along Y
        Each with what lies around it, and which of its rows are those of the band. Without, all are read whole.

    Examples
    --------
    >>> squares = OnDemand(["one", "two", "three"], lambda number: (number + 1) ** 2)
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
    def __getitem__(self, index: slice) -> "OnDemand[T]": ...

    def __getitem__(self, index: int | slice) -> "T | OnDemand[T]":
        """Read one thing; or choose some, which reads none."""
        numbers = range(len(self))[index]
        if isinstance(numbers, int):
            return self._read(numbers)
        return OnDemand(
            [self.names[number] for number in numbers],
            lambda number: self._read(numbers[number]),
            bands=lambda number: self.bands(numbers[number]),
        )


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
    parts = [part for pair in held_out for part in _parts(pair, max(1, int(most / count) // row_pixels(pair)))]
    parts = list(filter(labelled, parts)) or parts
    count = min(count, len(parts))
    chosen = [parts[(2 * number + 1) * len(parts) // (2 * count)] for number in range(count)]
    first, last = chosen[0].extent
    note = (
        f"of the rows held out {count} x {last - first} are validated on: train.validation_pixels has room for no more"
    )
    return chosen, [note]


def _parts(pair: Pair, rows: int) -> list[Pair]:
    """Divide an image along Y into as many parts of so many rows as there are; what is left is of none."""
    start, stop = pair.extent
    return [
        replace(pair, name=f"{pair.name}, rows {top} to {top + rows - 1}", rows=(top, top + rows))
        for top in range(start, stop - rows + 1, rows)
    ]


def _spread(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """So many of some images, spread evenly."""
    return [pairs[number * len(pairs) // count] for number in range(count)]


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
