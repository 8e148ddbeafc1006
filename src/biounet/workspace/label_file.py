"""Label file of an image, beside the images, as `biounet train` reads it."""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import sayable
from biounet.core.boxes import Box
from biounet.core.errors import LabelError, ShapeError
from biounet.core.labels import IGNORE
from biounet.io import Image, create, open_lazily, write
from biounet.workspace.edit import Plane
from biounet.workspace.label_tiles import SIDE

__all__ = ["FileState", "LabelFile"]


IN_MEMORY = 2**26
"""Pixels of a label file that is written at once, deflated; larger ones are written row by row, as they are."""

Labels = NDArray[np.int32]
FileState = tuple[int, int]
"""Bytes and CRC-32 of a file, by which a file that we wrote is known from one that another program wrote."""


@dataclass(frozen=True)
class LabelFile:
    """A TIFF file with the labels of all planes of an image.

    Parameters
    ----------
    path : Path
    axes : those of the image without channels, of TZYX
    shape : pixels per axis
    spacing : micrometres per pixel and spatial axis, if the image tells
    """

    path: Path
    axes: str
    shape: tuple[int, ...]
    spacing: tuple[float, ...] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Pixels of a plane along Y and X."""
        return self.shape[-2], self.shape[-1]

    @property
    def planes(self) -> list[Plane]:
        """All planes."""
        sizes = dict(zip(self.axes, self.shape, strict=True))
        return [(t, z) for t in range(sizes.get("T", 1)) for z in range(sizes.get("Z", 1))]

    def stamp(self) -> tuple[int, int] | None:
        """Size and time of the file, which change when anybody writes it; None if there is none."""
        if not self.path.exists():
            return None
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns

    def state(self) -> FileState | None:
        """Bytes and CRC-32 of the file; None if there is none."""
        return _state(self.path) if self.path.exists() else None

    def read(self, plane: Plane, box: Box) -> Labels:
        """Read the labels of a region of a plane from the file; IGNORE if there is no file.

        Raises
        ------
        ImageError, LabelError, ShapeError
            If the file cannot be read, holds no labels, or is of another size than the image.
        """
        if not self.path.exists():
            return np.full(box.shape, IGNORE, np.int32)
        with open_lazily(self.path, labels=True) as file:
            sizes = {axis: size for axis, size in zip(file.axes, file.shape, strict=True) if axis != "C"}
            wanted = {axis: size for axis, size in zip(self.axes, self.shape, strict=True) if size > 1 or axis in "YX"}
            if {axis: size for axis, size in sizes.items() if size > 1 or axis in "YX"} != wanted:
                came, asked = (" x ".join(map(str, each.values())) for each in (sizes, wanted))
                raise ShapeError(f"{self.path} has {came} pixels, its image has {asked}; save both in one size")
            at = dict(zip("TZ", plane, strict=True))
            index = [(at[axis], at[axis] + 1) if axis in at else (0, 1) for axis in file.axes[:-2]]
            start, stop = zip(*index, *zip(box.start, box.stop, strict=True), strict=True)
            pixels = file.read(Box(start, stop)).reshape(box.shape)
        if pixels.dtype.kind == "f" and (np.trunc(pixels) != pixels).any():
            raise LabelError(f"{self.path}: labels are integers, this holds fractions; save the labels as numbers")
        return (pixels if pixels.dtype.kind == "u" else np.maximum(pixels, IGNORE)).astype(np.int32)

    def write(
        self, read: Callable[[Plane, Box], Labels], *, highest: int, part: Path, before: Callable[[FileState], None]
    ) -> None:
        """Write all planes; the file stands under its name only when it is complete.

        Parameters
        ----------
        read : (plane, region) -> labels
        highest : number that the labels do not exceed
        part : where the file lies until it is complete, on the same disk
        before : is told bytes and CRC-32 of the file just before it gets its name

        Raises
        ------
        OutputError
            If the disk is full; the file that was there stays.
        """
        dtype = next(kind for kind in (np.int8, np.int16, np.int32) if highest <= np.iinfo(kind).max)
        height, width = self.size
        part.parent.mkdir(parents=True, exist_ok=True)
        if prod(self.shape) <= IN_MEMORY:
            planes = [read(plane, Box((0, 0), self.size)) for plane in self.planes]
            pixels = np.stack(planes).reshape(self.shape).astype(dtype)
            write(part, Image(pixels, self.axes, self.spacing), overwrite=True)
        else:
            with create(
                part, shape=self.shape, dtype=dtype, axes=self.axes, spacing=self.spacing, overwrite=True
            ) as output:
                for plane in self.planes:
                    at = [plane["TZ".index(axis)] for axis in self.axes[:-2]]
                    for top in range(0, height, SIDE):
                        box = Box((top, 0), (min(top + SIDE, height), width))
                        whole = Box((*at, *box.start), (*(index + 1 for index in at), *box.stop))
                        output.write(whole, read(plane, box).astype(dtype).reshape(whole.shape))
        before(_state(part))
        with sayable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(part, self.path)


def _state(path: Path) -> FileState:
    """Bytes and CRC-32 of a file."""
    size = crc = 0
    with path.open("rb") as stream:
        while block := stream.read(2**22):
            size, crc = size + len(block), zlib.crc32(block, crc)
    return size, crc
