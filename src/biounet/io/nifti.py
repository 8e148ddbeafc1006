"""NIfTI: volumes of medical imaging, by region where uncompressed; results lie in space where their image does."""

import gzip
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import replacing
from biounet.core.errors import ImageError, need
from biounet.io.image import Image
from biounet.io.pixels import reading
from biounet.io.selection import Selection
from biounet.io.sliced import Sliceable, SlicedImage, WholeArray
from biounet.io.units import micrometres

__all__ = ["AXES_IN_FILE", "open_lazily", "write"]


KIND = "NIfTI"

AXES_IN_FILE = "XYZTC"
"""Axes of the file, fastest first."""

MILLIMETRE = 1e3
"""Micrometres. Voxels are in millimetres where the header names no unit."""


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> SlicedImage:
    """Open a NIfTI file; see `biounet.io.open_lazily`.

    Notes
    -----
    Pixels are as they lie in the file, not turned to the patient; a slope and an intercept are applied. Files that are
    compressed as a whole (.nii.gz) have no regions: they are unpacked once.
    """
    selection.check_single(path, KIND)
    with reading(path, KIND):
        image = _load(path)
        proxy = image.dataobj
        count = max(2, len(np.trim_zeros(np.array(proxy.shape) - 1, "b")))
        if count > len(AXES_IN_FILE):
            raise ImageError(f"{path.name}: NIfTI of {count} axes is not known; save a volume of it")
        scaled = (proxy.slope, proxy.inter) != (1, 0)
        dtype = np.dtype(np.float64) if scaled else proxy.dtype
        shape = tuple(int(size) for size in (*proxy.shape, 1)[:count])
        array: Sliceable = WholeArray(shape, dtype, lambda: np.asanyarray(proxy).reshape(shape))
        if not path.name.lower().endswith(".gz") and count == len(proxy.shape):
            array = _Regions(proxy, dtype)
        sizes = _sizes(image)
    return SlicedImage(path, array, AXES_IN_FILE[:count], sizes, kind=KIND, axes=selection.axes)


def write(path: Path, image: Image, *, overwrite: bool = False, like: Path | None = None) -> None:
    """Write a NIfTI file; see `biounet.io.write`.

    Parameters
    ----------
    path, image, overwrite : as there
    like : NIfTI file
        Of the same spatial shape: its affine, units and codes of space are taken over. Without it voxels lie on a grid
        at the origin, in micrometres.
    """
    nibabel = need("nibabel")
    order = [image.axes.index(axis) for axis in AXES_IN_FILE if axis in image.axes]
    lengths = dict(zip(image.axes, image.array.shape, strict=True))
    last = max(AXES_IN_FILE.index(axis) for axis in image.axes)
    pixels = image.array.transpose(order).reshape([lengths.get(axis, 1) for axis in AXES_IN_FILE[: last + 1]])
    source = None if like is None else _source(like, pixels)
    if source is None:
        spacing = dict(zip(image.spatial_axes, image.spacing or (), strict=False))
        affine = np.diag([*(spacing.get(axis, 1.0) for axis in "XYZ"), 1.0])
        made = nibabel.Nifti1Image(pixels, affine, dtype=pixels.dtype)
        made.header.set_xyzt_units("micron" if image.spacing is not None else "unknown")
    else:
        pixels = pixels.reshape((*pixels.shape, 1, 1)[: max(pixels.ndim, min(3, source.ndim))])
        made = _placed(type(source), pixels, source)
    packed = path.name.lower().endswith(".gz")
    with replacing(path, overwrite=overwrite) as temporary, ExitStack() as stack:
        stream: Any = stack.enter_context(temporary.open("wb"))
        if packed:  # without name and time in it, equal labels are equal files
            stream = stack.enter_context(gzip.GzipFile("", "wb", fileobj=stream, mtime=0))
        made.to_stream(stream)


def _placed(kind: Any, pixels: NDArray[Any], source: Any) -> Any:
    """An image that lies in space as another does."""
    made = kind(pixels, source.affine, dtype=pixels.dtype)
    made.header.set_xyzt_units(*source.header.get_xyzt_units())
    same = 1 + (pixels.ndim if pixels.shape == source.shape else 3)
    made.header["pixdim"][1:same] = source.header["pixdim"][1:same]
    made.set_qform(source.header.get_qform(), int(source.header["qform_code"]))
    made.set_sform(source.affine, int(source.header["sform_code"]))
    return made


def _source(like: Path, pixels: NDArray[Any]) -> Any:
    """The NIfTI file whose place an image takes; None if it is none, or of another shape."""
    if not like.name.lower().endswith((".nii", ".nii.gz")):
        return None
    with reading(like, KIND):
        source = _load(like)
    return source if (*source.shape, 1, 1)[:3] == (*pixels.shape, 1, 1)[:3] else None


class _Regions:
    """Pixels of an uncompressed file, without axes of length 1 at the end."""

    def __init__(self, proxy: Any, dtype: Any) -> None:
        self.shape, self.dtype = proxy.shape, dtype
        self._proxy = proxy

    def __getitem__(self, slices: Any, /) -> NDArray[Any]:
        found: NDArray[Any] = self._proxy[slices]
        return found


def _load(path: Path) -> Any:
    """Open a file, and check that it is long enough."""
    nibabel = need("nibabel")
    image = nibabel.load(path)
    proxy = image.dataobj
    if not path.name.lower().endswith(".gz"):
        wanted = int(proxy.offset) + prod(proxy.shape) * proxy.dtype.itemsize
        if path.suffix.lower() == ".nii" and path.stat().st_size < wanted:
            raise ImageError(f"{path.name} is torn: {wanted} bytes are announced; copy the file again")
    return image


def _sizes(image: Any) -> dict[str, float | None]:
    """Micrometres per voxel of x, y and z, as far as they are in a unit of length."""
    name = image.header.get_xyzt_units()[0]
    unit = MILLIMETRE if name == "unknown" else micrometres(name)
    steps = need("nibabel").affines.voxel_sizes(image.affine)
    return {axis: None if unit is None else float(step) * unit for axis, step in zip("XYZ", steps, strict=True)}
