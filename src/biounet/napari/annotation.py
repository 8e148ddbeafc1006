"""Annotated layers: which labels belong to which image, and a dataset of them on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import DatasetError
from biounet.io import Image, write
from biounet.napari.layers import PROBABILITIES, Layer, pixels_of, shape_of, spacing_of

__all__ = ["Annotated", "annotated_in_view", "write_dataset"]


CHANNELS = 4
"""An image with one axis more than its labels, not longer than this, has channels there."""


@dataclass(frozen=True)
class Annotated:
    """An image and its annotation, as layers."""

    image: Layer
    labels: Layer

    def __str__(self) -> str:
        """Both names."""
        return f"{self.image.name} + {self.labels.name}"


def annotated_in_view(layers: Sequence[Layer], is_labels: Callable[[Layer], bool]) -> list[Annotated]:
    """Visible labels, each with the visible image of their size that lies next below, or else above.

    Layers that show probabilities are no images to learn from.

    Parameters
    ----------
    layers : from the lowest to the highest
        Images and labels only.
    is_labels : Callable
        Whether a layer has labels.
    """
    seen = [layer for layer in layers if layer.visible and not layer.metadata.items() >= PROBABILITIES.items()]
    found = []
    for at, labels in enumerate(seen):
        if is_labels(labels):
            nearest = (*reversed(seen[:at]), *seen[at + 1 :])
            images = (image for image in nearest if not is_labels(image) and _fits(image, labels))
            found += [Annotated(image, labels) for image in [next(images, None)] if image is not None]
    return found


def write_dataset(annotated: Sequence[Annotated], folder: Path, *, volumes: bool, unpainted: str) -> int:
    """Write the parts of layers that are annotated as a dataset of TIFF files; return their number.

    Parameters
    ----------
    annotated : pairs of layers
    folder : Path
        Takes ``images/`` and ``labels/``.
    volumes : bool
        A stack is one volume; else each of its sections is an image. A volume or section without any label is left out.
    unpainted : background or unknown
        Meaning of pixels without a label. Where it is unknown, label 1 is background, and the others count from 2.

    Raises
    ------
    DatasetError
        If nothing is annotated.
    """
    written = 0
    for pair in annotated:
        pixels, labels = pixels_of(pair.image), pixels_of(pair.labels).astype(np.int32)
        dims = min(3 if volumes else 2, labels.ndim)
        spacing = spacing_of(pair.labels, dims=dims)
        for at in np.ndindex(labels.shape[: labels.ndim - dims]):
            if not labels[at].any():
                continue
            image, axes = _part(pair.image, pixels, at, dims)
            truth = labels[at] - (unpainted == "unknown")  # 0 becomes IGNORE, 1 background
            name = f"{written:04d}.tif"
            write(folder / "images" / name, Image(image, axes, spacing))
            write(folder / "labels" / name, Image(truth, "ZYX"[-dims:], spacing))
            written += 1
    if not written:
        raise DatasetError(
            "labels over an image are wanted: show both, add a labels layer of the size of the image, and paint"
        )
    return written


def _fits(image: Layer, labels: Layer) -> bool:
    """Whether labels may be those of an image."""
    shape, wanted = shape_of(image), shape_of(labels)
    if getattr(image, "rgb", False):
        return shape[:-1] == wanted
    return shape == wanted or (len(shape) == len(wanted) + 1 and shape[0] <= CHANNELS and shape[1:] == wanted)


def _part(layer: Layer, pixels: NDArray[Any], at: tuple[int, ...], dims: int) -> tuple[NDArray[Any], str]:
    """Pixels (C)(Z)YX of a section or volume, and their axes."""
    space = "ZYX"[-dims:]
    if getattr(layer, "rgb", False):
        return np.moveaxis(pixels[at], -1, 0), f"C{space}"
    if pixels.ndim > len(at) + dims:
        return np.moveaxis(pixels, 0, len(at))[at], f"C{space}"
    return pixels[at], space
