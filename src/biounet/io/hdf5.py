"""HDF5: datasets read by region, with the axes and pixel sizes that ilastik and plant-seg write beside them."""

from pathlib import Path
from typing import Any

from biounet.core.errors import ImageError, need
from biounet.core.json_file import parse_json
from biounet.core.text_file import ForeignRecord, TextFile
from biounet.io.image import AXES
from biounet.io.inner_path import pick_array, split_inner
from biounet.io.pixels import reading
from biounet.io.selection import Selection
from biounet.io.sliced import SlicedImage, plain_axes

__all__ = ["open_lazily"]


KIND = "HDF5"


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> SlicedImage:
    """Open a dataset such as ``cells.h5:/volumes/raw``, or the only one of a file; see `biounet.io.open_lazily`.

    Notes
    -----
    Axes are those of the attribute ``axistags`` (ilastik) or of the dimension labels, pixel sizes those of
    ``element_size_um``. Without axes the last two are Y and X, one more is taken for Z.
    """
    h5py = need("h5py")
    path, inner = split_inner(path)
    with reading(path, KIND):
        file = h5py.File(path, "r")
    try:
        with reading(path, KIND):
            found = file[pick_array(_datasets(file, h5py), inner, selection, path)]
            stored = _named_axes(found) or plain_axes(found.shape, path.name, selection.axes)
            sizes, chunk = _sizes(found, stored), found.chunks or ()
            return SlicedImage(
                path, found, stored, sizes, kind=KIND, axes=selection.axes, close=file.close, chunk=chunk
            )
    except BaseException:
        file.close()
        raise


def _datasets(file: Any, h5py: Any) -> list[str]:
    """Names of all arrays of numbers with two axes or more; a link is no array of its own."""
    names: list[str] = []

    def keep(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset) and found.ndim > 1 and found.dtype.kind in "buif":
            names.append(name)

    file.visititems(keep)
    return names


class _Axis(ForeignRecord):
    """An axis as ilastik names it."""

    key: str


class _Axistags(ForeignRecord):
    """Axes as ilastik writes them beside a dataset."""

    axes: tuple[_Axis, ...]


def _named_axes(found: Any) -> str:
    """Letters of the axes, as ilastik or dimension labels give them; ``""`` if they do not."""
    if "axistags" in found.attrs:
        file = TextFile(f"{found.name}: axistags", ImageError, "give --axes")
        named = [axis.key.upper() for axis in parse_json(str(found.attrs["axistags"]), _Axistags, file).axes]
    else:
        named = [str(axis.label).upper() for axis in found.dims]
    return "".join(named) if len(named) == found.ndim and set(named) <= set(AXES) else ""


def _sizes(found: Any, stored: str) -> dict[str, float | None]:
    """Micrometres per pixel: ``element_size_um`` has a number per spatial axis."""
    sizes = [float(size) for size in found.attrs.get("element_size_um", ())]
    spatial = [axis for axis in stored.replace("I", "Z") if axis in "ZYX"]
    return dict(zip(spatial, sizes, strict=True)) if len(sizes) == len(spatial) else {}
