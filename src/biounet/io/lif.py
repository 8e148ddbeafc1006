"""LIF of Leica: images of a project, mapped from the file."""

from pathlib import Path
from typing import Any

import numpy as np

from biounet.core.errors import ImageError, need
from biounet.io.pixels import reading
from biounet.io.selection import Selection
from biounet.io.sliced import Sliceable, SlicedImage, WholeArray, pick_series

__all__ = ["open_lazily"]


KIND = "LIF"

METRE = 1e6
"""Micrometres: the coordinates of a LIF file are in metres."""


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> SlicedImage:
    """Open an image of a LIF file as a series, by its number or name; see `biounet.io.open_lazily`.

    Notes
    -----
    The wavelengths of a spectral scan are channels. A scan of x and z has no axis Y: give ``axes``.
    """
    liffile = need("liffile")
    with reading(path, KIND):
        file = liffile.LifFile(path)
        try:
            names = [image.path for image in file.images]
            if not names:
                raise ImageError(f"{path.name} holds no image; export the image again")
            number, notes = pick_series(names, selection, path, KIND)
            image = file.images[number]
            stored = _axes(image)
            return SlicedImage(
                path,
                _array(image),
                stored,
                _sizes(image),
                kind=KIND,
                axes=selection.axes,
                close=file.close,
                notes=notes,
            )
        except BaseException:
            file.close()
            raise


def _array(image: Any) -> Sliceable:
    """Pixels of an image, mapped from the file where they lie in one piece and order."""
    try:
        mapped: Sliceable = image.asarray(out="memmap")
    except Exception:  # the reasons are many: colours that must be turned round, channels in pieces
        return WholeArray(image.shape, image.dtype, image.asarray)
    return mapped


def _axes(image: Any) -> str:
    """Letters of the axes: wavelengths are channels, unless there are others."""
    letters = "".join(image.dims)
    for spectral in ("λ", "Λ"):
        if "C" not in letters and "S" not in letters:
            letters = letters.replace(spectral, "C")
    return letters


def _sizes(image: Any) -> dict[str, float | None]:
    """Micrometres per pixel, from the coordinates of the first and the last."""
    sizes: dict[str, float | None] = {}
    for axis in "ZYX":
        places = np.asarray(image.coords.get(axis, ()), float)
        sizes[axis] = abs(float(places[-1] - places[0])) / (len(places) - 1) * METRE if len(places) > 1 else None
    return sizes
