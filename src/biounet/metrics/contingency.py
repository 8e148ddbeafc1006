"""The contingency table of two label images, from which the scores of objects and partitions follow."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.core.components import number_objects
from biounet.core.labels import IGNORE
from biounet.metrics.checks import check_pair, known_pixels

__all__ = ["OverlapTable", "PixelsByLabel", "count_overlaps", "overlap_table", "pixels_by_label"]


@dataclass(frozen=True)
class PixelsByLabel:
    """Pixels of a label image sorted by label, to compare one label image with many others.

    Attributes
    ----------
    labels : (I,), int64
        Labels in the order of their first pixel. IGNORE is not among them.
    start : (I + 1,), int64
        The pixels of label i are ``pixels[start[i] : start[i + 1]]``.
    pixels : (K,), int64
        Flat indices.
    """

    labels: NDArray[np.int64]
    start: NDArray[np.int64]
    pixels: NDArray[np.int64]


@dataclass(frozen=True)
class OverlapTable:
    """Contingency table of two label images: pixels with label i in the truth and label j in the result.

    The table is sparse: it has a row for each pair of labels that occurs. Labels are numbered 0, 1, ... by their first
    pixel, so that no score depends on the numbers of objects. Pixels that are IGNORE in the truth are left out.

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
        """The table of some of the pairs; labels keep their numbers."""
        return OverlapTable(
            self.truth_labels, self.result_labels, self.truth[pairs], self.result[pairs], self.pixels[pairs]
        )


def overlap_table(truth: np.ndarray, result: np.ndarray) -> OverlapTable:
    """Contingency table of two label images: the pixels of every pair of labels.

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
    check_pair(truth, result)
    known = known_pixels(truth)
    if not known.all():
        result = np.where(known, result.astype(np.int64), IGNORE)
    return count_overlaps(pixels_by_label(truth), *number_objects(result, background=True))


def pixels_by_label(labels: np.ndarray) -> PixelsByLabel:
    """Pixels of a label image sorted by label, in linear time.

    >>> pixels_by_label(np.array([7, 0, 7, -1]))
    PixelsByLabel(labels=array([7, 0]), start=array([0, 2, 3]), pixels=array([0, 2, 1]))
    """
    numbers, names = number_objects(labels, background=True)
    return PixelsByLabel(names, *_sort_pixels(numbers.ravel(), len(names)))


def count_overlaps(truth: PixelsByLabel, result: NDArray[np.int32], labels: NDArray[np.int64]) -> OverlapTable:
    """Contingency table of a truth whose pixels are sorted by label, and of a result numbered from 0.

    Parameters
    ----------
    truth : PixelsByLabel
    result : any shape, int32
        Numbers 0..J - 1.
    labels : (J,), int64
        The label of each number.

    Examples
    --------
    >>> count_overlaps(pixels_by_label(np.array([7, 0, 7])), np.array([1, 1, 0], np.int32), np.array([0, 5])).pixels
    array([1, 1, 1])
    """
    return OverlapTable(truth.labels, labels, *_count_pairs(truth.start, truth.pixels, result.ravel(), len(labels)))


def _sums(labels: NDArray[np.int64], pixels: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Pixels of each label, exact up to 2**53."""
    return np.bincount(labels, pixels, size).astype(np.int64)


@njit(cache=True)
def _sort_pixels(numbers, size):  # type: ignore[no-untyped-def]
    """First place of each number, and pixels sorted by number; negative numbers are left out."""
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
    """Numbers of the truth and of the result, and pixels, of each pair that occurs."""
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
