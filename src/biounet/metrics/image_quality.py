"""Errors of a predicted image against the true one: MAE, RMSE, PSNR and R2 of any number of images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biounet.core.errors import ShapeError

__all__ = ["ImageErrors", "image_errors", "image_scores"]


@dataclass(frozen=True)
class ImageErrors:
    """Sums of errors and of the truth over the pixels of an image, all channels together.

    Attributes
    ----------
    pixels : how many
    absolute, squared : sums of the differences
    total, squares : sums of the truth
    low, high : darkest and brightest of the truth
    """

    pixels: int
    absolute: float
    squared: float
    total: float
    squares: float
    low: float
    high: float


def image_errors(truth: np.ndarray, result: np.ndarray) -> ImageErrors:
    """Sums of the errors of a predicted image against the true one.

    Parameters
    ----------
    truth, result : of one shape, any number type

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no pixels.

    Examples
    --------
    >>> image_errors(np.array([0, 4]), np.array([1, 1]))
    ImageErrors(pixels=2, absolute=4.0, squared=10.0, total=4.0, squares=16.0, low=0.0, high=4.0)
    """
    if truth.shape != result.shape or not truth.size:
        raise ShapeError(
            f"a true image and a predicted one of the same size are wanted, got {truth.shape}, {result.shape}"
        )
    true = truth.astype(np.float64)
    difference = result - true
    return ImageErrors(
        pixels=true.size,
        absolute=float(np.abs(difference).sum()),
        squared=float(np.square(difference).sum()),
        total=float(true.sum()),
        squares=float(np.square(true).sum()),
        low=float(true.min()),
        high=float(true.max()),
    )


def image_scores(counts: Sequence[ImageErrors]) -> dict[str, float]:
    """MAE, RMSE, PSNR and R2 of some images together, as if they were one.

    Parameters
    ----------
    counts : of at least one image

    Returns
    -------
    dict
        ``mae`` and ``rmse``: mean absolute error and root of the mean squared one, in units of the images.
        ``psnr``, decibels: the range of the truth, from its darkest to its brightest pixel, against ``rmse``;
        infinite for equal images. ``r2``: share of the variance of the truth that is explained, 1 at best, 0 for
        the mean of the truth everywhere. The last two are NaN where the truth is constant.

    Examples
    --------
    >>> scores = image_scores([image_errors(np.array([0, 4]), np.array([1, 3]))])
    >>> {name: round(value, 2) for name, value in scores.items()}       # 20 log10(4 / 1); 1 - (1 + 1) / (4 + 4)
    {'mae': 1.0, 'rmse': 1.0, 'psnr': 12.04, 'r2': 0.75}
    """
    pixels = sum(count.pixels for count in counts)
    squared = sum(count.squared for count in counts)
    rmse = math.sqrt(squared / pixels)
    extent = max(count.high for count in counts) - min(count.low for count in counts)
    variance = sum(count.squares for count in counts) - sum(count.total for count in counts) ** 2 / pixels
    psnr = math.nan
    if extent > 0:
        psnr = 20 * math.log10(extent / rmse) if rmse > 0 else math.inf
    return {
        "mae": sum(count.absolute for count in counts) / pixels,
        "rmse": rmse,
        "psnr": psnr,
        "r2": 1 - squared / variance if extent > 0 and variance > 0 else math.nan,
    }
