"""Size of the objects and looks of training images, measured for the model file."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.components import dense_numbers
from biounet.core.labels import equivalent_diameters
from biounet.data.annotated_image import AnnotatedSource
from biounet.data.learnt_images import LearntImages
from biounet.data.looks import look_of, spread_out

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
    """Look of an image, of its first strip if it is read in strips, and the diameters of its objects."""
    look, pixels = None, Counter[int]()
    for item, rows in source.strips():
        if look is None:
            look = look_of(item.image.shape[1:], partial(_read, item.image))
        if not numbered:
            break
        pixels.update(_pixels_of(item.labels[..., rows, :]))
    assert look is not None
    steps = source.anisotropy
    return look, equivalent_diameters(list(pixels.values()), dims=len(steps)) * math.prod(steps) ** (1 / len(steps))


def _pixels_of(labels: NDArray[Any]) -> dict[int, int]:
    """Pixels of each object."""
    numbers = dense_numbers(labels)
    counts = np.bincount(numbers.ravel())
    names = np.zeros(len(counts), np.int64)
    names[numbers.ravel()] = labels.ravel()
    there = np.flatnonzero(counts[1:]) + 1
    return dict(zip(names[there].tolist(), counts[there].tolist(), strict=True))


def _read(image: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
    """Pixels (C, *spatial) of a box of the spatial axes."""
    return image[(slice(None), *box.slices)]
