"""Label statistics: values and connected pieces in label images, and whether numbers are objects or classes."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from biounet.config.tasks import TASKS
from biounet.core.errors import LabelError
from biounet.data.label_files import numbers_in

__all__ = ["MOST_GREYS", "LabelStatistics", "check_doubts", "choose_kind", "choose_values"]


LARGEST_CLASS = 32
"""Class numbers above this are taken for grey values of a picture of the classes, such as 0, 128, 255."""

MOST_GREYS = 16
"""So many grey values a picture of classes may have; a smoothed or compressed mask has more, and so has an image."""

MANY_CLASSES = 12
"""From so many classes on, background included, numbers of objects are as likely."""

UNKNOWN = 255
"""Number that many programs write where the class is not known."""

THIN = 0.1
"""Largest share of pixels inside of an area of one value, among those of the values of a smoothed edge."""

WHITE = 128
"""Grey value of a mask at least."""

RINGING = 16
"""So far from black and white the pixels of a mask lie after lossy compression."""


@dataclass(frozen=True)
class LabelStatistics:
    """Label statistics of one image: the values in use, the number of connected pieces, and values in several of them.

    ``in_order``: each number is larger than those that come before it row by row, as programs number what they find.
    ``unknown`` of the ``pixels`` have no label.
    """

    path: Path
    values: tuple[int, ...]
    pieces: int
    in_pieces: tuple[tuple[int, int], ...] = ()
    in_order: bool = False
    unknown: int = 0
    pixels: int = 0
    inside: tuple[tuple[int, int, int], ...] = ()
    """Of images with grey values: each value, its pixels, and those of them whose four neighbours have it, too."""

    @classmethod
    def of(cls, path: Path, strips: Iterable[NDArray[np.int32]]) -> "LabelStatistics":
        """Count the values, and the connected pieces of those above 0; pixels that meet at a corner are connected.

        Parameters
        ----------
        path : Path
        strips : (Y, X) or (Z, Y, X), the labels in one strip or more, which follow each other along Y

        Examples
        --------
        >>> statistics = LabelStatistics.of(Path("a.png"), [np.array([[3, 0, 3, 7]]), np.array([[3, 0, 0, 7]])])
        >>> statistics.values, statistics.pieces, statistics.in_pieces, statistics.in_order
        ((0, 3, 7), 3, ((3, 2),), False)
        """
        values, pieces, unknown, pixels = set[int](), _Pieces(), 0, 0
        inside = np.zeros((2, UNKNOWN + 1), np.int64)
        for labels in strips:
            inside += _count_inside(labels)
            values.update(numbers_in(labels).tolist())
            unknown, pixels = unknown + int((labels < 0).sum()), pixels + labels.size
            pieces.add(np.maximum(labels, 0))
        number_of = pieces.numbers()
        numbers, counts = np.unique(number_of, return_counts=True)
        several = zip(numbers[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True)
        in_order = bool((np.diff(number_of) > 0).all())
        greys = [(value, *inside[:, value].tolist()) for value in np.flatnonzero(inside[0]).tolist()]
        return cls(path, tuple(sorted(values)), len(number_of), tuple(several), in_order, unknown, pixels, tuple(greys))


def _count_inside(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Pixels of each grey value, and those whose four neighbours have it, too; zeros where there are no greys."""
    largest = int(labels.max(initial=0))
    if not LARGEST_CLASS < largest <= UNKNOWN:
        return np.zeros((2, UNKNOWN + 1), np.int64)
    down, right = labels[..., 1:, :] == labels[..., :-1, :], labels[..., 1:] == labels[..., :-1]
    same = (down[..., 1:, 1:-1] & down[..., :-1, 1:-1]) & (right[..., 1:-1, 1:] & right[..., 1:-1, :-1])
    middle = labels[..., 1:-1, 1:-1]
    counted = (np.maximum(labels, 0), np.maximum(middle[same], 0))
    return np.stack([np.bincount(values.ravel(), minlength=UNKNOWN + 1) for values in counted])


@dataclass
class _Pieces:
    """Connected pieces of numbers: the parts of them in each strip, and which of these are connected."""

    values: list[NDArray[Any]] = field(default_factory=list)  # per strip, the number of each part
    places: list[NDArray[np.int64]] = field(default_factory=list)  # and where its first pixel is, counted row by row
    links: list[NDArray[np.int64]] = field(default_factory=list)  # (2, n), parts of two strips that touch
    edge: NDArray[np.int64] | None = None  # (2, X) or (2, Z, X): of the last row parts, from 1 on, and numbers
    count: int = 0
    rows: int = 0

    def add(self, numbers: NDArray[np.int32]) -> None:
        """Find the parts in the next strip, (Y, X) or (Z, Y, X)."""
        rows, columns = numbers.shape[-2:]
        parts = cc3d.connected_components(np.ascontiguousarray(numbers), connectivity=8 if numbers.ndim == 2 else 26)
        # Parts are numbered in the order of their first pixels: these are where the highest number so far grows.
        first = np.flatnonzero(np.diff(np.maximum.accumulate(parts.reshape(-1)), prepend=parts.dtype.type(0)))
        section, pixel = np.divmod(first, rows * columns)
        self.values.append(numbers.reshape(-1)[first])
        self.places.append((section << 48) + self.rows * columns + pixel)
        top, bottom = (np.stack([parts[..., row, :] + np.int64(self.count), numbers[..., row, :]]) for row in (0, -1))
        if self.edge is not None:
            self._link(self.edge, top)
        self.edge, self.count, self.rows = bottom, self.count + len(first), self.rows + rows

    def _link(self, above: NDArray[np.int64], below: NDArray[np.int64]) -> None:
        """Note which parts in two rows, one below the other, are of one number and touch, at corners too."""
        axes = above.ndim - 1
        padded = np.pad(above, [(0, 0), *[(1, 1)] * axes])
        for step in product((0, 1, 2), repeat=axes):
            window = [slice(first, first + size) for first, size in zip(step, above.shape[1:], strict=True)]
            near = padded[(slice(None), *window)]
            same = (near[1] == below[1]) & (below[1] > 0)
            self.links.append(np.unique(np.stack([near[0][same], below[0][same]]), axis=1))

    def numbers(self) -> NDArray[Any]:
        """The number of each connected piece, in the order of their first pixels."""
        if len(self.values) == 1:  # of one strip the parts are the pieces, in their order
            return self.values[0]
        values, places = (np.concatenate(part) for part in (self.values, self.places))
        near, far = np.concatenate([np.zeros((2, 0), np.int64), *self.links], axis=1) - 1
        joined = coo_array((np.ones(len(near), bool), (near, far)), shape=(len(values), len(values)))
        _, pieces = connected_components(joined, directed=False)
        order = np.argsort(places)
        _, earliest = np.unique(pieces[order], return_index=True)
        numbers: NDArray[Any] = values[order][np.sort(earliest)]
        return numbers


def choose_kind(statistics: Collection[LabelStatistics]) -> str:
    """Meaning of label numbers: ``objects`` or ``classes``.

    Notes
    -----
    An object has a number of its own and is in one piece; a class is found in many pieces and images.
    Objects it is if an image has three numbers or more, and hardly any are in several pieces (numbers above
    `LARGEST_CLASS` may be in two on average). Organs are in one piece, too, and the same ones in every image: where
    several images have the same numbers these are objects only if they stand in order row by row in all images.

    Examples
    --------
    >>> cells = LabelStatistics.of(Path("a.png"), [np.array([[1, 1, 2], [3, 4, 2]])])
    >>> organs = LabelStatistics.of(Path("a.png"), [np.array([[4, 1, 1], [3, 3, 2]])])
    >>> choose_kind([cells, cells, cells]), choose_kind([organs, organs, organs])
    ('objects', 'classes')
    """
    positive = [tuple(value for value in image.values if value > 0) for image in statistics]
    numbers, pieces = sum(map(len, positive)), sum(image.pieces for image in statistics)
    if max(map(len, positive), default=0) < 3:
        return "classes"
    used = {value for values in positive for value in values}
    same = len(positive) > 1 and len(set(positive)) == 1 and len(used) <= LARGEST_CLASS
    same &= not all(image.in_order for image in statistics)
    allowed = 2.0 if max(used) > LARGEST_CLASS else 1.2
    return "objects" if pieces <= allowed * numbers and not same else "classes"


def check_doubts(statistics: Collection[LabelStatistics], kind: str) -> None:
    """Refuse numbers that may mean something else than what they are taken for, with the option that says it.

    Raises
    ------
    LabelError
        If a mask was smoothed or compressed, 255 may mean unknown, or there are so many classes that numbers of
        objects are as likely.

    Examples
    --------
    >>> check_doubts([LabelStatistics(Path("a.png"), (0, 1, 2, 255), 9)], "classes")
    Traceback (most recent call last):
    biounet.core.errors.LabelError: a.png: 255 stands beside 0, 1, 2: say --ignore-value 255 if it means unknown, --classes A,B,.. if it is a class, or --objects
    """  # noqa: E501
    used = tuple(sorted({value for image in statistics for value in image.values}))
    small = [value for value in used if value <= LARGEST_CLASS]
    if len(used) == len(small) + 1 and used[-1] == UNKNOWN and len(small) > 1:
        path = next(image.path for image in statistics if UNKNOWN in image.values)
        listed = ", ".join(map(str, small[:4])) + ", ..." * (len(small) > 4)
        raise LabelError(
            f"{path}: 255 stands beside {listed}: say --ignore-value 255 if it means unknown, --classes A,B,.. if it "
            "is a class, or --objects"
        )
    numbered = TASKS[kind].numbered
    if len(used) > 3 and WHITE <= used[-1] <= UNKNOWN and not (numbered and len(used) > WHITE):
        _check_smoothing(statistics, used)
    if numbered:
        return
    if len({0, *used}) >= MANY_CLASSES and len(used) <= LARGEST_CLASS:
        path = max(statistics, key=lambda image: len(image.values)).path
        raise LabelError(
            f"{path}: {len(used)} numbers in all labels may be objects or classes: say --objects if each number is one "
            "object, --classes A,B,.. (names, or how many) if it is a class"
        )


def _check_smoothing(statistics: Collection[LabelStatistics], used: Sequence[int]) -> None:
    """Refuse grey values between those of a mask, which were made at edges by resizing, or by lossy compression."""
    between, top = set(used[1:-1]), used[-1]
    compressed = all(min(value, top - value) <= RINGING for value in between)
    compressed &= used[-2] >= top - RINGING
    pixels = [(count, inner) for image in statistics for value, count, inner in image.inside if value in between]
    count, inner = (sum(each) for each in zip(*pixels, strict=True)) if pixels else (0, 0)
    if inner > THIN * count and not compressed:
        return
    most = max(statistics, key=lambda image: len(image.values))
    listed = ", ".join(map(str, used if len(used) <= MOST_GREYS else (*used[:8], "...", top)))
    raise LabelError(
        f"{most.path}: grey values {listed} look like a mask that was resized, smoothed or compressed with loss, since "
        "those between are found at edges only; save it without interpolation, or say --classes A,B,.. or --objects if "
        "all are meant"
    )


def choose_values(statistics: Collection[LabelStatistics], kind: str) -> tuple[int, ...]:
    """Label values that stand for class 0, 1, ...; empty where the numbers are the classes or objects.

    Raises
    ------
    LabelError
        If there is but one class, or so many values that it is no picture of classes.

    Examples
    --------
    >>> choose_values([LabelStatistics(Path("a.png"), (0, 255), 3)], "classes")
    (0, 255)
    """
    used = tuple(sorted({value for image in statistics for value in image.values}))
    first = next(iter(statistics)).path
    if len(used) < 2:
        what = f"all labels are {used[0]}" if used else "all labels are unknown (negative)"
        raise LabelError(f"{first}: {what}, in every file; mark background as 0 and what is to be found as 1, 2, ...")
    if TASKS[kind].numbered or used[-1] <= LARGEST_CLASS:
        return ()
    if len(used) > MOST_GREYS and choose_kind(statistics) == "objects":
        return ()  # numbers of objects, which somebody wants as classes
    if len(used) > MOST_GREYS:
        most = max(statistics, key=lambda image: len(image.values))
        raise LabelError(
            f"{most.path}: {len(most.values)} values in {most.pieces} pieces are neither classes nor objects; "
            "save the labels as numbers, without smoothing or lossy compression"
        )
    return used
