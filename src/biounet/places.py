"""Where the labels of an image are, without a list of their positions."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Places"]


@dataclass(frozen=True)
class Places:
    """How many pixels of each class are on the lines of an image, so that each can be found by its number.

    Parameters
    ----------
    shape : pixels per axis
    before : (1 + lines, classes), pixels of a class on the lines before; the last row counts all
        Classes up to the highest that occurs.
        A line runs along X. So this takes one number per line and class, and none per pixel.

    Examples
    --------
    >>> labels = np.array([[0, 1, 1], [2, -1, 1]])
    >>> places = Places.of(labels)
    >>> places.counts
    array([1, 3, 1])
    >>> places.known, places.sparse
    (5, True)
    >>> places.find(labels.__getitem__, 2, wanted=1), places.find(labels.__getitem__, 3)    # counted from 0
    ((1, 2), (1, 0))
    """

    shape: tuple[int, ...]
    before: NDArray[np.int64]

    @classmethod
    def of(cls, labels: NDArray[Any]) -> "Places":
        """Count the labels (Y, X) or (Z, Y, X); negative ones are no class."""
        classes = 1 + int(labels.max(initial=-1))
        lines = labels.reshape(-1, labels.shape[-1])
        before = np.zeros((1 + len(lines), classes), np.int64)
        for number in range(classes):
            np.cumsum((lines == number).sum(axis=1), out=before[1:, number])
        return cls(labels.shape, before)

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

    def find(
        self, line: Callable[[tuple[int, ...]], NDArray[Any]], number: int, *, wanted: int | None = None
    ) -> tuple[int, ...]:
        """Return the position of a pixel of a class, counted in the order of the array.

        Parameters
        ----------
        line : (all but the last index) -> labels along X
            Called once.
        number : from 0 to below the count of the class
        wanted : the class; None counts all known pixels
        """
        before = self.before.sum(axis=1) if wanted is None else self.before[:, wanted]
        row = int(np.searchsorted(before, number, side="right")) - 1
        index = tuple(int(i) for i in np.unravel_index(row, self.shape[:-1]))
        labels = line(index)
        fits = labels >= 0 if wanted is None else labels == wanted
        return *index, int(np.flatnonzero(fits)[number - before[row]])
