"""MRC and CCP4 maps of electron microscopes: mapped from the file, or unpacked where it is compressed."""

import warnings
from pathlib import Path
from typing import Any

from biounet.core.errors import need
from biounet.io.pixels import reading
from biounet.io.selection import Selection
from biounet.io.sliced import SlicedImage

__all__ = ["SUFFIXES", "open_lazily"]


KIND = "MRC"

SUFFIXES = tuple(f"{suffix}{packed}" for suffix in (".mrc", ".map") for packed in ("", ".gz", ".bz2"))
"""Ends of the names of maps, which may be compressed as a whole."""

ANGSTROM = 1e-4
"""Micrometres."""


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> SlicedImage:
    """Open an MRC file; see `biounet.io.open_lazily`.

    Notes
    -----
    The header says which axis of the file is x, y and z; the image has them in order. A voxel of no size is unknown.
    """
    mrcfile = need("mrcfile")
    selection.check_single(path, KIND)
    packed = path.suffix.lower() in (".gz", ".bz2")
    with reading(path, KIND), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that other programs write a little wrong
        file = (mrcfile.open if packed else mrcfile.mmap)(path, mode="r")
        try:
            array, stored = file.data, _axes(file)
            sizes = {axis: float(file.voxel_size[axis.lower()]) * ANGSTROM for axis in "XYZ"}
            return SlicedImage(path, array, stored, sizes, kind=KIND, axes=selection.axes, close=file.close)
        except BaseException:
            file.close()
            raise


def _axes(file: Any) -> str:
    """Letters of the axes of the array: sections, rows and columns are x, y and z in any order."""
    header, count = file.header, int(file.data.ndim)
    order = [int(header[field]) for field in ("maps", "mapr", "mapc")]
    named = "".join(" XYZ"[number] for number in order) if sorted(order) == [1, 2, 3] else "ZYX"
    if file.is_image_stack():
        named = "I" + named[1:]  # pictures that are no sections of a volume
    return "T" * (count - 3) + named[-count:]
