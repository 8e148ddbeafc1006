"""Arrays saved by numpy: .npy mapped from the file, .npz read whole; never a pickle."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ImageError
from biounet.io.inner_path import pick_array, split_inner
from biounet.io.outline_files import as_image
from biounet.io.pixels import reading
from biounet.io.selection import Selection
from biounet.io.sliced import Sliceable, SlicedImage, WholeArray, plain_axes

__all__ = ["open_lazily"]


KIND = "an array of numpy"


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> SlicedImage:
    """Open a .npy file, or an array of a .npz file such as ``cells.npz:/image``; see `biounet.io.open_lazily`.

    Notes
    -----
    A plain array names no axes: the last two are Y and X, one more is taken for Z. Python objects are refused, since
    to read them runs what they say.
    """
    file, inner = split_inner(path)
    array: Sliceable
    with reading(file, KIND):
        if zipfile.is_zipfile(file):
            array = _in_archive(file, inner, selection)
        else:
            selection.check_single(path, ".npy")
            with file.open("rb") as stream:
                _check_plain(_header(stream)[1], file)
            array = np.lib.format.open_memmap(file, mode="r")
    stored = plain_axes(array.shape, path.name, selection.axes)
    return SlicedImage(file, array, stored, {}, kind=KIND, axes=selection.axes)


def _in_archive(file: Path, inner: str, selection: Selection) -> WholeArray:
    """An array of a .npz file."""
    with zipfile.ZipFile(file) as archive:
        headers = {}
        for name in archive.namelist():
            with archive.open(name) as stream:
                headers[re.sub(r"\.npy$", "", name)] = _header(stream)
    images = [name for name, (shape, dtype) in headers.items() if len(shape) > 1 and not dtype.hasobject]
    if not images:
        _check_plain(next((dtype for _, dtype in headers.values()), np.dtype(float)), file)
    name = pick_array(images, inner, selection, file)

    def load() -> NDArray[Any]:
        with np.load(file, allow_pickle=False) as arrays:
            found: NDArray[Any] = arrays[name]
            return found

    return WholeArray(*headers[name], load)


def _header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array that a stream holds."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _check_plain(dtype: np.dtype[Any], file: Path) -> None:
    """Refuse Python objects."""
    if dtype.hasobject:
        raise ImageError(
            f"{file.name} holds Python objects as a pickle, which can run a program when it is read; "
            f"{as_image(file) or 'save an array of numbers by numpy.save'}"
        )
