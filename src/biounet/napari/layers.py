"""What networks need of layers: pixels, axes and pixel size. Nothing here needs napari."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ShapeError
from biounet.io import AXES

__all__ = ["PROBABILITIES", "Layer", "Placed", "axes_of", "pixels_of", "place_of", "shape_of", "spacing_of"]


PROBABILITIES = {"biounet": "probabilities"}
"""Metadata of a layer that shows the probabilities of a prediction."""


class Layer(Protocol):
    """The part of a layer of napari, an image or labels, that is used here."""

    name: str
    data: Any
    ndim: int
    """Number of axes, without that of red, green and blue."""
    multiscale: bool
    visible: bool
    axis_labels: Sequence[str]
    scale: Any
    translate: Any
    units: Sequence[Any]
    metadata: dict[Any, Any]


@dataclass(frozen=True)
class Placed:
    """Place of a new layer over an old one, as keyword arguments of ``viewer.add_image`` and ``add_labels``."""

    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[Any, ...]


def pixels_of(layer: Layer) -> NDArray[Any]:
    """All pixels of a layer; of a pyramid those of its finest level.

    >>> from types import SimpleNamespace
    >>> pixels_of(SimpleNamespace(data=[np.zeros((8, 8)), np.zeros((4, 4))], multiscale=True)).shape
    (8, 8)
    """
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


def shape_of(layer: Layer) -> tuple[int, ...]:
    """Shape of all pixels of a layer, which are not read; that of red, green and blue is part of it."""
    return tuple((layer.data[0] if layer.multiscale else layer.data).shape)


def axes_of(layer: Layer, *, dims: int, channels: int = 1) -> str:
    """Axes of a layer, such as ``TZYX``, or ``YXC`` of a picture in colour.

    Parameters
    ----------
    layer : Layer
        If its axes are named by letters of ``TCZYX``, those are the axes.
    dims : 2 or 3
        Of the network.
    channels : int
        That the network takes. An axis of this length before those of space is the channels.

    Raises
    ------
    ShapeError
        If the axes cannot be told.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> def layer(*shape):
    ...     axes = {"ndim": len(shape), "axis_labels": ("",) * len(shape)}
    ...     return SimpleNamespace(data=np.zeros(shape), name="cells", multiscale=False, **axes)
    >>> axes_of(layer(64, 64), dims=2), axes_of(layer(5, 64, 64), dims=2), axes_of(layer(5, 64, 64), dims=3)
    ('YX', 'ZYX', 'ZYX')
    >>> axes_of(layer(2, 64, 64), dims=2, channels=2), axes_of(layer(9, 5, 64, 64), dims=3)
    ('CYX', 'TZYX')
    """
    coloured = "C" if getattr(layer, "rgb", False) else ""
    named = "".join(layer.axis_labels).upper() + coloured
    if len(named) == layer.ndim + len(coloured) == len(set(named)) and set("YX") <= set(named) <= set(AXES):
        return named
    before = shape_of(layer)[: layer.ndim - dims]
    first = "C" if not coloured and channels > 1 and before[-1:] == (channels,) else ""
    space = "ZYX"[-dims:] if first else "ZYX"[-min(layer.ndim, 3) :]
    front = layer.ndim - len(first) - len(space)
    if front not in (0, 1) or len(space) < dims:
        raise ShapeError(
            f"{layer.name}: a {dims}D network was given a layer of {layer.ndim} axes; name them in napari, as in "
            "layer.axis_labels = ('t', 'z', 'y', 'x')"
        )
    return "T" * front + first + space + coloured


def place_of(layer: Layer, axes: str) -> Placed:
    """Place of a layer (T)(Z)YX over a layer whose axes are given, see `axes_of`.

    Raises
    ------
    ShapeError
        If there is not one letter for each axis.
    """
    shape = shape_of(layer)
    if len(axes) != len(shape) or len(set(axes)) < len(axes) or not set("YX") <= set(axes) <= set(AXES):
        raise ShapeError(
            f"{layer.name}: axes must be {len(shape)} different letters of {AXES} with Y and X, for pixels of shape "
            f"{shape}, got {axes!r}"
        )
    kept = sorted((axes.index(letter) for letter in axes if letter != "C"), key=lambda at: AXES.index(axes[at]))
    scale, translate = ([float(numbers[at]) for at in kept] for numbers in (layer.scale, layer.translate))
    return Placed(tuple(scale), tuple(translate), tuple(layer.units[at] for at in kept))


def spacing_of(layer: Layer, *, dims: int) -> tuple[float, ...] | None:
    """Micrometres per pixel along the last `dims` axes; None where the units of the layer are pixels.

    >>> from types import SimpleNamespace
    >>> spacing_of(SimpleNamespace(scale=(0.5, 0.5), units=("pixel", "pixel")), dims=2) is None
    True
    """
    units = tuple(layer.units)[-dims:]
    if len({str(unit) for unit in units} & {"pixel", "px"}):
        return None
    sizes = [float(size) for size in layer.scale[-dims:]]
    return tuple(size * float((1 * unit).to("micrometer").magnitude) for size, unit in zip(sizes, units, strict=True))
