"""TIFF as it is written: ImageJ or OME axes and pixel sizes, whole and deflated, or by region; BigTIFF above 4 GB.

The tag Software names biounet, by which it is known what may be replaced. A private tag holds a note on the result.
"""

import math
import shutil
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from biounet.core.atomic_files import hidden_name, replacing, sayable
from biounet.core.boxes import Box
from biounet.core.errors import OutputError, ShapeError
from biounet.io.image import Image
from biounet.io.meaning import Meaning, software

__all__ = ["TiffOutput", "create", "is_ours", "note_of", "write"]


CLASSIC_BYTES = 2**32 - 2**25
"""Files of more bytes are BigTIFF; 32 MiB are left for what is not pixels."""

COPIED = 2**22
"""Numbers that are copied at a time."""

NOTE = 65302
"""Private tag of the note on a result."""


class TiffOutput:
    """A TIFF file as a `biounet.io.LazyOutput`: uncompressed, so that any region has its place; see `create`."""

    def __init__(self, path: Path, image: Image, *, overwrite: bool = False, note: str = "") -> None:
        # Only the shape and type of the array are used: it may be one number, broadcast.
        self._path, self._image, self._overwrite, self._note = path, image, overwrite, note
        self.shape, self.axes = image.array.shape, image.axes
        self._lock = threading.Lock()
        numbered = image.meaning is not None and image.meaning.numbers_objects
        self._narrows, self._largest = numbered and image.array.dtype == np.uint32, 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._temporary = stack.enter_context(replacing(self._path, overwrite=self._overwrite))
            size = self._image.array.nbytes
            _check_room(self._path, size + size // 2 * self._narrows)
            self._offset = self._write_header(self._temporary, self._image.array.dtype)
            self._stream: BinaryIO = stack.enter_context(self._temporary.open("r+b", buffering=0))
            self._files = stack.pop_all()
        return self

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels of a region.

        Raises
        ------
        OutputError
            If the disk is full.
        """
        array = np.ascontiguousarray(array, dtype=self._image.array.dtype)
        if array.shape != box.shape:
            raise ShapeError(f"{self._path.name}: a region of shape {box.shape} came with {array.shape} pixels")
        if self._narrows:
            self._largest = max(self._largest, int(array.max(initial=0)))
        # As many of the last axes as are written whole lie in the file as one run of bytes.
        whole = len(self.shape)
        while whole > 1 and box.shape[whole - 1] == self.shape[whole - 1]:
            whole -= 1
        runs = array.reshape(*box.shape[: whole - 1], -1)
        with sayable(self._path), self._lock:
            for index in np.ndindex(runs.shape[:-1]):
                first = tuple(start + i for start, i in zip(box.start, (*index, *[0] * len(box.start)), strict=False))
                place = int(np.ravel_multi_index(first, self.shape))
                self._stream.seek(self._offset + place * array.itemsize)
                _write_all(self._stream, runs[index].data)

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        if kind is not None or not self._narrows or self._largest > np.iinfo(np.uint16).max:
            self._files.__exit__(kind, *error)
            return
        with self._files:
            self._narrow()

    def _write_header(self, path: Path, dtype: np.dtype[Any]) -> int:
        """Write a file whose pixels are still to come, uncompressed and in one piece; return where they begin."""
        size, options = math.prod(self.shape) * dtype.itemsize, _ome_options(self._image)
        if self._note:
            options["extratags"] = [(NOTE, 2, 0, self._note, True)]
        with tifffile.TiffWriter(path, bigtiff=size >= CLASSIC_BYTES, ome=True) as file:
            place = file.write(None, shape=self.shape, dtype=dtype, returnoffset=True, **options)
        assert place is not None  # uncompressed pixels always have one
        return int(place[0])

    def _narrow(self) -> None:
        """Store the numbers of objects in 16 bits, as most programs expect them."""
        narrow = hidden_name(self._path)
        try:
            with sayable(self._path):
                offset = self._write_header(narrow, np.dtype(np.uint16))
                self._stream.close()
                with narrow.open("r+b", buffering=0) as stream, self._temporary.open("rb") as wide:
                    stream.seek(offset)
                    wide.seek(self._offset)
                    for first in range(0, self._image.array.size, COPIED):
                        count = min(COPIED, self._image.array.size - first)
                        numbers = np.frombuffer(wide.read(4 * count), np.uint32)
                        _write_all(stream, numbers.astype(np.uint16).data)
                narrow.replace(self._temporary)
        finally:
            narrow.unlink(missing_ok=True)


def write(path: Path, image: Image, *, overwrite: bool = False) -> None:
    """Write a TIFF file that ImageJ opens with axes and pixel size, deflated; see `biounet.io.write`.

    Notes
    -----
    8 and 16 bit and float32 images of less than 4 GB are ImageJ hyperstacks, all others OME-TIFF.
    """
    array = image.array
    small = array.nbytes < CLASSIC_BYTES
    imagej = small and array.dtype in (np.uint8, np.uint16, np.float32)
    options = _imagej_options(image) if imagej else _ome_options(image)
    order = [image.axes.index(axis) for axis in options["metadata"]["axes"] if axis in image.axes]
    lengths = [dict(zip(image.axes, array.shape, strict=True)).get(axis, 1) for axis in options["metadata"]["axes"]]
    with replacing(path, overwrite=overwrite) as temporary:
        tifffile.imwrite(
            temporary,
            array.transpose(order).reshape(lengths),
            imagej=imagej,
            ome=not imagej,
            bigtiff=not small,
            compression="zlib",
            **options,
        )


def create(
    path: Path,
    *,
    shape: Sequence[int],
    dtype: DTypeLike,
    axes: str,
    spacing: Sequence[float] | None = None,
    overwrite: bool = False,
    meaning: Meaning | None = None,
    note: str = "",
) -> TiffOutput:
    """Begin a TIFF file that is written by region; see `biounet.io.create`."""
    nothing = np.broadcast_to(np.zeros((), dtype), tuple(shape))
    image = Image(nothing, axes, None if spacing is None else tuple(spacing), meaning)
    return TiffOutput(path, image, overwrite=overwrite, note=note)


def is_ours(path: Path) -> bool:
    """Whether biounet has written a TIFF file."""
    return _tag(path, "Software").startswith("biounet-")


def note_of(path: Path) -> str:
    """The note that `create` was given for a TIFF file; empty if there is none."""
    return _tag(path, NOTE)


def _tag(path: Path, tag: str | int) -> str:
    """Text of a tag of the first page; empty if it is not there, or no text, or the file is damaged."""
    try:
        with tifffile.TiffFile(path) as file:
            value = file.pages.first.tags.valueof(tag)
    except Exception:  # damaged files raise errors of every type
        return ""
    return value if isinstance(value, str) else ""


def _write_all(stream: BinaryIO, data: memoryview) -> None:
    """Write every byte: one call may write fewer, on a disk that fills up for instance."""
    data = data.cast("B")
    while data:
        data = data[stream.write(data) :]


def _imagej_options(image: Image) -> dict[str, Any]:
    """Axes and pixel size as ImageJ writes them."""
    # S keeps tifffile from taking a column of pixels for samples.
    metadata: dict[str, Any] = {"axes": "TZCYXS"}
    options: dict[str, Any] = _common_options(image, metadata)
    if image.spacing is not None:
        metadata["unit"] = "um"
        *depth, height, width = image.spacing
        if depth:
            metadata["spacing"] = depth[0]
        options["resolution"] = (1 / width, 1 / height)
    return options


def _ome_options(image: Image) -> dict[str, Any]:
    """Axes and pixel size as OME-XML."""
    metadata: dict[str, Any] = {"axes": image.axes}
    for axis, size in zip(image.spatial_axes, image.spacing or (), strict=False):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    options: dict[str, Any] = _common_options(image, metadata)
    if image.spacing is not None:  # for programs that read tags and no OME-XML
        options |= {"resolution": (1e4 / image.spacing[-1], 1e4 / image.spacing[-2]), "resolutionunit": "CENTIMETER"}
    return options


def _common_options(image: Image, metadata: dict[str, Any]) -> dict[str, Any]:
    """Options of all files; the tag Software says what the numbers mean."""
    return {"photometric": "minisblack", "metadata": metadata, "software": software(image.meaning)}


def _check_room(path: Path, size: int) -> None:
    """Refuse at once what the disk cannot hold, not after hours."""
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise OutputError(
            f"{path} needs {size / 2**20:,.0f} MiB, but the disk has {free / 2**20:,.0f} MiB left; free some room"
        )
