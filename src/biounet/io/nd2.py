"""ND2 of Nikon: frames read one by one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ImageError, need
from biounet.io.pixels import reading
from biounet.io.selection import Selection
from biounet.io.sliced import Planes, SlicedImage, pick_series

__all__ = ["open_lazily"]


KIND = "ND2"

LOOPS = "TZ"
"""Axes that count frames; P counts positions, which are images of their own."""


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> SlicedImage:
    """Open an ND2 file, or one of its positions as a series; see `biounet.io.open_lazily`."""
    nd2 = need("nd2")
    with reading(path, KIND):
        file = nd2.ND2File(path)
        try:
            return _open(file, path, selection)
        except BaseException:
            file.close()
            raise


def _open(file: Any, path: Path, selection: Selection) -> SlicedImage:
    """One position of an open file."""
    sizes = dict(file.sizes)
    unknown = {axis: size for axis, size in sizes.items() if axis not in "TZPCYXS" and size > 1}
    if unknown:
        raise ImageError(f"{path.name}: axes {', '.join(unknown)} of ND2 are not known; export it as OME-TIFF")
    position, notes = pick_series([f"position {number}" for number in range(sizes.get("P", 1))], selection, path, KIND)
    loops = [axis for axis in LOOPS if axis in sizes]
    numbers = {
        tuple(where.get(axis, 0) for axis in loops): number
        for number, where in enumerate(_positions(file))
        if where.get("P", 0) == position
    }
    plane = [axis for axis in "CYXS" if axis in sizes]
    shape = tuple(sizes[axis] for axis in plane)

    def frame(at: tuple[int, ...]) -> NDArray[Any]:
        number = numbers.get(at)
        if number is None or number >= file.attributes.sequenceCount:
            raise ImageError(f"{path.name}: the frame {dict(zip(loops, at, strict=True))} is missing; save it anew")
        found: NDArray[Any] = np.asarray(file.read_frame(number)).reshape(shape)
        return found

    stored = "".join((*loops, *plane))
    if "S" in plane:
        if "C" in plane and sizes["C"] > 1:
            raise ImageError(f"{path.name}: colour beside other channels is not known; export it as OME-TIFF")
        plane = [axis for axis in plane if axis != "C"]
        shape, stored = tuple(sizes[axis] for axis in plane), stored.replace("C", "")
    array = Planes([sizes[axis] for axis in loops], shape, file.dtype, frame)
    return SlicedImage(path, array, stored, _voxel(file), kind=KIND, axes=selection.axes, close=file.close, notes=notes)


def _positions(file: Any) -> list[Mapping[str, int]]:
    """Where each frame stands; a file of one frame has no loops."""
    return list(file.loop_indices) or [{}]


def _voxel(file: Any) -> dict[str, float | None]:
    """Micrometres per pixel, unless the microscope was not calibrated."""
    channels = getattr(file.metadata, "channels", None) or []
    known = not channels or all(channels[0].volume.axesCalibrated[:2])
    size = file.voxel_size()
    return {axis: float(getattr(size, axis.lower())) if known else None for axis in "XYZ"}
