"""Label images that can be measured: checked, numbered without gaps, and in one piece per object."""

import cc3d
import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.config import IGNORE
from biounet.errors import LabelError, ShapeError

__all__ = [
    "check_labels",
    "fit_channels_first",
    "foreground",
    "in_pieces",
    "number_objects",
    "number_pieces",
    "split_objects",
]


def check_labels(labels: np.ndarray) -> None:
    """Refuse what is no label image of one frame.

    Raises
    ------
    LabelError
        If the numbers are not integers, or do not fit 63 bits.
    ShapeError
        If the axes are not YX or ZYX.
    """
    if labels.dtype.kind not in "iub":
        raise LabelError(f"labels must be integers, got {labels.dtype}; number the objects first")
    if labels.dtype == np.uint64 and labels.max(initial=0) > np.iinfo(np.int64).max:
        raise LabelError(f"label {labels.max()} does not fit 63 bits; renumber the labels from 1")
    if labels.ndim not in (2, 3):
        raise ShapeError(f"labels must have axes YX or ZYX, got shape {labels.shape}; measure frame by frame")


def fit_channels_first(array: np.ndarray | None, labels: np.ndarray, what: str) -> np.ndarray | None:
    """View what is measured in objects as (C, *spatial).

    Raises
    ------
    ShapeError
        If it does not have the size of the labels.

    Examples
    --------
    >>> fit_channels_first(np.zeros((4, 5)), np.zeros((4, 5), int), "image").shape
    (1, 4, 5)
    """
    if array is None:
        return None
    stacked = array[np.newaxis] if array.ndim == labels.ndim else array
    if stacked.shape[1:] != labels.shape:
        raise ShapeError(f"the {what} must have the size {labels.shape} of the labels, got {array.shape}")
    return stacked


def foreground(probabilities: np.ndarray) -> np.ndarray:
    """Probability that a pixel is of any object: of all that a network tells apart, only the first is background.

    Parameters
    ----------
    probabilities : (classes, ...), in [0, 1]
        They add up to 1. They may be levels of distance, or interior and border: together they are the foreground.
        A single one is the foreground already.

    Returns
    -------
    (1, ...), in [0, 1]

    Examples
    --------
    >>> foreground(np.array([[0.25, 1.0], [0.5, 0.0], [0.25, 0.0]]))
    array([[0.75, 0.  ]])
    """
    return probabilities if len(probabilities) == 1 else (1 - probabilities[:1]).clip(0, 1)


def number_objects(labels: np.ndarray) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number objects 1, 2, ... without gaps.

    Parameters
    ----------
    labels : any shape, integers
        Negative is IGNORE.

    Returns
    -------
    numbers : int32 of the shape of `labels`
        0 is background and IGNORE.
    names : (N + 1,), int64
        The label of each number, 0 first.

    Examples
    --------
    >>> number_objects(np.array([0, 70_000, -1, 5, 70_000]))
    (array([0, 1, 0, 2, 1], dtype=int32), array([    0, 70000,     5]))
    """
    top = int(labels.max(initial=0))
    if top <= min(4 * labels.size + 2**20, np.iinfo(np.int32).max):
        numbers, names = _first_seen(labels.ravel().astype(np.int32, copy=False), top)
    else:
        names, numbers = np.unique(
            np.append(np.where(labels > 0, labels, 0), labels.dtype.type(0)), return_inverse=True
        )
        numbers, names = numbers[:-1].astype(np.int32), names.astype(np.int64)
    return numbers.reshape(labels.shape), names


def in_pieces(labels: np.ndarray) -> dict[int, int]:
    """Find the objects that are in several pieces.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers

    Returns
    -------
    label of each object in more than one piece -> number of its pieces
        Pixels that meet at a corner hang together.

    Examples
    --------
    >>> in_pieces(np.array([[3, 0, 3, 7]]))
    {3: 2}
    """
    _, names = number_pieces(labels)
    objects, counts = np.unique(names[1:], return_counts=True)
    return {int(name): int(count) for name, count in zip(objects, counts, strict=True) if count > 1}


def split_objects(labels: np.ndarray) -> NDArray[np.int32]:
    """Give every piece of an object a number of its own.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers

    Returns
    -------
    int32 of the shape of `labels`
        The first piece of an object (in the order of pixels) keeps its number, the others are numbered on from the
        largest one. IGNORE stays.

    Raises
    ------
    LabelError
        If the numbers do not fit 31 bits.

    Examples
    --------
    >>> split_objects(np.array([[3, 0, 3, 7, -1]]))
    array([[ 3,  0,  8,  7, -1]], dtype=int32)
    """
    check_labels(labels)
    pieces, names = number_pieces(labels)
    _, first = np.unique(names, return_index=True)
    later = np.ones(len(names), bool)
    later[first] = False
    top = int(names.max())
    names[later] = np.arange(top + 1, top + 1 + np.count_nonzero(later))
    if names.max() > np.iinfo(np.int32).max:
        raise LabelError(f"label {names.max()} does not fit 31 bits; renumber the labels from 1")
    split = names[pieces].astype(np.int32)
    return np.where(labels < 0, np.int32(IGNORE), split)


def number_pieces(labels: np.ndarray) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number the pieces of objects in the order of their first pixel, and name the object that each is of.

    >>> number_pieces(np.array([[3, 0, 3, 7]]))
    (array([[1, 0, 2, 3]], dtype=int32), array([0, 3, 3, 7]))
    """
    numbers, names = number_objects(labels)
    connectivity = 8 if labels.ndim == 2 else 26
    pieces, _ = number_objects(cc3d.connected_components(numbers, connectivity=connectivity, out_dtype=np.uint32))
    of_piece = np.zeros(int(pieces.max(initial=0)) + 1, np.int64)
    of_piece[pieces.ravel()] = numbers.ravel()
    return pieces, names[of_piece]


@njit(cache=True, nogil=True)
def _first_seen(labels, top):  # type: ignore[no-untyped-def]
    """Number labels 1..top by their first pixel; all others become 0."""
    number_of = np.zeros(top + 1, np.int32)
    names = np.zeros(min(top, labels.size) + 1, np.int64)
    numbers = np.zeros(labels.size, np.int32)
    found = 0
    for pixel in range(labels.size):
        label = labels[pixel]
        if label > 0:
            if number_of[label] == 0:
                found += 1
                number_of[label] = found
                names[found] = label
            numbers[pixel] = number_of[label]
    return numbers, names[: found + 1].copy()
