"""Label files to integers: what is unambiguous is converted and said, all else is refused by name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cc3d
import numpy as np
from numpy.typing import NDArray

from biounet.config import IGNORE
from biounet.errors import LabelError
from biounet.geometry import Box
from biounet.images import LazyImage, open_lazily

__all__ = [
    "Kind",
    "LabelCensus",
    "choose_kind",
    "choose_values",
    "fill_missing",
    "mark_missing",
    "merge_masks",
    "missing",
    "numbers_in",
    "read_labels",
    "region",
]

Kind = Literal["classes", "objects", "images"]
"""What the numbers of labels mean; or that images are to be drawn, and there are no labels."""

LARGEST_CLASS = 32
"""Class numbers above this are taken for grey values of a picture of the classes, such as 0, 128, 255."""

MOST_GREYS = 16
"""So many grey values a picture of classes may have; a smoothed or compressed mask has more, and so has an image."""


@dataclass(frozen=True)
class LabelCensus:
    """What the labels of one image hold: the values in use, in how many connected pieces, and which are in several.

    ``in_order``: each number is larger than those that come before it row by row, as programs number what they find.
    """

    path: Path
    values: tuple[int, ...]
    pieces: int
    in_pieces: tuple[tuple[int, int], ...] = ()
    in_order: bool = False

    @classmethod
    def of(cls, path: Path, labels: NDArray[np.int32]) -> "LabelCensus":
        """Count the values, and the connected pieces of those above 0; pixels that meet at a corner are connected.

        >>> census = LabelCensus.of(Path("a.png"), np.array([[3, 0, 3, 7]]))
        >>> census.values, census.pieces, census.in_pieces, census.in_order
        ((0, 3, 7), 3, ((3, 2),), False)
        """
        positive = np.maximum(labels, 0)
        pieces = cc3d.connected_components(positive, connectivity=8 if labels.ndim == 2 else 26)
        number_of = np.zeros(int(pieces.max(initial=0)) + 1, np.int64)
        number_of[pieces.ravel()] = positive.ravel()
        numbers, counts = np.unique(number_of[1:], return_counts=True)
        several = zip(numbers[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True)
        in_order = bool((np.diff(number_of[1:]) > 0).all())  # pieces are numbered row by row
        return cls(path, tuple(numbers_in(labels).tolist()), int(counts.sum()), tuple(several), in_order)


def numbers_in(labels: NDArray[Any]) -> NDArray[Any]:
    """The numbers from 0 that are in use, in their order.

    >>> numbers_in(np.array([[7, 0, -1], [7, 2, 0]])).tolist()
    [0, 2, 7]
    """
    known = labels[labels >= 0]
    small = known.size and known.max() < 2**20
    return np.flatnonzero(np.bincount(known)) if small else np.unique(known)


def region(image: LazyImage, section: int | None, rows: tuple[int, int] | None) -> Box:
    """The part of a file that is wanted: `section` counts time points, or Z where there is no time."""
    start, stop = [0] * len(image.shape), list(image.shape)
    if rows is not None:
        start[-2], stop[-2] = rows
    stacked = [axis for axis in image.axes if axis in "TZ"]
    if section is not None and stacked:
        axis = image.axes.index(stacked[0])
        start[axis], stop[axis] = section, section + 1
    return Box(tuple(start), tuple(stop))


def read_labels(
    path: Path, *, section: int | None = None, rows: tuple[int, int] | None = None
) -> tuple[NDArray[np.int32], str | None]:
    """Read labels as integers.

    Parameters
    ----------
    path : Path
    section : of a stack or a time series, from 0
        ``None`` reads all. A file without such an axis is the section.
    rows : first and last but one row to read

    Returns
    -------
    labels : (Y, X) or (Z, Y, X), int32
        Negative numbers of any size are `IGNORE`.
    note : str
        What had to be converted, or ``None``.

    Raises
    ------
    ImageError
        If the file cannot be read.
    LabelError
        If it holds colours, fractions, numbers above 2^31 - 1, or is a JPEG, which changes labels.
    """
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise LabelError(f"{path}: JPEG changes label numbers; save the labels as .png or .tif")
    with open_lazily(path, labels=True) as file:
        box = region(file, section, rows)
        array, axes = file.read(box), file.axes
    note = None
    if "C" in axes:
        array, note = _merge_channels(array, axes.index("C"), path), "equal colour channels, read as one"
    if "T" in axes or (section is not None and "Z" in axes):
        array = array[0]
    if array.size and float(array.max()) > np.iinfo(np.int32).max:
        raise LabelError(f"{path}: label {array.max()} does not fit 31 bits; renumber the labels from 1")
    if array.dtype.kind == "f":
        array, note = _whole_numbers(array, path), "floats that are whole numbers, read as integers"
    return np.maximum(array.astype(np.int64), IGNORE).astype(np.int32), note


def merge_masks(paths: Sequence[Path]) -> NDArray[np.int32]:
    """Number the masks of single objects in the order of their names; where two overlap, the first stays.

    Raises
    ------
    LabelError
        If the masks are of different sizes.
    """
    merged: NDArray[np.int32] | None = None
    for number, path in enumerate(paths, 1):
        mask, _ = read_labels(path)
        if merged is None:
            merged = np.zeros(mask.shape, np.int32)
        if mask.shape != merged.shape:
            raise LabelError(f"{path} has shape {mask.shape}, {paths[0].name} has {merged.shape}; save them alike")
        merged[(mask > 0) & (merged == 0)] = number
    assert merged is not None  # a pair has at least one file
    return merged


def mark_missing(labels: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.int32]:
    """Set the cells that only `others` knows to IGNORE.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        The truth, in which cells may be missing: there its background says nothing.
    others : of the same shape
        A complete truth of less quality. A cell of it that `labels` covers by less than half is missing.

    Examples
    --------
    >>> mark_missing(np.array([[0, 1, 0, 0]]), np.array([[0, 4, 0, 5]]))
    array([[ 0,  1,  0, -1]])
    """
    return np.where((missing(labels, others) > 0) & (labels == 0), IGNORE, labels)


def fill_missing(labels: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.int32]:
    """Add the cells that only `others` knows, with numbers of their own; see `mark_missing`.

    Examples
    --------
    >>> fill_missing(np.array([[0, 1, 0, 0]]), np.array([[0, 4, 0, 5]]))
    array([[0, 1, 0, 6]])
    """
    added = missing(labels, others)
    return np.where((added > 0) & (labels == 0), labels.max(initial=0) + added, labels)


def missing(labels: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.int32]:
    """Numbers of the cells of `others` that cells of `labels` cover by less than half; 0 elsewhere.

    >>> missing(np.array([[0, 1, 1, -1, 0]]), np.array([[0, 4, 0, 5, 5]]))
    array([[0, 0, 0, 5, 5]])
    """
    number = np.unique(others, return_inverse=True)[1].reshape(others.shape)
    covered = np.bincount(number.ravel(), weights=(labels > 0).ravel()) / np.bincount(number.ravel())
    return np.where((covered < 0.5)[number], np.maximum(others, 0), 0)


def choose_kind(census: Collection[LabelCensus]) -> Kind:
    """Tell numbers of objects from numbers of classes.

    Notes
    -----
    An object has a number of its own and is in one piece; a class is found in many pieces and images.
    Objects it is if an image has three numbers or more, and hardly any are in several pieces (numbers above
    `LARGEST_CLASS` may be in two on average). Organs are in one piece, too, and the same ones in every image: where
    several images have the same numbers these are objects only if they stand in order row by row in all images.

    Examples
    --------
    >>> cells = LabelCensus.of(Path("a.png"), np.array([[1, 1, 2], [3, 4, 2]]))
    >>> organs = LabelCensus.of(Path("a.png"), np.array([[4, 1, 1], [3, 3, 2]]))
    >>> choose_kind([cells, cells, cells]), choose_kind([organs, organs, organs])
    ('objects', 'classes')
    """
    positive = [tuple(value for value in image.values if value > 0) for image in census]
    numbers, pieces = sum(map(len, positive)), sum(image.pieces for image in census)
    if max(map(len, positive), default=0) < 3:
        return "classes"
    used = {value for values in positive for value in values}
    same = len(positive) > 1 and len(set(positive)) == 1 and len(used) <= LARGEST_CLASS
    same &= not all(image.in_order for image in census)
    allowed = 2.0 if max(used) > LARGEST_CLASS else 1.2
    return "objects" if pieces <= allowed * numbers and not same else "classes"


def choose_values(census: Collection[LabelCensus], kind: Kind) -> tuple[int, ...]:
    """Find the values that stand for class 0, 1, ...; empty where the numbers are the classes or objects.

    Raises
    ------
    LabelError
        If there is but one class, or so many values that it is no picture of classes.

    Examples
    --------
    >>> choose_values([LabelCensus(Path("a.png"), (0, 255), 3)], "classes")
    (0, 255)
    """
    used = tuple(sorted({value for image in census for value in image.values}))
    first = next(iter(census)).path
    if len(used) < 2:
        what = f"all labels are {used[0]}" if used else "all labels are unknown (negative)"
        raise LabelError(f"{first}: {what}, in every file; mark background as 0 and what is to be found as 1, 2, ...")
    if kind == "objects" or used[-1] <= LARGEST_CLASS:
        return ()
    if len(used) > MOST_GREYS and choose_kind(census) == "objects":
        return ()  # numbers of objects, which somebody wants as classes
    if len(used) > MOST_GREYS:
        most = max(census, key=lambda image: len(image.values))
        raise LabelError(
            f"{most.path}: {len(most.values)} values in {most.pieces} pieces are neither classes nor objects; "
            "save the labels as numbers, without smoothing or lossy compression"
        )
    return used


def _merge_channels(array: NDArray[Any], axis: int, path: Path) -> NDArray[Any]:
    """Take one of several equal channels."""
    first: NDArray[Any] = array.take(0, axis)
    if (array != np.expand_dims(first, axis)).any():
        raise LabelError(f"{path}: labels are one number per pixel, this holds colours; save them as numbers")
    return first


def _whole_numbers(array: NDArray[Any], path: Path) -> NDArray[np.int64]:
    """Convert floats that are integers; negative ones may be of any size."""
    fractions = array[np.trunc(array) != array]
    if fractions.size:
        raise LabelError(
            f"{path}: labels are integers, this holds {fractions[0]:g}; save the labels as numbers, "
            "or put images that are to be drawn into a folder targets"
        )
    whole: NDArray[np.int64] = np.maximum(array, IGNORE).astype(np.int64)
    return whole
