"""Uncertainty of a model: entropy, and the regions most worth annotating next."""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from biounet.core.boxes import Box
from biounet.core.errors import ShapeError
from biounet.measurement.checks import foreground

__all__ = ["entropy", "uncertain_regions"]


def entropy(probabilities: np.ndarray) -> NDArray[np.float32]:
    """Entropy of the class of each pixel, as a share of the largest possible entropy.

    Parameters
    ----------
    probabilities : (classes, ...), in [0, 1]
        They add up to 1; a single class is the foreground of two.

    Returns
    -------
    (...), float32 in [0, 1]
        0: one class is certain. 1: all are equally probable.

    Notes
    -----
    Source: Shannon 1948, divided by the entropy of equal probabilities.

    Examples
    --------
    >>> entropy(np.array([[0.0, 0.5, 1.0]]))
    array([0., 1., 0.], dtype=float32)
    """
    values = probabilities.astype(np.float32, copy=False)
    if len(values) == 1:
        values = np.concatenate([1 - values, values])
    result: NDArray[np.float32] = (entr(values).sum(axis=0) / np.log(len(values))).astype(np.float32)
    return result


def uncertain_regions(
    probabilities: np.ndarray, *, size: Sequence[int], count: int, by_class: bool = False
) -> list[tuple[Box, float]]:
    """Regions of largest mean entropy, which are most worth annotating next.

    Parameters
    ----------
    probabilities : (classes, *spatial), in [0, 1], or of the foreground only, without that axis
    size : pixels per spatial axis of a region
        At most that of the image.
    count : int
        How many regions; fewer if no more fit beside each other.
    by_class : bool
        Count doubt between any two classes; else all but the first are foreground, as the parts of objects are
        (interior and border, levels of distance), and only doubt about that counts.

    Returns
    -------
    region and its mean entropy in [0, 1], the least certain first
        They do not overlap.

    Raises
    ------
    ShapeError
        If `size` does not fit the axes.

    Notes
    -----
    Every position is looked at; the best one is taken, then the best that does not overlap it, and so on. Where that
    leaves no room for as many as fit beside each other, the image is divided into equal parts, as many as regions
    fit, and the best position in each is taken.

    Examples
    --------
    >>> row = np.array([[0.0, 0.5, 0.5, 1.0, 0.1, 1.0]])
    >>> [(box.start, box.stop, round(mean, 2)) for box, mean in uncertain_regions(row, size=(1, 2), count=2)]
    [((0, 1), (1, 3), 1.0), ((0, 3), (1, 5), 0.23)]
    """
    if probabilities.ndim - len(size) not in (0, 1):
        raise ShapeError(f"size must have one number per spatial axis of {probabilities.shape}, got {tuple(size)}")
    classes = probabilities if probabilities.ndim > len(size) else probabilities[np.newaxis]
    means = entropy(classes if by_class else foreground(classes)).astype(np.float64)
    sizes = means.shape
    window = [min(wanted, have) for wanted, have in zip(size, sizes, strict=True)]
    if min(window, default=0) < 1:
        raise ShapeError(f"a region must have at least 1 pixel per axis, got {tuple(size)}")
    for axis, width in enumerate(window):
        ahead = np.moveaxis(np.insert(means.cumsum(axis=axis), 0, 0, axis=axis), axis, 0)
        means = np.moveaxis((ahead[width:] - ahead[:-width]) / width, 0, axis)
    means = means.clip(0, 1)  # sums that cancel leave a rest
    starts = _best_first(means.copy(), window, count)
    fit = [size // width for size, width in zip(sizes, window, strict=True)]
    if len(starts) < min(count, prod(fit)):
        starts = sorted(_one_per_part(means, window, sizes, fit), key=lambda start: -means[start])[:count]
    return [
        (Box(start, tuple(first + width for first, width in zip(start, window, strict=True))), float(means[start]))
        for start in starts
    ]


def _best_first(means: NDArray[np.float64], window: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """Positions of windows, best first, none of which overlap; `means` is overwritten."""
    starts: list[tuple[int, ...]] = []
    while len(starts) < count and means.max() >= 0:
        start = tuple(int(index) for index in np.unravel_index(means.argmax(), means.shape))
        starts.append(start)
        overlapping = (
            slice(max(first - width + 1, 0), first + width) for first, width in zip(start, window, strict=True)
        )
        means[tuple(overlapping)] = -1
    return starts


def _one_per_part(
    means: NDArray[np.float64], window: Sequence[int], sizes: Sequence[int], fit: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """Best position in each of as many equal parts of an image as regions fit along each axis."""
    for part in np.ndindex(*fit):
        first = [index * size // parts for index, size, parts in zip(part, sizes, fit, strict=True)]
        stop = [(index + 1) * size // parts for index, size, parts in zip(part, sizes, fit, strict=True)]
        inside = means[tuple(slice(a, b - width + 1) for a, b, width in zip(first, stop, window, strict=True))]
        best = np.unravel_index(inside.argmax(), inside.shape)
        yield tuple(a + int(index) for a, index in zip(first, best, strict=True))
