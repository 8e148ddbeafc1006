"""Confidence of objects: sums of the probability of the foreground, which add up over regions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biounet.core.components import number_objects

__all__ = ["ForegroundSums"]


@dataclass(frozen=True, eq=False)
class ForegroundSums:
    """Sums of the probability of the foreground in N objects, or in their pixels in a region.

    Divided by the pixels of an object, its sum is its confidence, see `biounet.measurement.measure_objects`.

    Attributes
    ----------
    labels : (N,), int64
        Ascending.
    sums : (N,), float64

    Examples
    --------
    >>> first = ForegroundSums.of(np.array([[7, 7, 0]]), np.array([[1.0, 0.5, 0.1]]))
    >>> second = ForegroundSums.of(np.array([[7, 3]]), np.array([[0.75, 0.5]]))
    >>> both = ForegroundSums.joined([first, second])
    >>> both.labels, both.sums
    (array([3, 7]), array([0.5 , 2.25]))
    >>> both.at(np.array([7]))
    array([2.25])
    """

    labels: NDArray[np.int64]
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, labels: np.ndarray, foreground: np.ndarray) -> "ForegroundSums":
        """Sums of probabilities of the shape of the labels."""
        numbers, names = number_objects(labels)
        sums = np.bincount(numbers.ravel(), foreground.ravel(), len(names)).astype(np.float64)
        order = np.argsort(names[1:])
        return cls(names[1:][order], sums[1:][order])

    @classmethod
    def joined(cls, parts: Sequence["ForegroundSums"]) -> "ForegroundSums":
        """Sums of one or more regions or sections that do not overlap."""
        labels, place = np.unique(np.concatenate([part.labels for part in parts]), return_inverse=True)
        sums = np.bincount(place, np.concatenate([part.sums for part in parts]), len(labels))
        return cls(labels, sums.astype(np.float64))

    def at(self, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sums of some of the objects."""
        return self.sums[np.searchsorted(self.labels, labels)]
