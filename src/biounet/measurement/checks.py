"""Label images that can be measured: checked, numbered without gaps, and in one piece per object."""

import numpy as np

from biounet.core.errors import ShapeError

__all__ = ["fit_channels_first", "foreground"]


def fit_channels_first(array: np.ndarray | None, labels: np.ndarray, what: str) -> np.ndarray | None:
    """View what is measured in objects as (C, *spatial).

    Raises
    ------
    ShapeError
        If it does not have the size of the labels.

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
    """Probability that a pixel is of any object: of all that a network tells apart, only the first is background.

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
