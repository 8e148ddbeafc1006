"""What one look at an image to learn from tells: its size, how often each class occurs, digests of its pixels."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Survey", "total_counts"]


@dataclass(frozen=True)
class Survey:
    """What is kept of an image, where memory may not hold all of them.

    Parameters
    ----------
    name : of the image
    shape : (C, *spatial) of the image
    counts : pixels that are unknown, and of each class up to the highest that occurs
    image_digest : SHA-256 of the pixels
    digest : SHA-256 of pixels, labels and target

    Examples
    --------
    >>> labels = np.array([[0, 2, 2, -1]])
    >>> Survey.of("a", np.zeros((1, 1, 4)), labels, labels).counts.tolist()
    [1, 1, 0, 2]
    """

    name: str
    shape: tuple[int, ...]
    counts: NDArray[np.int64]
    image_digest: str
    digest: str

    @classmethod
    def of(cls, name: str, image: NDArray[Any], labels: NDArray[Any], target: NDArray[np.integer[Any]]) -> Self:
        """Look at an image (C, *spatial), its labels, and the target (*spatial), of which negative is unknown."""
        digest = hashlib.sha256()
        _add(digest, image)
        image_digest = digest.hexdigest()
        for array in (labels, target):
            _add(digest, array)
        counts = np.bincount(np.maximum(target, -1).ravel() + 1, minlength=1)
        return cls(name, image.shape, counts, image_digest, digest.hexdigest())

    @property
    def classes(self) -> int:
        """One more than the highest class that occurs."""
        return len(self.counts) - 1


def total_counts(surveys: Iterable[Survey], classes: int) -> NDArray[np.int64]:
    """Pixels of all images that are unknown, and of each class; (1 + classes,).

    >>> labels = np.array([0, 1, -1])
    >>> total_counts([Survey.of("a", labels, labels, labels)] * 2, classes=3).tolist()
    [2, 2, 2, 0]
    """
    counts = np.zeros(1 + classes, np.int64)
    for survey in surveys:
        counts[: len(survey.counts)] += survey.counts
    return counts


def _add(digest: "hashlib._Hash", array: NDArray[Any]) -> None:
    """Add type, shape and contents of an array."""
    digest.update(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
