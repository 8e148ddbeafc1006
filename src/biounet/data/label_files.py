"""Label files as integers: unambiguous ones are converted, with a note; others are refused by name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import LabelError
from biounet.core.labels import IGNORE
from biounet.io import LazyImage, Selection, format_of, open_selected

__all__ = [
    "counted_axis",
    "fill_missing",
    "merge_masks",
    "missing",
    "numbers_in",
    "read_labels",
    "region",
    "spatial_shape",
]


def numbers_in(labels: NDArray[Any]) -> NDArray[Any]:
    """The numbers from 0 that are in use, in their order.

    >>> numbers_in(np.array([[7, 0, -1], [7, 2, 0]])).tolist()
    [0, 2, 7]
    """
    known = labels[labels >= 0]
    small = known.size and known.max() < 2**20
    return np.flatnonzero(np.bincount(known)) if small else np.unique(known)


def counted_axis(axes: str, section: int | None) -> str:
    """The axis along which a file has sections: time, else Z where one of them is asked for, else ``""``.

    >>> counted_axis("TZYX", None), counted_axis("ZYX", 3), counted_axis("ZYX", None), counted_axis("YX", 3)
    ('T', 'Z', '', '')
    """
    return "T" if "T" in axes else "Z" if section is not None and "Z" in axes else ""


def region(image: LazyImage, section: int | None, rows: tuple[int, int] | None) -> Box:
    """Box of a section and of rows in a file, see `counted_axis`."""
    start, stop = [0] * len(image.shape), list(image.shape)
    if rows is not None:
        start[-2], stop[-2] = rows
    counted = counted_axis(image.axes, section)
    if section is not None and counted:
        axis = image.axes.index(counted)
        start[axis], stop[axis] = section, section + 1
    return Box(tuple(start), tuple(stop))


def spatial_shape(image: LazyImage, section: int | None) -> tuple[int, ...]:
    """Pixels along (Z)YX of an image, or of a section of it."""
    counted = counted_axis(image.axes, section)
    return tuple(size for size, axis in zip(image.shape, image.axes, strict=True) if axis not in ("C", counted))


def read_labels(
    path: Path,
    *,
    section: int | None = None,
    rows: tuple[int, int] | None = None,
    ignore: int | None = None,
    selection: Selection = Selection(),
    check: Callable[[LazyImage], None] = lambda file: None,
) -> tuple[NDArray[np.int32], str | None]:
    """Read labels as integers.

    Parameters
    ----------
    path : Path
    section : of a stack or a time series, from 0
        ``None`` reads all. A file without such an axis is the section.
    rows : first and last but one row to read
    ignore : number in the file that means unknown, too
    selection : what is read of the file
    check : function that raises an error for a file that shall not be read, such as one of another size

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
        If it holds colours, fractions, numbers above 2^31 - 1, or is compressed as JPEG, which changes labels.
    """
    form = format_of(path)
    if not form.exact:
        raise LabelError(f"{path}: {form.name} changes label numbers; save the labels as .png or .tif")
    with open_selected(path, selection, labels=True) as file:
        check(file)
        box = region(file, section, rows)
        array, axes = file.read(box), file.axes
    note = None
    if "C" in axes:
        array, note = _merge_channels(array, axes.index("C"), path), "equal colour channels, read as one"
    if counted_axis(axes, section):
        array = array[0]
    if array.size and float(array.max()) > np.iinfo(np.int32).max:
        raise LabelError(f"{path}: label {array.max()} does not fit 31 bits; renumber the labels from 1")
    if array.dtype.kind == "f":
        array, note = _whole_numbers(array, path), "floats that are whole numbers, read as integers"
    labels = (array if array.dtype.kind in "ub" else np.maximum(array, IGNORE)).astype(np.int32)
    if ignore is not None:
        labels[labels == ignore] = IGNORE
    return labels, note


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


def fill_missing(labels: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.int32]:
    """Add the cells that only `others` knows, with numbers above those of `labels`.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        The truth, in which cells may be missing: there its background says nothing.
    others : of the same shape
        A complete truth of less quality. A cell of it that `labels` covers by less than half is missing.

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
    inside = others > 0
    cells, cell = np.unique(others[inside], return_inverse=True)
    covered = np.bincount(cell, weights=labels[inside] > 0) / np.bincount(cell)
    result = np.zeros_like(others)
    result[inside] = np.where(covered < 0.5, cells, 0)[cell]
    return result


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
            "or put target images into a folder targets"
        )
    whole: NDArray[np.int64] = np.maximum(array, IGNORE).astype(np.int64)
    return whole
