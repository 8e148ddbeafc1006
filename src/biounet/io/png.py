"""PNG and JPEG: grey of 8 and 16 bits, colour, palettes; PNG keeps the pixel size, JPEG is only read."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import product
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngInfo

from biounet.core.atomic_files import replacing
from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io.image import Image
from biounet.io.meaning import meaning_of_text, software
from biounet.io.pixels import fit_spacing, reading, trust_density
from biounet.io.selection import Selection

__all__ = ["open_lazily", "write"]


DOT = 25_400.0
"""Micrometres per inch: Pillow gives the pixel size as dots per inch."""

MODES = {
    "1": (1, 1, "uint8"),
    "L": (1, 1, "uint8"),
    "I;16": (2, 1, "uint16"),
    "I;16B": (2, 1, "uint16"),
    "I": (4, 1, "int32"),
    "P": (1, 3, "uint8"),
    "LA": (4, 1, "uint8"),
    "RGB": (4, 3, "uint8"),
    "RGBA": (4, 3, "uint8"),
}
"""Mode of Pillow -> bytes per pixel of what it decodes, then channels without alpha and type of what is read."""

COEFFICIENTS = 6
"""Bytes per pixel of a progressive JPEG that wait until all of it has come."""

BLOCK = 4096
"""Pixels along Y and X that are copied at a time."""

SMALL = 2**18
"""Pixels of an image that is decoded when it is opened."""

KINDS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "PPM")
"""Formats of Pillow that say how large an image is without decoding it."""

LIMIT = Lock()
"""Held while the limit of Pillow is lifted, which is one for the process."""


class Picture:
    """A PNG, JPEG, BMP or GIF file as a `biounet.io.LazyImage`: decoded as a whole when its pixels are asked for.

    Whether a palette is of colours is known only then.
    """

    def __init__(self, path: Path, *, axes: str | None = None, labels: bool = False) -> None:
        self._path, self._wanted, self._labels = path, axes, labels
        self._channels: int | None = None
        with _opened(path) as file:
            self._describe(file)
            if prod(self._plane) <= SMALL:  # or it would be opened twice
                self._array = _pixels(file, path, labels=labels)
                self._channels = 1 if self._array.ndim == 2 else len(self._array)
        if self._channels is not None:
            self._check_axes()

    def _describe(self, file: PIL.Image.Image) -> None:
        """Find out how large it is, from its header."""
        _check_depth(file, self._path)
        (width, height), self._mode = file.size, file.mode
        if self._mode not in MODES:
            raise ImageError(f"{self._path.name}: colours of mode {self._mode} are not known; save it as grey or RGB")
        decoded, channels, dtype = MODES[self._mode] if not (self._mode == "P" and self._labels) else MODES["L"]
        self.dtype, self._plane = np.dtype(dtype), (height, width)
        if self._mode != "P" or self._labels:
            self._channels = channels
        pixel = decoded + channels * self.dtype.itemsize + COEFFICIENTS * ("progressive" in file.info)
        self.decoding_bytes = height * width * pixel
        self.meaning = meaning_of_text(file.info.get("Software"), self._path)
        density = file.info.get("dpi", (0, 0))
        self._density = {axis: DOT / dots if dots else None for axis, dots in zip("XY", density, strict=True)}

    @cached_property
    def _array(self) -> NDArray[Any]:
        """All pixels, (Y, X) or (C, Y, X)."""
        with _opened(self._path) as file:
            array = _pixels(file, self._path, labels=self._labels)
        self._channels = 1 if array.ndim == 2 else len(array)
        self._check_axes()
        return array

    def _check_axes(self) -> None:
        """Refuse other axes than those of the file."""
        if self._wanted is not None and sorted(self._wanted.upper()) != sorted(self.axes):
            raise ImageError(f"{self._path.name}: its axes are {self.axes}, not {self._wanted}; leave --axes out")

    @property
    def axes(self) -> str:
        """YX, or CYX for colours."""
        channels = self._channels or (1 if self._array.ndim == 2 else len(self._array))
        return "YX" if channels == 1 else "CYX"

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis."""
        return self._plane if self.axes == "YX" else (3, *self._plane)

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """Micrometres per pixel along Y and X."""
        return fit_spacing(trust_density(self._density), self.axes)

    def read(self, box: Box) -> NDArray[Any]:
        """Return a view of a region."""
        return self._array[box.slices]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is kept open."""


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> Picture:
    """Open a PNG, JPEG, BMP or GIF file, which is read as a whole: these formats have no regions.

    Notes
    -----
    Axes are YX, or CYX for colours; the selection may but repeat that. An alpha channel is dropped if all is opaque.
    A palette becomes colours, for `labels` its numbers are kept.
    """
    selection.check_single(path, "PNG or JPEG")
    return Picture(path, axes=selection.axes, labels=labels)


def write(path: Path, image: Image, *, overwrite: bool = False) -> None:
    """Write a PNG file: YX of 8 or 16 bits, or CYX of three channels of 8 bits; see `biounet.io.write`."""
    array, colour = image.array, image.axes == "CYX"
    options: dict[str, Any] = {}
    if image.spacing is not None:
        options["dpi"] = (DOT / image.spacing[-1], DOT / image.spacing[-2])
    if image.meaning is not None:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Software", software(image.meaning))
    with replacing(path, overwrite=overwrite) as temporary:
        PIL.Image.fromarray(np.moveaxis(array, 0, -1) if colour else array).save(temporary, **options)


def _pixels(file: PIL.Image.Image, path: Path, *, labels: bool) -> NDArray[Any]:
    """Decode to (Y, X) or (C, Y, X), and copy block by block: Pillow would join pieces of its own copy first."""
    mode, (width, height) = file.mode, file.size
    factor = _factor(file) if labels else 1  # before pixels are decoded, after which it is not known
    _, channels, dtype = MODES["L" if mode == "P" and labels else mode]
    array = np.empty((channels, height, width), dtype)
    grey = mode == "P"  # a palette of greys, as GIF has them
    for top, left in product(range(0, height, BLOCK), range(0, width, BLOCK)):
        ends = (left, top, min(left + BLOCK, width), min(top + BLOCK, height))
        block = file if ends == (0, 0, width, height) else file.crop(ends)
        pixels = np.atleast_3d(np.asarray(block.convert("RGBA") if mode == "P" and not labels else block))
        if pixels.shape[-1] in (2, 4):
            if (pixels[..., -1] != 255).any():
                raise ImageError(f"{path.name}: some pixels are transparent; flatten it and save it again")
            pixels = pixels[..., :-1]
        grey = grey and bool((pixels == pixels[..., :1]).all())
        array[:, top : top + BLOCK, left : left + BLOCK] = np.moveaxis(pixels, -1, 0)
    array = array // factor if factor > 1 else array
    return array[0] if grey or channels == 1 else array


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
def _opened(path: Path) -> Iterator[PIL.Image.Image]:
    """An open file; slides are larger than what Pillow takes for an attack, so its limit is lifted."""
    with reading(path, "PNG or JPEG"):
        with LIMIT:
            largest, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
            try:
                file = PIL.Image.open(path, formats=KINDS)
            finally:
                PIL.Image.MAX_IMAGE_PIXELS = largest
        with file:
            yield file
