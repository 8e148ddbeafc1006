"""The contingency table: counted once, scored by everything that compares two label images."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.core.labels import IGNORE
from biounet.metrics.checks import check_labels, known_pixels

__all__ = ["Groups", "OverlapTable", "count_overlaps", "group_pixels", "overlap_table"]


@dataclass(frozen=True)
class Groups:
    """The pixels of a label image, label by label: what a truth is turned into to be compared many times.

    Attributes
    ----------
    labels : (I,), int64
        Labels in the order of their first pixel. IGNORE is not among them.
    start : (I + 1,), int64
        Group i is ``pixels[start[i] : start[i + 1]]``.
    pixels : (K,), int64
        Flat indices.
    """

    labels: NDArray[np.int64]
    start: NDArray[np.int64]
    pixels: NDArray[np.int64]


@dataclass(frozen=True)
class OverlapTable:
    """How many pixels carry label i in the truth and label j in the result, for pairs that occur.

    Labels are numbered 0, 1, ... by their first pixel, so that no score depends on how objects
    were numbered. Pixels that are IGNORE in the truth are not in the table.

    Attributes
    ----------
    truth_labels : (I,), int64
        The label in the truth of each number i; 0 is background.
    result_labels : (J,), int64
        The same for the result.
    truth, result : (P,), int64
        The numbers i and j of each pair.
    pixels : (P,), int64
        Pixels of each pair.
    """

    truth_labels: NDArray[np.int64]
    result_labels: NDArray[np.int64]
    truth: NDArray[np.int64]
    result: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @property
    def truth_pixels(self) -> NDArray[np.int64]:
        """Pixels of each truth label, (I,)."""
        return _sums(self.truth, self.pixels, len(self.truth_labels))

    @property
    def result_pixels(self) -> NDArray[np.int64]:
        """Pixels of each result label, (J,)."""
        return _sums(self.result, self.pixels, len(self.result_labels))

    def select(self, pairs: NDArray[np.bool_]) -> "OverlapTable":
        """Return the table of some of the pairs; labels keep their numbers."""
        return OverlapTable(
            self.truth_labels, self.result_labels, self.truth[pairs], self.result[pairs], self.pixels[pairs]
        )


def overlap_table(truth: np.ndarray, result: np.ndarray) -> OverlapTable:
    """Count the pixels of every pair of labels of two label images.

    Parameters
    ----------
    truth : any shape, integers or bool
        0 is background, negative is IGNORE: those pixels are left out.
    result : the shape of `truth`, integers or bool
        0 is background.

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape.

    Notes
    -----
    Cost: linear in the number of pixels, whatever the number of objects.

    Examples
    --------
    >>> table = overlap_table(np.array([7, 7, 0, -1]), np.array([5, 0, 0, 5]))
    >>> table.truth_labels[table.truth], table.result_labels[table.result], table.pixels
    (array([7, 7, 0]), array([5, 0, 0]), array([1, 1, 1]))
    """
    check_labels(truth, result)
    known = known_pixels(truth)
    if not known.all():
        result = np.where(known, result.astype(np.int64), IGNORE)
    return count_overlaps(group_pixels(truth), *_number(result))


def group_pixels(labels: np.ndarray) -> Groups:
    """Sort the pixels of a label image by label, in linear time.

    >>> group_pixels(np.array([7, 0, 7, -1]))
    Groups(labels=array([7, 0]), start=array([0, 2, 3]), pixels=array([0, 2, 1]))
    """
    numbers, names = _number(labels)
    return Groups(names, *_sort_pixels(numbers, len(names)))


def count_overlaps(truth: Groups, result: NDArray[np.int32], labels: NDArray[np.int64]) -> OverlapTable:
    """Count the pixels of every pair of a truth label and a number of the result.

    Parameters
    ----------
    truth : Groups
    result : any shape, int32
        Numbers 0..J - 1.
    labels : (J,), int64
        The label of each number.

    Examples
    --------
    >>> count_overlaps(group_pixels(np.array([7, 0, 7])), np.array([1, 1, 0], np.int32), np.array([0, 5])).pixels
    array([1, 1, 1])
    """
    return OverlapTable(truth.labels, labels, *_count_pairs(truth.start, truth.pixels, result.ravel(), len(labels)))


def _sums(groups: NDArray[np.int64], values: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Sum the values of each group, exactly up to 2**53."""
    return np.bincount(groups, values, size).astype(np.int64)


def _number(labels: np.ndarray) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number labels by their first pixel, -1 for IGNORE: flat image of numbers, label of each number."""
    if labels.dtype.kind == "i":
        labels = np.maximum(labels, -1)
    top = int(labels.max())
    if top <= 4 * labels.size:
        flat, names = _first_seen(labels.ravel().astype(np.int32), top)
        return flat, names
    values, ranks = np.unique(labels, return_inverse=True)
    negative = np.count_nonzero(values < 0)
    numbers, order = _first_seen((ranks.ravel() - negative).astype(np.int32), len(values))
    return numbers, values[order + negative].astype(np.int64)


@njit(cache=True)
def _first_seen(labels, top):  # type: ignore[no-untyped-def]
    """Number labels 0..top by their first pixel; negative ones become -1."""
    number_of = np.full(top + 1, -1, np.int32)
    label_of = np.empty(top + 1, np.int64)
    numbers = np.full(labels.size, -1, np.int32)
    found = 0
    for pixel in range(labels.size):
        label = labels[pixel]
        if label >= 0:
            if number_of[label] < 0:
                number_of[label] = found
                label_of[found] = label
                found += 1
            numbers[pixel] = number_of[label]
    return numbers, label_of[:found].copy()


@njit(cache=True)
def _sort_pixels(numbers, size):  # type: ignore[no-untyped-def]
    """Start of each group and the pixels of all groups; negative numbers are left out."""
    start = np.zeros(size + 1, np.int64)
    for number in numbers:
        if number >= 0:
            start[number + 1] += 1
    for number in range(size):
        start[number + 1] += start[number]
    pixels = np.empty(start[-1], np.int64)
    fill = start[:-1].copy()
    for pixel in range(numbers.size):
        number = numbers[pixel]
        if number >= 0:
            pixels[fill[number]] = pixel
            fill[number] += 1
    return start, pixels


@njit(cache=True)
def _count_pairs(start, pixels, result, size):  # type: ignore[no-untyped-def]
    """Count the numbers of the result within each group of pixels."""
    pair_of = np.full(size, -1, np.int64)
    rows, columns, counts = [[np.int64(0) for _ in range(0)] for _ in range(3)]  # empty, but typed
    for row in range(start.size - 1):
        first = len(counts)
        for pixel in pixels[start[row] : start[row + 1]]:
            column = result[pixel]
            pair = pair_of[column]
            if pair < first:
                pair = len(counts)
                pair_of[column] = pair
                rows.append(np.int64(row))
                columns.append(np.int64(column))
                counts.append(np.int64(0))
            counts[pair] += 1
    return np.array(rows), np.array(columns), np.array(counts)
