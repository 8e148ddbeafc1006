"""Label statistics: values and connected pieces in label images, and whether numbers are objects or classes."""

from collections.abc import Collection, Iterable
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

__all__ = ["MOST_GREYS", "LabelStatistics", "choose_kind", "choose_values"]


LARGEST_CLASS = 32
"""Class numbers above this are taken for grey values of a picture of the classes, such as 0, 128, 255."""

MOST_GREYS = 16
"""So many grey values a picture of classes may have; a smoothed or compressed mask has more, and so has an image."""


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
        for labels in strips:
            values.update(numbers_in(labels).tolist())
            unknown, pixels = unknown + int((labels < 0).sum()), pixels + labels.size
            pieces.add(np.maximum(labels, 0))
        number_of = pieces.numbers()
        numbers, counts = np.unique(number_of, return_counts=True)
        several = zip(numbers[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True)
        in_order = bool((np.diff(number_of) > 0).all())
        return cls(path, tuple(sorted(values)), len(number_of), tuple(several), in_order, unknown, pixels)


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
