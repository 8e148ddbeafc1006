"""PNG and JPEG: grey of 8 and 16 bits, colour, palettes; PNG keeps the pixel size, JPEG is only read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from biounet.core.atomic_files import replacing
from biounet.core.errors import ImageError
from biounet.io.image import ArrayImage, Image
from biounet.io.pixels import fit_spacing, reading, trust_density
from biounet.io.selection import Selection

__all__ = ["open_lazily", "write"]


DOT = 25_400.0
"""Micrometres per inch: Pillow gives the pixel size as dots per inch."""

GREY = {"1", "L", "I;16", "I;16B", "I"}


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> ArrayImage:
    """Read a PNG or JPEG file, whole: these formats have no regions; see `biounet.io.open_lazily`.

    Notes
    -----
    Axes are YX, or CYX for colours; the selection may but repeat that. An alpha channel is dropped if all is opaque.
    A palette becomes colours, for `labels` its numbers are kept.
    """
    selection.check_single(path, "PNG or JPEG")
    with reading(path, "PNG or JPEG"), _any_size(), PIL.Image.open(path) as file:
        _check_depth(file, path)
        density = file.info.get("dpi", (0, 0))
        array = _pixels(file, path, labels=labels)
    names = "CYX"[-array.ndim :]
    if selection.axes is not None and sorted(selection.axes.upper()) != sorted(names):
        raise ImageError(f"{path.name}: its axes are {names}, not {selection.axes}; leave --axes out")
    sizes = {axis: DOT / dots if dots else None for axis, dots in zip("XY", density, strict=True)}
    return ArrayImage(Image(array, names, fit_spacing(trust_density(sizes), names)))


def write(path: Path, image: Image, *, overwrite: bool = False) -> None:
    """Write a PNG file: YX of 8 or 16 bits, or CYX of three channels of 8 bits; see `biounet.io.write`."""
    array, colour = image.array, image.axes == "CYX"
    options: dict[str, Any] = {}
    if image.spacing is not None:
        options["dpi"] = (DOT / image.spacing[-1], DOT / image.spacing[-2])
    with replacing(path, overwrite=overwrite) as temporary:
        PIL.Image.fromarray(np.moveaxis(array, 0, -1) if colour else array).save(temporary, **options)


def _pixels(file: PIL.Image.Image, path: Path, *, labels: bool) -> NDArray[Any]:
    """Decode to (Y, X) or (C, Y, X)."""
    mode = file.mode
    if mode in GREY or (mode == "P" and labels):
        factor = _factor(file) if labels else 1
        array = np.asarray(file)
        array = array // factor if factor > 1 else array
        return array.astype(np.uint8) if mode == "1" else array.astype(array.dtype.newbyteorder("="), copy=False)
    if mode == "P":
        file = file.convert("RGBA")
    if file.mode not in ("LA", "RGB", "RGBA"):
        raise ImageError(f"{path.name}: colours of mode {mode} are not known; save it as grey or RGB")
    array = np.moveaxis(np.asarray(file), -1, 0)
    if file.mode.endswith("A"):
        if (array[-1] != 255).any():
            raise ImageError(f"{path.name}: some pixels are transparent; flatten it and save it again")
        array = array[:-1]
    if mode == "P" and (array == array[:1]).all():
        array = array[:1]  # a palette of greys, as GIF has them
    return array[0] if len(array) == 1 else np.ascontiguousarray(array)


def _factor(file: PIL.Image.Image) -> int:
    """Number that Pillow multiplies grey of 2 and 4 bits with, so that white becomes 255; 1 elsewhere."""
    stored = next((str(tile[3]) for tile in getattr(file, "tile", ())), "")
    return {"L;2": 85, "L;4": 17}.get(stored, 1)


def _check_depth(file: PIL.Image.Image, path: Path) -> None:
    """Refuse what Pillow would round to 8 bits."""
    for tile in getattr(file, "tile", ()):
        if ";16" in str(tile[3]) and not file.mode.startswith("I"):
            raise ImageError(f"{path.name}: colours of 16 bits are not read from PNG; save it as .tif")


@contextmanager
def _any_size() -> Iterator[None]:
    """Read images of any size: slides are larger than what Pillow takes for an attack."""
    largest = PIL.Image.MAX_IMAGE_PIXELS
    PIL.Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = largest
