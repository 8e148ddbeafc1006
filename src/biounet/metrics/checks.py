"""Checks of the label images, masks and probabilities that metrics compare."""

import warnings

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ImageError, LabelError, ShapeError
from biounet.core.labels import check_labels

__all__ = ["EightBitWarning", "as_probabilities", "check_pair", "check_shapes", "known_pixels"]


class EightBitWarning(UserWarning):
    """Probabilities came as 8-bit numbers and were divided by 255."""


def check_pair(truth: np.ndarray, result: np.ndarray) -> None:
    """Check of a truth and a result: an error if the two are no label images of one shape.

    Parameters
    ----------
    truth : any shape, integers or bool
        Negative is IGNORE.
    result : the shape of `truth`, integers or bool
        Nothing negative: a result has a label for every pixel.

    Raises
    ------
    ShapeError
        If the shapes differ, or there is no pixel.
    LabelError
        If one of them is not of an integer type, or `result` is negative somewhere.

    Examples
    --------
    >>> check_pair(np.array([0, 1]), np.array([0.0, 1.0]))
    Traceback (most recent call last):
    biounet.core.errors.LabelError: result labels must be integers, got float64; threshold or number the objects first
    """
    check_labels(truth, name="truth labels", masks=True)
    check_labels(result, name="result labels", masks=True)
    check_shapes(truth, result)
    if result.dtype.kind == "i" and result.min() < 0:
        raise LabelError(f"result labels must not be negative, got {result.min()}; only the truth may hold IGNORE")


def as_probabilities(image: np.ndarray) -> NDArray[np.float32]:
    """Probabilities as float32, from floating point numbers, masks or 8-bit numbers.

    Parameters
    ----------
    image : any shape
        Floating point in [0, 1]; bool or integers 0 and 1; or 8-bit numbers 0..255, which are divided
        by 255 with an `EightBitWarning`.

    Returns
    -------
    float32 of the shape of `image`, in [0, 1]

    Raises
    ------
    ImageError
        If a value is not a number or outside of the range.

    Examples
    --------
    >>> as_probabilities(np.array([0.25, 1.5]))
    Traceback (most recent call last):
    biounet.core.errors.ImageError: probabilities must lie in 0..1, got 0.25..1.5; scale them or take another channel
    """
    if image.dtype.kind not in "fbiu":
        raise ImageError(f"probabilities must be real numbers in 0..1, got {image.dtype}; save them as float32")
    if image.size == 0:
        return image.astype(np.float32)
    low, high = image.min(), image.max()
    if np.isnan(low):
        raise ImageError(f"probabilities must be numbers in 0..1, got {np.isnan(image).sum()} NaN; predict again")
    if image.dtype == np.uint8 and high > 1:
        warnings.warn(f"8-bit probabilities up to {high} were divided by 255", EightBitWarning, stacklevel=3)
        return image.astype(np.float32) / np.float32(255)
    if low < 0 or high > 1:
        raise ImageError(f"probabilities must lie in 0..1, got {low}..{high}; scale them or take another channel")
    return image.astype(np.float32)


def check_shapes(truth: np.ndarray, result: np.ndarray) -> None:
    """Check of two arrays: an error if their shapes differ, or if they are empty.

    >>> check_shapes(np.zeros((2, 3)), np.zeros((3, 2)))
    Traceback (most recent call last):
    biounet.core.errors.ShapeError: truth (2, 3) and result (3, 2) must have the same shape; crop or resample one
    """
    if truth.shape != result.shape:
        raise ShapeError(
            f"truth {truth.shape} and result {result.shape} must have the same shape; crop or resample one"
        )
    if truth.size == 0:
        raise ShapeError(f"nothing to compare in an array of shape {truth.shape}; pass at least one pixel")


def known_pixels(truth: np.ndarray) -> NDArray[np.bool_]:
    """Mask of the pixels that are not IGNORE in the truth.

    >>> known_pixels(np.array([3, 0, -1]))
    array([ True,  True, False])
    """
    return np.ones(truth.shape, bool) if truth.dtype.kind in "bu" else truth >= 0
