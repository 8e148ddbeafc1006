"""NRRD and NHDR of medical imaging: header first, pixels whole."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ImageError, need
from biounet.io.pixels import reading
from biounet.io.selection import Selection
from biounet.io.sliced import SlicedImage, WholeArray
from biounet.io.units import micrometres

__all__ = ["data_files", "open_lazily"]


KIND = "NRRD"

MILLIMETRE = 1e3
"""Micrometres. Directions in the space of a patient are in millimetres unless the header names another unit."""

TYPES = {
    "char": "i1", "signedchar": "i1", "int8": "i1", "int8_t": "i1",
    "uchar": "u1", "unsignedchar": "u1", "uint8": "u1", "uint8_t": "u1",
    "short": "i2", "shortint": "i2", "signedshort": "i2", "signedshortint": "i2", "int16": "i2", "int16_t": "i2",
    "ushort": "u2", "unsignedshort": "u2", "unsignedshortint": "u2", "uint16": "u2", "uint16_t": "u2",
    "int": "i4", "signedint": "i4", "int32": "i4", "int32_t": "i4",
    "uint": "u4", "unsignedint": "u4", "uint32": "u4", "uint32_t": "u4",
    "longlong": "i8", "int64": "i8", "int64_t": "i8", "ulonglong": "u8", "uint64": "u8", "uint64_t": "u8",
    "float": "f4", "double": "f8",
}  # fmt: skip
"""Names of pixel types without blanks -> those of numpy."""


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> SlicedImage:
    """Open an NRRD file, or a NHDR file with its pixels in another; see `biounet.io.open_lazily`.

    Notes
    -----
    Pixels are as they lie in the file: axes that run against x or y of the patient are not turned. Spacings without
    unit and space are no pixel size.
    """
    nrrd = need("nrrd")
    selection.check_single(path, KIND)
    with reading(path, KIND):
        header = nrrd.read_header(str(path))
        shape = tuple(int(size) for size in header["sizes"])[::-1]
        dtype = np.dtype(TYPES.get("".join(str(header["type"]).split()), "V1"))
        stored, sizes = _axes(header, path)
    array = WholeArray(shape, dtype, lambda: _pixels(nrrd, path, shape))
    return SlicedImage(path, array, stored, sizes, kind=KIND, axes=selection.axes)


def data_files(path: Path) -> list[Path]:
    """The file that holds the pixels of a NHDR file; none if its header names no single one."""
    try:
        with path.open("rb") as stream:
            header = stream.read(2**16).split(b"\n\n")[0].decode("latin-1")
    except OSError:  # whoever opens it says why it cannot be read
        return []
    names = re.findall(r"^data ?file: *(.+?)\s*$", header, re.MULTILINE | re.IGNORECASE)
    return [path.parent / name for name in names if (path.parent / name).is_file()]


def _pixels(nrrd: Any, path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """All pixels, the slowest axis first."""
    pixels: NDArray[Any] = nrrd.read(str(path), index_order="C")[0]
    if pixels.shape != shape:
        raise ImageError(f"{path.name}: {shape} px are announced, {pixels.shape} are there; copy the file again")
    return pixels


def _axes(header: Any, path: Path) -> tuple[str, dict[str, float | None]]:
    """Letters of the axes, slowest first, and micrometres per pixel."""
    count = int(header["dimension"])
    kinds = [str(kind).lower() for kind in header.get("kinds", ["domain"] * count)]
    free, letters = iter("XYZ"), ""
    for kind in kinds:
        letters += "T" if kind == "time" else next(free, "?") if kind in ("domain", "space", "???", "none") else "C"
    sizes: dict[str, float | None] = {}
    for axis, letter in enumerate(letters):
        if letter in "XYZ":
            sizes[letter] = _size(header, axis, [axis for axis, kind in enumerate(letters) if kind in "XYZ"])
    return letters[::-1], sizes


def _size(header: Any, axis: int, spatial: list[int]) -> float | None:
    """Micrometres per pixel of an axis; None if it is not known."""
    in_space = "space directions" in header
    names = header.get("space units" if in_space else "units")
    unit = MILLIMETRE if in_space and "space" in header else None
    if names is not None:
        unit = micrometres(str(names[spatial.index(axis)] if in_space else names[axis]))
    if in_space:
        direction = header["space directions"][axis]
        step = math.nan if direction is None else float(np.linalg.norm(np.asarray(direction, float)))
    else:
        step = float(header["spacings"][axis]) if "spacings" in header else math.nan
    return None if unit is None or math.isnan(step) else step * unit
