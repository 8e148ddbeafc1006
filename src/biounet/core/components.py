"""Connected components and renumbering of label images."""

from typing import Any

import cc3d
import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.core.errors import LabelError
from biounet.core.labels import IGNORE, check_labels

__all__ = ["dense_numbers", "in_pieces", "label_objects", "number_objects", "number_pieces", "split_objects"]


def label_objects(mask: NDArray[Any], *, corners: bool = False) -> NDArray[np.uint32]:
    """Connected components of a mask, numbered in the order of their first pixels.

    Parameters
    ----------
    mask : (Y, X) or (Z, Y, X), bool or integers
        0 is background. Pixels with different numbers are never connected.
    corners : bool
        Whether pixels that meet at an edge or a corner are connected, too; else only pixels that share a side are.

    Returns
    -------
    uint32 of the shape of `mask`
        0 is background, components count from 1, row by row.

    Examples
    --------
    >>> label_objects(np.array([[True, False], [False, True]]))
    array([[1, 0], [0, 2]], dtype=uint32)
    >>> label_objects(np.array([[True, False], [False, True]]), corners=True)
    array([[1, 0], [0, 1]], dtype=uint32)
    """
    connectivity = {(2, False): 4, (2, True): 8, (3, False): 6, (3, True): 26}[mask.ndim, corners]
    numbers = np.ascontiguousarray(mask)
    if corners and numbers.dtype == bool:
        numbers = numbers.view(np.uint8)  # cc3d 4.1 invents objects in truth values of a single row
    objects: NDArray[np.uint32] = cc3d.connected_components(numbers, connectivity=connectivity, out_dtype=np.uint32)
    return objects


def number_objects(labels: np.ndarray, *, background: bool = False) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Labels renumbered without gaps in the order of their first pixels, with a table of the old labels.

    Parameters
    ----------
    labels : any shape, integers or bool
        0 is background, negative is IGNORE.
    background : bool
        Whether the background is numbered like an object.

    Returns
    -------
    numbers : int32 of the shape of `labels`
        Objects count from 1, and 0 is background and IGNORE. With `background` all labels count from 0, and IGNORE
        is -1.
    names : (N,), int64
        The label of each number from 0 on.

    Notes
    -----
    Cost: one pass over the pixels; a sort as well where labels are much larger than the number of pixels.

    Examples
    --------
    >>> number_objects(np.array([0, 70_000, -1, 5, 70_000]))
    (array([0, 1, 0, 2, 1], dtype=int32), array([    0, 70000,     5]))
    >>> number_objects(np.array([7, 0, -1, 7]), background=True)
    (array([ 0,  1, -1,  0], dtype=int32), array([7, 0]))
    """
    flat = labels.ravel()
    first = 0 if background else 1
    if int(flat.max(initial=0)) <= min(4 * flat.size + 2**20, np.iinfo(np.int32).max):
        small = np.maximum(flat, IGNORE) if flat.dtype.kind == "i" and flat.dtype.itemsize > 4 else flat
        numbers, names = _renumber(small.astype(np.int32, copy=False), int(flat.max(initial=0)), first)
    else:
        values, ranks = np.unique(np.maximum(flat, IGNORE) if flat.dtype.kind == "i" else flat, return_inverse=True)
        lower = np.searchsorted(values, first) - first  # so that the first label that is numbered becomes `first`
        numbers, rank_of = _renumber((ranks - lower).astype(np.int32), len(values), first)
        names = values.astype(np.int64)[rank_of + lower]
        names[:first] = 0
    return numbers.reshape(labels.shape), names


def dense_numbers(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Numbers of objects as int32 in the order of their labels; 0 for background and unknown pixels.

    Labels no larger than the number of pixels are kept.

    >>> dense_numbers(np.array([0, 2, -1, 5_000_000_000, 3]))
    array([0, 1, 0, 3, 2], dtype=int32)
    """
    check_labels(labels)
    if labels.max(initial=0) <= labels.size:
        return np.ascontiguousarray(np.maximum(labels, 0), np.int32)
    numbers, names = number_objects(labels)
    return np.argsort(np.argsort(names)).astype(np.int32)[numbers]


def in_pieces(labels: np.ndarray) -> dict[int, int]:
    """Number of pieces of each object that is in several.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers

    Returns
    -------
    label of each object in more than one piece -> number of its pieces
        Pixels that meet at a corner are connected.

    Examples
    --------
    >>> in_pieces(np.array([[3, 0, 3, 7]]))
    {3: 2}
    """
    _, names = number_pieces(labels)
    objects, counts = np.unique(names[1:], return_counts=True)
    return {int(name): int(count) for name, count in zip(objects, counts, strict=True) if count > 1}


def split_objects(labels: np.ndarray) -> NDArray[np.int32]:
    """Labels in which every connected piece of an object has a number of its own.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers

    Returns
    -------
    int32 of the shape of `labels`
        The first piece of an object (in the order of pixels) keeps its number. The other pieces get numbers above
        the largest one. IGNORE stays.

    Raises
    ------
    LabelError
        If the numbers do not fit 31 bits.

    Examples
    --------
    >>> split_objects(np.array([[3, 0, 3, 7, -1]]))
    array([[ 3,  0,  8,  7, -1]], dtype=int32)
    """
    check_labels(labels, masks=True, axes=("YX", "ZYX"))
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
    """Connected pieces of objects, numbered in the order of their first pixels, and the label of each piece.

    >>> number_pieces(np.array([[3, 0, 3, 7]]))
    (array([[1, 0, 2, 3]], dtype=int32), array([0, 3, 3, 7]))
    """
    numbers, names = number_objects(labels)
    pieces = label_objects(numbers, corners=True).view(np.int32)
    of_piece = np.zeros(int(pieces.max(initial=0)) + 1, np.int64)
    of_piece[pieces.ravel()] = numbers.ravel()
    return pieces, names[of_piece]


@njit(cache=True, nogil=True)
def _renumber(labels, top, first):  # type: ignore[no-untyped-def]
    """Number the labels `first`..top from `first` on by their first pixel; all others become `first` - 1."""
    before = 1 - first  # the table holds numbers from 1 on, as fresh memory holds zeros
    number_of = np.zeros(top + 1, np.int32)
    names = np.zeros(min(top, labels.size) + 1, np.int64)
    numbers = np.full(labels.size, first - 1, np.int32)
    found = first
    for pixel in range(labels.size):
        label = labels[pixel]
        if label >= first:
            if number_of[label] == 0:
                number_of[label] = found + before
                names[found] = label
                found += 1
            numbers[pixel] = number_of[label] - before
    return numbers, names[:found].copy()
