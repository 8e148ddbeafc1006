"""Semantic segmentation: the class of each pixel, and connected components of the foreground."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from biounet.core.components import label_objects
from biounet.core.errors import ShapeError

__all__ = ["segment"]


def segment(
    probabilities: NDArray[np.float32], *, target: Literal["classes", "foreground"], threshold: float = 0.5
) -> NDArray[Any]:
    """Class of each pixel, or connected components of the foreground.

    Parameters
    ----------
    probabilities : (classes, Y, X) or (classes, Z, Y, X), in [0, 1]
    target
        ``classes``: the number of the most probable class. ``foreground``: connected components of all
        classes but 0, see `label_objects`.
    threshold : probability
        With two classes a pixel is foreground above it. With more, the most probable class wins.

    Returns
    -------
    uint8 (uint16 for more than 256 classes) or, for objects, uint32, of the spatial shape

    Examples
    --------
    >>> row = np.array([[[0.1, 0.9, 0.2, 0.7]]], np.float32)
    >>> segment(np.concatenate([1 - row, row]), target="classes")
    array([[0, 1, 0, 1]], dtype=uint8)
    >>> segment(np.concatenate([1 - row, row]), target="foreground")
    array([[0, 1, 0, 2]], dtype=uint32)
    """
    if probabilities.ndim not in (3, 4):
        raise ShapeError(f"probabilities must have axes C(Z)YX, got {probabilities.ndim} axes")
    kind = np.uint8 if len(probabilities) <= 256 else np.uint16
    two = len(probabilities) == 2
    classes: NDArray[Any] = (probabilities[1] > threshold if two else probabilities.argmax(axis=0)).astype(kind)
    return classes if target == "classes" else label_objects(classes > 0)
