"""Connected components and renumbering of label images."""

from typing import Any

import cc3d
import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.core.errors import LabelError
from biounet.core.labels import IGNORE, check_labels

__all__ = ["dense_numbers", "in_pieces", "label_objects", "number_objects", "number_pieces", "split_objects"]


def dense_numbers(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Numbers of objects as int32, 0 for background and unknown; other numbers where they are too large.

    >>> dense_numbers(np.array([0, 2, -1, 5_000_000_000, 2]))
    array([0, 1, 0, 2, 1], dtype=int32)
    """
    if labels.dtype.kind not in "iu":
        raise LabelError(f"labels must be integers, got {labels.dtype}; number the objects first")
    objects = np.maximum(labels, 0)
    if objects.max(initial=0) > labels.size:
        objects = np.unique(np.append(objects, objects.dtype.type(0)), return_inverse=True)[1][:-1].reshape(
            labels.shape
        )
    return np.ascontiguousarray(objects, np.int32)


def label_objects(mask: NDArray[Any]) -> NDArray[np.uint32]:
    """Number the parts of a mask that hang together by the sides of their pixels.

    Parameters
    ----------
    mask : (Y, X) or (Z, Y, X), bool or integers
        Of integers, pixels with different numbers never hang together; 0 is background.

    Returns
    -------
    uint32 of the shape of `mask`
        0 is background, objects count from 1 in the order of their first pixels, row by row.

    Examples
    --------
    >>> label_objects(np.array([[True, False], [False, True]]))
    array([[1, 0], [0, 2]], dtype=uint32)
    """
    faces = 4 if mask.ndim == 2 else 6
    objects: NDArray[np.uint32] = cc3d.connected_components(mask, connectivity=faces, out_dtype=np.uint32)
    return objects


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
