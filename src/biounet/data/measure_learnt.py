"""Size of the objects and looks of training images, measured for the model file."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.components import dense_numbers
from biounet.core.labels import equivalent_diameters
from biounet.data.annotated_image import AnnotatedSource
from biounet.data.learnt_images import LearntImages
from biounet.data.looks import look_of, look_windows, spread_out

__all__ = ["measure_learnt"]


MEASURED, MEASURED_FILES = 512, 16
"""Images that are measured at most, evenly spread: where memory holds them, and where they lie in files."""

KEPT = 32
"""Looks that are kept at most."""

OUTSIDE = 5.0
"""Percent of the images whose objects may be smaller, and larger, than the range that is kept."""


def measure_learnt(sources: Sequence[AnnotatedSource], *, numbered: bool) -> LearntImages:
    """Size of the objects, and looks, of the images that are learnt from.

    Parameters
    ----------
    sources : at least one
    numbered : whether the labels are numbered objects

    Examples
    --------
    >>> from biounet.data.annotated_image import AnnotatedImage
    >>> labels = np.zeros((64, 64), np.int64)
    >>> labels[10:30, 10:30] = 1                        # 400 px, as in a circle of diameter 22.6
    >>> image = AnnotatedImage("a", labels[None].astype(np.float32), labels, labels)
    >>> measure_learnt([image], numbered=True).diameter
    22.6
    """
    looks, medians, every = [], list[float](), list[np.ndarray]()
    most = MEASURED if all(source.in_memory for source in sources) else MEASURED_FILES
    for source in sources[:: math.ceil(len(sources) / most)]:
        look, diameters = _measure(source, numbered=numbered)
        looks.append(look)
        if diameters.size:
            medians.append(float(np.median(diameters)))
            every.append(diameters)
    kept = tuple(spread_out(looks, most=KEPT))
    if not every:
        return LearntImages(looks=kept)
    low, high = np.percentile(medians, (OUTSIDE, 100 - OUTSIDE)).round(1).tolist()
    middle = round(float(np.median(np.concatenate(every))), 1)
    return LearntImages(diameter=middle, diameters=(low, high), looks=kept)


def _measure(source: AnnotatedSource, *, numbered: bool) -> tuple[tuple[float, ...], np.ndarray]:
    """Look of an image, and the diameters of its objects; the same whether it is read whole or in strips."""
    shape, pixels, first = source.statistics.shape[1:], Counter[int](), 0
    windows: dict[Box, list[NDArray[np.float32]]] = {box: [] for box in look_windows(shape)}
    for item, rows in source.strips():
        own = item.image[..., rows, :]
        for box, parts in windows.items():
            start, stop = (min(max(0, at[-2] - first), own.shape[-2]) for at in (box.start, box.stop))
            parts.append(own[(slice(None), *box.slices[:-2], slice(start, stop), box.slices[-1])].copy())
        first += own.shape[-2]
        if numbered:
            pixels.update(_pixels_of(item.labels[..., rows, :]))
        elif all(first >= box.stop[-2] for box in windows):
            break
    steps, look = source.anisotropy, look_of(shape, lambda box: np.concatenate(windows[box], axis=-2))
    return look, equivalent_diameters(list(pixels.values()), dims=len(steps)) * math.prod(steps) ** (1 / len(steps))


def _pixels_of(labels: NDArray[Any]) -> dict[int, int]:
    """Pixels of each object."""
    numbers = dense_numbers(labels)
    counts = np.bincount(numbers.ravel())
    names = np.zeros(len(counts), np.int64)
    names[numbers.ravel()] = labels.ravel()
    there = np.flatnonzero(counts[1:]) + 1
    return dict(zip(names[there].tolist(), counts[there].tolist(), strict=True))
