"""Overlap of masks and of classes: IoU, Dice, accuracy, confusion matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import LabelError
from biounet.metrics.checks import check_pair, known_pixels

__all__ = [
    "ClassScores",
    "accuracy",
    "class_scores",
    "confusion",
    "dice",
    "dice_of_foreground",
    "dice_per_class",
    "iou",
    "mask_counts",
    "share",
]


MOST_CLASSES = 1000
"""Labels from here on are taken for objects, as nobody has that many classes."""


def mask_counts(truth: np.ndarray, result: np.ndarray) -> NDArray[np.int64]:
    """Pixels of the foreground in both masks, in the truth, in the result, and all known pixels.

    >>> mask_counts(np.array([1, 1, 0, -1]), np.array([1, 0, 0, 1]))
    array([1, 2, 1, 3])
    """
    check_pair(truth, result)
    known = known_pixels(truth)
    inside, found = truth > 0, (result > 0) & known
    return np.array([np.count_nonzero(array) for array in (inside & found, inside, found, known)])


def iou(truth: np.ndarray, result: np.ndarray) -> float:
    """Intersection over union of two masks, the Jaccard index; 1 is perfect, 0 the worst.

    Parameters
    ----------
    truth : any shape, bool or integers
        Positive is foreground, whatever its number; negative is IGNORE and not counted.
    result : the shape of `truth`, bool or integers
        Positive is foreground.

    Raises
    ------
    ShapeError, LabelError
        If the two are no masks of one shape.

    Notes
    -----
    TP / (TP + FP + FN) in pixels (Jaccard 1912). No foreground in either: 1.

    Examples
    --------
    >>> round(iou(np.array([1, 1, 0]), np.array([0, 1, 1])), 4)     # 1 of 3 pixels
    0.3333
    """
    both, inside, found, _ = mask_counts(truth, result)
    return share(both, inside + found - both)


def dice(truth: np.ndarray, result: np.ndarray) -> float:
    """Dice coefficient of two masks, the F1 score of pixels; 1 is perfect, 0 the worst.

    Parameters
    ----------
    truth, result
        As in `iou`.

    Raises
    ------
    ShapeError, LabelError
        If the two are no masks of one shape.

    Notes
    -----
    2 TP / (2 TP + FP + FN) in pixels (Dice 1945). No foreground in either: 1.

    Examples
    --------
    >>> dice(np.array([1, 1, 0]), np.array([0, 1, 1]))              # 2 of 2 + 2
    0.5
    """
    both, inside, found, _ = mask_counts(truth, result)
    return share(2 * both, inside + found)


def accuracy(truth: np.ndarray, result: np.ndarray) -> float:
    """Share of pixels with the right class; 1 is perfect, 0 the worst.

    Parameters
    ----------
    truth : any shape, integers
        Class numbers; negative is IGNORE and not counted.
    result : the shape of `truth`, integers

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape.

    Notes
    -----
    Nothing but IGNORE: 1.

    Examples
    --------
    >>> accuracy(np.array([0, 1, 2, -1]), np.array([0, 2, 2, 2]))   # 2 of 3 known pixels
    0.6666666666666666
    """
    return class_scores(truth, result).accuracy


def confusion(truth: np.ndarray, result: np.ndarray, *, classes: int | None = None) -> NDArray[np.int64]:
    """Confusion matrix: pixels of each class of the truth (rows) in each class of the result (columns).

    Parameters
    ----------
    truth : any shape, integers
        Class numbers from 0; negative is IGNORE and not counted.
    result : the shape of `truth`, integers
    classes : int
        Size of the matrix; None: the largest class number present plus one.

    Returns
    -------
    int64, (classes, classes), pixels

    Raises
    ------
    ShapeError, LabelError
        If the two are no label images of one shape, or hold a class outside of the matrix.

    Examples
    --------
    >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]))
    array([[1, 0],
           [1, 1]])
    """
    check_pair(truth, result)
    known = known_pixels(truth)
    of_truth, of_result = truth[known], result[known]
    largest = int(max(of_truth.max(initial=0), of_result.max(initial=0)))
    if largest >= (classes or MOST_CLASSES):
        raise LabelError(
            f"classes must be below {classes or MOST_CLASSES}, got {largest}; objects are scored by match_objects"
        )
    size = classes or largest + 1
    pairs = of_truth.astype(np.int64) * size + of_result.astype(np.int64)
    return np.bincount(pairs, minlength=size**2).reshape(size, size)


@dataclass(frozen=True)
class ClassScores:
    """Scores of every class, from a confusion matrix.

    Attributes
    ----------
    confusion : (classes, classes), int64, pixels
        Rows are the truth, columns the result.
    """

    confusion: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of pixels with the right class."""
        return share(np.trace(self.confusion), self.confusion.sum())

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class, (classes,); NaN for a class in neither image."""
        both = np.diag(self.confusion)
        return both / _nan_if_zero(self.confusion.sum(axis=0) + self.confusion.sum(axis=1) - both)

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice coefficient of each class, (classes,); NaN for a class in neither image."""
        return 2 * np.diag(self.confusion) / _nan_if_zero(self.confusion.sum(axis=0) + self.confusion.sum(axis=1))

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur, background included; 1 if none does."""
        return _mean(self.iou)

    @property
    def mean_dice(self) -> float:
        """Mean over the classes that occur, background included; 1 if none does."""
        return _mean(self.dice)


def class_scores(truth: np.ndarray, result: np.ndarray, *, classes: int | None = None) -> ClassScores:
    """Accuracy, IoU and Dice of each class and their means; see `confusion` for the parameters.

    >>> scores = class_scores(np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0]))
    >>> scores.iou.round(4), round(scores.mean_iou, 4), scores.accuracy
    (array([0.5   , 0.6667]), 0.5833, 0.75)
    """
    return ClassScores(confusion(truth, result, classes=classes))


def share(part: float, whole: float) -> float:
    """Part of a whole; 1 where the whole is 0, as nothing is wrong there.

    >>> share(1, 4), share(0, 0)
    (0.25, 1.0)
    """
    return float(part / whole) if whole else 1.0


def _nan_if_zero(pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(pixels > 0, pixels, np.nan)


def _mean(scores: NDArray[np.float64]) -> float:
    defined = scores[~np.isnan(scores)]
    return float(defined.mean()) if defined.size else 1.0


def dice_of_foreground(confusion: NDArray[np.int64]) -> float:
    """Dice coefficient of all classes but the first together; 1 where they are in neither image.

    >>> dice_of_foreground(np.array([[1, 0], [1, 1]]))                  # of 2 pixels one was found: 2 / (2 + 1)
    0.6666666666666666
    """
    both, true, called = (int(part.sum()) for part in (confusion[1:, 1:], confusion[1:], confusion[:, 1:]))
    return 2 * both / (true + called) if true + called else 1.0


def dice_per_class(confusion: NDArray[np.int64]) -> dict[str, float]:
    """Dice coefficient of each class of a confusion matrix; NaN for a class in neither image.

    >>> dice_per_class(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]]))
    {'dice_0': 0.8, 'dice_1': 0.6666666666666666, 'dice_2': nan}
    """
    return {f"dice_{number}": float(value) for number, value in enumerate(ClassScores(confusion).dice)}
