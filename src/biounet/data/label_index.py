"""Random access to the labelled pixels of an image without a list of their positions."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelIndex"]


@dataclass(frozen=True)
class LabelIndex:
    """Counts of the pixels of each class along the lines of an image, by which a pixel is found by its number.

    Parameters
    ----------
    shape : pixels per axis
    before : (1 + lines, classes), pixels of a class on the lines before; the last row counts the whole image
        Classes up to the highest that occurs. A line runs along X: memory grows with the lines, not with the pixels.

    Examples
    --------
    >>> labels = np.array([[0, 1, 1], [2, -1, 1]])
    >>> index = LabelIndex.of(labels)
    >>> index.counts
    array([1, 3, 1])
    >>> index.known, index.sparse
    (5, True)
    >>> index.find(labels.__getitem__, 2, wanted=1), index.find(labels.__getitem__, 3)    # counted from 0
    ((1, 2), (1, 0))
    """

    shape: tuple[int, ...]
    before: NDArray[np.int64]

    @classmethod
    def of(cls, labels: NDArray[Any]) -> "LabelIndex":
        """Index of the labels (Y, X) or (Z, Y, X); negative labels are unknown."""
        return cls.counted(labels.shape, labels.reshape(-1, labels.shape[-1]).__getitem__)

    @classmethod
    def counted(
        cls, shape: tuple[int, ...], read: Callable[[slice], NDArray[Any]], *, pixels: int = 2**22
    ) -> "LabelIndex":
        """Index of labels that need not be in memory together.

        Parameters
        ----------
        shape : pixels per axis
        read : (numbers of lines, counted through all sections) -> their labels, (lines, X)
        pixels : that are counted at a time; one line at least

        >>> labels = np.array([[0, 1, 1], [2, -1, 1]])
        >>> LabelIndex.counted(labels.shape, labels.__getitem__).counts
        array([1, 3, 1])
        """
        lines, together = math.prod(shape[:-1]), max(1, pixels // shape[-1])
        parts = [_count(read(slice(first, min(first + together, lines)))) for first in range(0, lines, together)]
        classes = max(part.shape[1] for part in parts)
        before = np.zeros((1 + lines, classes), np.int64)
        np.concatenate([np.pad(part, [(0, 0), (0, classes - part.shape[1])]) for part in parts], out=before[1:])
        return cls(shape, before.cumsum(axis=0))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Pixels of each class."""
        counts: NDArray[np.int64] = self.before[-1]
        return counts

    @property
    def known(self) -> int:
        """Pixels of any class."""
        return int(self.counts.sum())

    @property
    def sparse(self) -> bool:
        """Whether there are pixels of no class."""
        return self.known < math.prod(self.shape)

    @cached_property
    def _known_before(self) -> NDArray[np.int64]:
        """Pixels of any class on the lines before, (1 + lines,); kept, since every patch asks for it."""
        known: NDArray[np.int64] = self.before.sum(axis=1)
        return known

    def find(
        self, line: Callable[[tuple[int, ...]], NDArray[Any]], number: int, *, wanted: int | None = None
    ) -> tuple[int, ...]:
        """Position of a pixel of a class, by its number in the order of the array.

        Parameters
        ----------
        line : (all but the last index) -> labels along X
            Called once.
        number : from 0 to below the count of the class
        wanted : the class; None: pixels of any class
        """
        before = self._known_before if wanted is None else self.before[:, wanted]
        row = int(np.searchsorted(before, number, side="right")) - 1
        index = tuple(int(i) for i in np.unravel_index(row, self.shape[:-1]))
        labels = line(index)
        fits = labels >= 0 if wanted is None else labels == wanted
        return *index, int(np.flatnonzero(fits)[number - before[row]])


def _count(lines: NDArray[Any]) -> NDArray[np.int64]:
    """Count the pixels of each class on each line, (lines, classes)."""
    classes = range(1 + int(lines.max(initial=-1)))
    counts = [(lines == number).sum(axis=1) for number in classes]
    return np.stack(counts, axis=1) if counts else np.zeros((len(lines), 0), np.int64)
