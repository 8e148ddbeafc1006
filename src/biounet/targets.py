"""What a network learns of objects that touch: classes that keep them apart, made of their numbers."""

from collections.abc import Sequence
from typing import Any, Literal

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from biounet.config import IGNORE
from biounet.errors import ConfigError, LabelError

__all__ = ["distance_levels", "interior_border", "relative_distance"]

MOST_LEVELS = 126
"""Levels of distance, so that they fit into a byte with IGNORE."""


def interior_border(
    labels: NDArray[Any], *, border_width: int = 2, where: Literal["touching", "rim"] = "rim"
) -> NDArray[np.int8]:
    """Three classes: background 0, the interior of objects 1, and their border 2.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        0 is background, every object has its own positive number, negative is unknown.
    border_width : pixels
        How far the border reaches into an object, counted over sides and corners.
    where
        ``rim``: the border goes round every object; ``touching``: it is only where another object is that near.

    Returns
    -------
    int8 of the shape of `labels`
        IGNORE where labels are negative. Every object keeps some interior: what of it lies deepest.

    Raises
    ------
    LabelError
        If labels are not integers.

    Notes
    -----
    What lies outside of the image is no border. What is unknown is not part of the object.

    Examples
    --------
    >>> interior_border(np.array([[0, 1, 1, 1, 1, 2, 2, -1]]), border_width=1)
    array([[ 0,  2,  1,  1,  2,  1,  1, -1]], dtype=int8)
    >>> interior_border(np.array([[0, 1, 1, 1, 2, 2, 2, -1]]), border_width=1, where="touching")
    array([[ 0,  1,  1,  2,  2,  1,  1, -1]], dtype=int8)
    """
    if border_width < 1:
        raise ConfigError(f"a border must be at least 1 pixel wide, got {border_width}; take another target")
    objects = _numbered(labels)
    size = 2 * border_width + 1
    lowest = objects if where == "rim" else np.where(objects > 0, objects, np.iinfo(objects.dtype).max)
    apart = maximum_filter(objects, size=size, mode="nearest") != objects
    apart |= minimum_filter(lowest, size=size, mode="nearest") != objects
    classes = np.where(objects > 0, 1 + apart, 0).astype(np.int8)
    _give_interior(classes, objects)
    classes[labels < 0] = IGNORE
    return classes


def relative_distance(labels: NDArray[Any], *, spacing: float | Sequence[float] = 1.0) -> NDArray[np.float32]:
    """How deep in its object each pixel lies: 1 at the deepest, 0 in the background.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        0 is background, every object has its own positive number, negative is unknown.
    spacing : micrometres per pixel, one number or one per axis of `labels`

    Returns
    -------
    float32 of the shape of `labels`, in [0, 1]
        Distance to the nearest pixel that is not of the object, divided by the largest in the object. IGNORE where
        labels are negative.

    Raises
    ------
    LabelError
        If labels are not integers.

    Notes
    -----
    What lies outside of the image is not seen; an object that fills the image is at 1 everywhere.
    Cost: linear in pixels, whatever the number of objects.

    Examples
    --------
    >>> relative_distance(np.array([[0, 1, 1, 1, 1, 2, 0, -1]]))
    array([[ 0. ,  0.5,  1. ,  1. ,  0.5,  1. ,  0. , -1. ]], dtype=float32)
    """
    objects = _numbered(labels)
    depth = _depth(objects, spacing)
    deepest = np.zeros(int(objects.max(initial=0)) + 1, np.float32)
    np.maximum.at(deepest, objects.reshape(-1), depth.reshape(-1))
    deepest[deepest == 0] = 1  # the background
    depth /= deepest[objects]
    depth[labels < 0] = IGNORE
    return depth


def distance_levels(
    labels: NDArray[Any], *, levels: int = 8, spacing: float | Sequence[float] = 1.0
) -> NDArray[np.int8]:
    """Classes of `relative_distance`: background 0, then 1 at the rim of each object to `levels` in its middle.

    Parameters
    ----------
    labels, spacing
        As for `relative_distance`.
    levels : 2 to 126
        A network for this target has one class more.

    Returns
    -------
    int8 of the shape of `labels`
        The relative distance times `levels`, rounded up. IGNORE where labels are negative.

    Raises
    ------
    LabelError
        If labels are not integers.
    ConfigError
        If there are too few or too many levels.

    Examples
    --------
    >>> distance_levels(np.array([[0, 1, 1, 1, 1, 1, 0, -1]]), levels=3)
    array([[ 0,  1,  2,  3,  2,  1,  0, -1]], dtype=int8)
    """
    if not 2 <= levels <= MOST_LEVELS:
        raise ConfigError(f"distance needs 2 to {MOST_LEVELS} levels, got {levels}; 8 are enough")
    # What is n/K after rounding must not become level n + 1.
    steps: NDArray[np.float32] = np.ceil(relative_distance(labels, spacing=spacing) * levels - 1e-4)
    return np.maximum(steps, IGNORE).astype(np.int8)


def _give_interior(classes: NDArray[np.int8], objects: NDArray[Any]) -> None:
    """Make interior of the deepest pixels of objects that are all border; in place."""
    number = int(objects.max(initial=0)) + 1
    border = np.bincount(objects[classes == 2], minlength=number) > 0
    bare = border & (np.bincount(objects[classes == 1], minlength=number) == 0)
    if bare.any():
        small = np.where(bare[objects], objects, 0)
        classes[(small > 0) & (relative_distance(small) == 1)] = 1


def _depth(objects: NDArray[np.uint32], spacing: float | Sequence[float]) -> NDArray[np.float32]:
    """Distance of each pixel to the nearest of another number; 0 in the background."""
    steps = np.full(objects.ndim, spacing) if np.ndim(spacing) == 0 else np.asarray(spacing)
    if len(steps) != objects.ndim or not (steps > 0).all():
        raise ConfigError(f"spacing must be positive, one number or one per axis of {objects.shape}, got {spacing}")
    depth: NDArray[np.float32] = edt.edt(objects, anisotropy=tuple(steps.tolist()), black_border=False, parallel=1)
    depth[np.isinf(depth)] = 1  # an object that fills the image is everywhere as deep as can be
    return depth


def _numbered(labels: NDArray[Any]) -> NDArray[np.uint32]:
    """Dense numbers of objects, 0 for background and unknown."""
    if labels.dtype.kind not in "iu":
        raise LabelError(f"labels must be integers, got {labels.dtype}; number the objects first")
    known = np.maximum(labels, 0)
    if known.max(initial=0) > labels.size:
        known = np.unique(np.append(known, known.dtype.type(0)), return_inverse=True)[1][:-1].reshape(labels.shape)
    return np.ascontiguousarray(known, np.uint32)
