"""Pixels of a true class that were given a class: counted, and scored."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["count_confusion", "dice_of_foreground", "dice_per_class"]


def count_confusion(truth: NDArray[np.int64], result: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count pixels of each true class (row) that were given each class (column); unknown ones are left out.

    >>> count_confusion(np.array([0, 1, 1, -1]), np.array([0, 0, 1, 1]), 2)
    array([[1, 0],
           [1, 1]])
    """
    known = truth >= 0
    pairs = truth[known] * classes + result[known]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def dice_of_foreground(confusion: NDArray[np.int64]) -> float:
    """Dice of all classes but the first together; 1 where there are none.

    >>> dice_of_foreground(np.array([[1, 0], [1, 1]]))                  # of 2 pixels one was found: 2 / (2 + 1)
    0.6666666666666666
    """
    both, true, called = (int(part.sum()) for part in (confusion[1:, 1:], confusion[1:], confusion[:, 1:]))
    return 2 * both / (true + called) if true + called else 1.0


def dice_per_class(confusion: NDArray[np.int64]) -> dict[str, float]:
    """Dice of each class from counts; not a number for a class that is neither there nor given.

    >>> dice_per_class(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]]))
    {'dice_0': 0.8, 'dice_1': 0.6666666666666666, 'dice_2': nan}
    """
    both = confusion.sum(0) + confusion.sum(1)
    dice = np.full(len(both), np.nan)
    np.divide(2 * np.diag(confusion), both, out=dice, where=both > 0)
    return {f"dice_{number}": float(value) for number, value in enumerate(dice)}
