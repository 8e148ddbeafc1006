"""Axes and channels of the images and probabilities that objects are measured in."""

import numpy as np

from biounet.core.errors import ShapeError

__all__ = ["fit_channels_first", "foreground"]


def fit_channels_first(array: np.ndarray | None, labels: np.ndarray, what: str) -> np.ndarray | None:
    """Image or probabilities with the axis of channels first, (C, *spatial).

    Raises
    ------
    ShapeError
        If the array does not have the size of the labels.

    Examples
    --------
    >>> fit_channels_first(np.zeros((4, 5)), np.zeros((4, 5), int), "image").shape
    (1, 4, 5)
    """
    if array is None:
        return None
    stacked = array[np.newaxis] if array.ndim == labels.ndim else array
    if stacked.shape[1:] != labels.shape:
        raise ShapeError(f"the {what} must have the size {labels.shape} of the labels, got {array.shape}")
    return stacked


def foreground(probabilities: np.ndarray) -> np.ndarray:
    """Probability of the foreground: of all classes but the first.

    Parameters
    ----------
    probabilities : (classes, ...), in [0, 1]
        They add up to 1. They may be levels of distance, or interior and border: together they are the foreground.
        A single one is the foreground already.

    Returns
    -------
    (1, ...), in [0, 1]

    Examples
    --------
    >>> foreground(np.array([[0.25, 1.0], [0.5, 0.0], [0.25, 0.0]]))
    array([[0.75, 0.  ]])
    """
    return probabilities if len(probabilities) == 1 else (1 - probabilities[:1]).clip(0, 1)
