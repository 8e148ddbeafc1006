"""Targets: the classes that a network learns in place of numbered objects, and that separate objects that touch."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, Protocol

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from biounet.core.components import dense_numbers
from biounet.core.errors import ConfigError
from biounet.core.labels import IGNORE

__all__ = [
    "OF_WHOLE_OBJECTS",
    "TARGETS",
    "distance_levels",
    "interior_border",
    "least_classes",
    "relative_distance",
    "separate_touching",
    "set_apart",
    "touching",
]


MOST_LEVELS = 126
"""Most levels of distance, so that the classes and IGNORE fit a byte."""

TOUCHING = np.repeat([[0, 1, 2]], 8, axis=1)
"""Background and two objects that touch: an image in which every target has all of its classes."""


def interior_border(
    labels: NDArray[Any],
    *,
    border_width: int = 2,
    where: Literal["touching", "rim"] = "rim",
    spacing: float | Sequence[float] = 1.0,
) -> NDArray[np.int8]:
    """Three classes: background 0, the interior of objects 1, and their border 2.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        0 is background, every object has its own positive number, negative is unknown.
    border_width : pixels
        How far the border reaches into an object, counted over sides and corners.
    spacing : one number or one per axis of `labels`
        Pixel size relative to that along X. Along thick slices the border has as many times fewer pixels, at least 1.
    where
        ``rim``: the border goes round every object; ``touching``: it is only where another object is that near.

    Returns
    -------
    int8 of the shape of `labels`
        IGNORE where labels are negative. Every object has some interior, at least its deepest pixels.

    Raises
    ------
    LabelError
        If labels are not integers.

    Notes
    -----
    The edge of the image makes no border. Unknown pixels are not part of any object.

    Examples
    --------
    >>> interior_border(np.array([[0, 1, 1, 1, 1, 2, 2, -1]]), border_width=1)
    array([[ 0,  2,  1,  1,  2,  1,  1, -1]], dtype=int8)
    >>> interior_border(np.array([[0, 1, 1, 1, 2, 2, 2, -1]]), border_width=1, where="touching")
    array([[ 0,  1,  1,  2,  2,  1,  1, -1]], dtype=int8)
    """
    if border_width < 1:
        raise ConfigError(f"a border must be at least 1 pixel wide, got {border_width}; take another target")
    objects = dense_numbers(labels)
    widths = [max(1, round(border_width / step)) for step in _steps(labels, spacing)]
    size = [2 * width + 1 for width in widths]
    lowest = objects if where == "rim" else np.where(objects > 0, objects, np.iinfo(objects.dtype).max)
    apart = maximum_filter(objects, size=size, mode="nearest") != objects
    apart |= minimum_filter(lowest, size=size, mode="nearest") != objects
    classes = np.where(objects > 0, 1 + apart, 0).astype(np.int8)
    _give_interior(classes, objects)
    classes[labels < 0] = IGNORE
    return classes


def relative_distance(labels: NDArray[Any], *, spacing: float | Sequence[float] = 1.0) -> NDArray[np.float32]:
    """Relative depth of each pixel in its object: 1 at the deepest pixel, 0 in the background.

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
    The edge of the image counts for no border; an object that fills the image is at 1 everywhere.
    Cost: linear in pixels, whatever the number of objects.

    Examples
    --------
    >>> relative_distance(np.array([[0, 1, 1, 1, 1, 2, 0, -1]]))
    array([[ 0. ,  0.5,  1. ,  1. ,  0.5,  1. ,  0. , -1. ]], dtype=float32)
    """
    objects = dense_numbers(labels)
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
    # A depth of n/K must not become level n + 1 by rounding.
    steps: NDArray[np.float32] = np.ceil(relative_distance(labels, spacing=spacing) * levels - 1e-4)
    return np.maximum(steps, IGNORE).astype(np.int8)


def touching(labels: np.ndarray, *, gap: int = 0, spacing: float | Sequence[float] = 1.0) -> bool:
    """Whether any two objects touch, diagonally too, or have at most `gap` pixels between them.

    `spacing` is the pixel size along each axis, relative to that along X: a gap of 8 px is 2 slices of 4 px.

    >>> touching(np.array([[1, 1, 0, 2]])), touching(np.array([[1, 1, 0, 2]]), gap=1)
    (False, True)
    """
    objects = dense_numbers(labels)
    highest = maximum_filter(objects, size=[2 * (int(gap / step) + 1) + 1 for step in _steps(labels, spacing)])
    return bool(((objects > 0) & (highest > objects)).any())


def separate_touching(labels: np.ndarray, *, width: int = 1, spacing: float | Sequence[float] = 1.0) -> np.ndarray:
    """Foreground of all objects as one class, with a ridge of background between those that touch.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        0 is background, every object has its own positive number, negative is unknown.
    width : 1 or 2, pixels
        1 takes the pixels of the lower number of two that touch, diagonally too; 2 those of both.
    spacing
        Not used: the ridge is one or two pixels wide along every axis. All `TARGETS` take it.

    Returns
    -------
    new array of the type and shape of `labels`: 0, 1, or negative as before
        No piece of foreground, however connected, is of two objects. A thin object may vanish.

    Examples
    --------
    >>> separate_touching(np.array([[1, 1, 2, 2, -1]])), separate_touching(np.array([[1, 1, 2, 2, -1]]), width=2)
    (array([[ 1,  0,  1,  1, -1]]), array([[ 1,  0,  0,  1, -1]]))
    """
    if width not in (1, 2):
        raise ValueError(f"width must be 1 or 2 pixels, got {width}")
    objects = dense_numbers(labels)
    ridge = maximum_filter(objects, size=3) > objects
    if width == 2:
        most = np.iinfo(objects.dtype).max
        ridge |= minimum_filter(np.where(objects > 0, objects, most), size=3) < objects
    return np.where(labels > 0, ~ridge, labels).astype(labels.dtype)


def set_apart(objects: NDArray[Any], classes: NDArray[Any], *, target: str) -> NDArray[Any]:
    """Numbered objects without their border or rim, so that there is a gap where objects touch.

    Parameters
    ----------
    objects : (Y, X) or (Z, Y, X), integers
    classes : of the shape of `objects`, integers
        The classes of the target.
    target : a key of `TARGETS`, or any other name for classes that are no objects
        Of ``distance`` the outer quarter of an object is rim.

    Returns
    -------
    integers of the shape of `objects`
        Negative stays negative.

    Examples
    --------
    >>> objects = np.array([[1, 1, 1, 2, 2, 2, -1]])
    >>> set_apart(objects, interior_border(objects, border_width=1, where="touching"), target="border")
    array([[ 1,  1,  0,  0,  2,  2, -1]])
    """
    inside = {"border": classes == 1, "distance": classes > max(1, classes.max(initial=0) // 4)}
    return np.where(inside.get(target, classes > 0), objects, np.minimum(objects, 0))


def least_classes(target: str) -> int:
    """Number of classes of a target; 2 for annotated classes.

    >>> least_classes("border"), least_classes("classes")
    (3, 2)
    """
    return 1 + int(TARGETS[target](TOUCHING).max()) if target in TARGETS else 2


def _give_interior(classes: NDArray[np.int8], objects: NDArray[Any]) -> None:
    """Turn the deepest pixels of objects that are all border into interior; in place."""
    number = int(objects.max(initial=0)) + 1
    border = np.bincount(objects[classes == 2], minlength=number) > 0
    bare = border & (np.bincount(objects[classes == 1], minlength=number) == 0)
    if bare.any():
        small = np.where(bare[objects], objects, 0)
        classes[(small > 0) & (relative_distance(small) == 1)] = 1


def _depth(objects: NDArray[np.int32], spacing: float | Sequence[float]) -> NDArray[np.float32]:
    """Distance of each pixel to the nearest pixel of another number; 0 in the background."""
    steps = _steps(objects, spacing)
    depth: NDArray[np.float32] = edt.edt(objects, anisotropy=tuple(steps), black_border=False, parallel=1)
    depth[np.isinf(depth)] = 1  # an object that fills the image is everywhere as deep as can be
    return depth


def _steps(labels: NDArray[Any], spacing: float | Sequence[float]) -> list[float]:
    """Pixel size along each axis of `labels`."""
    steps = np.full(labels.ndim, spacing) if np.ndim(spacing) == 0 else np.asarray(spacing)
    if len(steps) != labels.ndim or not (steps > 0).all():
        raise ConfigError(f"spacing must be positive, one number or one per axis of {labels.shape}, got {spacing}")
    return [float(step) for step in steps]


class Target(Protocol):
    """Function from numbered objects to the classes that a network learns."""

    def __call__(self, labels: NDArray[Any], /, *, spacing: float | Sequence[float] = 1.0) -> NDArray[Any]:
        """Return the class of each pixel."""


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "foreground": separate_touching,
        "border": partial(interior_border, where="touching"),
        "distance": distance_levels,
    }
)
"""Target of `biounet.config.object_rules.ObjectRules` -> function from numbered objects and pixel size to classes."""

OF_WHOLE_OBJECTS = frozenset({"border", "distance"})
"""Targets whose value at a pixel depends on the whole object that the pixel belongs to."""
