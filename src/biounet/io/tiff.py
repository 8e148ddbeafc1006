"""TIFF: ImageJ and OME axes and pixel sizes, plain stacks, any compression; BigTIFF above 4 GB."""

import shutil
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from biounet.core.atomic_files import replacing, sayable
from biounet.core.boxes import Box
from biounet.core.errors import ImageError, OutputError, ShapeError
from biounet.io.image import AXES, Image, name_axes
from biounet.io.pixels import check_finite, reading
from biounet.io.selection import Selection
from biounet.io.tiff_display import Orientation, Palette
from biounet.io.tiff_metadata import raising_logged_errors, read_spacing
from biounet.io.tiff_pages import PageReader

__all__ = ["TiffImage", "TiffOutput", "create", "open_lazily", "write"]


CLASSIC_BYTES = 2**32 - 2**25
"""Files of more bytes are BigTIFF; 32 MiB are left for what is not pixels."""

NARROW = 6
"""Columns below which a stack of pages is doubted: its last axis is more likely that of channels."""

ALPHA = ((1,), (2,))
"""The last of the extra samples where it says how opaque a pixel is, premultiplied or not."""


class TiffImage:
    """A TIFF file as a `biounet.io.LazyImage`; see `open_lazily`."""

    def __init__(self, path: Path, *, selection: Selection = Selection(), labels: bool = False) -> None:
        self._path = path
        selection.check_single(path, "TIFF")
        with reading(path, "TIFF"), ExitStack() as stack:
            with raising_logged_errors():
                file = stack.enter_context(tifffile.TiffFile(path))
                series = _only_series(file, path)
                self._pages = PageReader(stack.enter_context(path.open("rb", buffering=0)), series)
                displayed = labels or file.is_imagej or file.is_lsm  # their look-up tables are no palettes
                self._colours = None if displayed else Palette.of(series.keyframe)
                white_is_zero = series.keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE
                self._inverted = white_is_zero and series.dtype.kind == "u" and not labels  # masks are as they are
                self._upright = Orientation.of(series.keyframe)
                self._describe(series, selection.axes)
                self.spacing = read_spacing(file, self.axes)
            self._files = stack.pop_all()

    def _describe(self, series: tifffile.TiffPageSeries, axes: str | None) -> None:
        """Find out where which axis of the image lies in the file."""
        frame = series.keyframe
        outer = len(series.axes) - len(frame.axes)
        letters = name_axes(series.axes, axes, self._path.name)
        in_page = dict(zip(frame.axes, letters[outer:], strict=True))
        # Separate planes are no colours with an alpha channel: writers that were given 4 sections make such files.
        interleaved = frame.planarconfig == tifffile.PLANARCONFIG.CONTIG
        opaque = axes is None and self._pages.samples in (2, 4) and interleaved  # whoever names axes means channels
        self._alpha = opaque and frame.extrasamples[-1:] in ALPHA
        if "C" in letters:
            self._colours = None
        samples = 3 if self._colours else self._pages.samples - self._alpha
        self._colour = samples > 1
        self._page_shape = series.shape[:outer]
        # Axes as they are read: those that count pages, samples, rows, columns.
        rows, columns = in_page["Y"], in_page["X"]
        self._letters = letters[:outer] + in_page.get("S", "C") * self._colour + rows + columns
        sizes = (*self._page_shape, *(samples,) * self._colour, *self._upright.size(self._pages.plane))
        self.axes = "".join(axis for axis in AXES if axis in self._letters)
        self.shape = tuple(sizes[self._letters.index(axis)] for axis in self.axes)
        self.dtype = np.dtype(np.uint8 if series.dtype == bool or self._colours else series.dtype)
        if axes is None and not {"I", "Q"}.isdisjoint(series.axes):
            self._check_width()

    def _check_width(self) -> None:
        """Refuse pages of a few columns in a file that names no axes: most likely channels were saved last."""
        if self.shape[-1] < NARROW:
            shape = " x ".join(map(str, self.shape))
            raise ImageError(
                f"{self._path.name}: {shape} px would be an image of {self.shape[-1]} columns; if the last axis is "
                "channels give --axes YXC, else --axes with the letters of its axes"
            )

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region inside the image.

        Raises
        ------
        ImageError
            If the file is torn there, or holds NaN, infinity or transparent pixels.
        """
        ranges = dict(zip(self.axes, box.slices, strict=True))
        slices = [ranges[letter] for letter in self._letters]
        pages, (rows, columns) = slices[: len(self._page_shape)], slices[-2:]
        pixels = np.empty([s.stop - s.start for s in slices], self.dtype)
        with reading(self._path, "TIFF"), raising_logged_errors():
            for index in np.ndindex(*(s.stop - s.start for s in pages)):
                position = tuple(s.start + i for s, i in zip(pages, index, strict=True))
                number = int(np.ravel_multi_index(position, self._page_shape)) if position else 0
                plane = self._shown(self._upright.read(self._pages, number, rows, columns))
                pixels[index] = plane[slices[-3]] if self._colour else plane[0]
            check_finite(pixels, self._path.name)
        return np.ascontiguousarray(pixels.transpose([self._letters.index(axis) for axis in self.axes]))

    def _shown(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Pixels (samples, rows, columns) as a viewer shows them: colours of a palette, white as the highest value."""
        if self._colours:
            return self._colours.apply(plane[0])
        if self._inverted:
            plane = np.iinfo(plane.dtype).max - plane
        return self._opaque(plane) if self._alpha else plane

    def _opaque(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Drop the alpha channel of (samples, rows, columns) if it says nothing."""
        full = np.iinfo(plane.dtype).max if plane.dtype.kind in "iu" else 1
        if (plane[-1] != full).any():
            raise ImageError(f"{self._path.name}: some pixels are transparent; flatten it and save it again")
        return plane[:-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()


class TiffOutput:
    """A TIFF file as a `biounet.io.LazyOutput`: uncompressed, so that any region has its place; see `create`."""

    def __init__(self, path: Path, image: Image, *, overwrite: bool = False) -> None:
        # Only the shape and type of the array are used: it may be one number, broadcast.
        self._path, self._image, self._overwrite = path, image, overwrite
        self.shape, self.axes = image.array.shape, image.axes
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(replacing(self._path, overwrite=self._overwrite))
            _check_room(self._path, self._image.array.nbytes)
            options = _ome_options(self._image)
            array = self._image.array
            large = array.nbytes >= CLASSIC_BYTES
            with tifffile.TiffWriter(temporary, bigtiff=large, ome=True) as file:
                place = file.write(None, shape=array.shape, dtype=array.dtype, returnoffset=True, **options)
            assert place is not None  # uncompressed pixels always have one
            self._offset = place[0]
            self._stream: BinaryIO = stack.enter_context(temporary.open("r+b", buffering=0))
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

    def __exit__(self, *error: Any) -> None:
        self._files.__exit__(*error)


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> TiffImage:
    """Open a TIFF file for reading by region; see `biounet.io.open_lazily`.

    Notes
    -----
    Uncompressed pages are read row by row where they lie; of others the strips and tiles that a region
    touches are decoded, and some kept for the next region. Files with one compressed strip per page are
    decoded page by page. Colour samples are channels. Palettes, WhiteIsZero and orientation are applied as any viewer
    does; labels are the numbers in the file, turned upright.
    """
    return TiffImage(path, selection=selection, labels=labels)


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
) -> TiffOutput:
    """Begin a TIFF file that is written by region; see `biounet.io.create`."""
    nothing = np.broadcast_to(np.zeros((), dtype), tuple(shape))
    return TiffOutput(path, Image(nothing, axes, None if spacing is None else tuple(spacing)), overwrite=overwrite)


def _only_series(file: tifffile.TiffFile, path: Path) -> tifffile.TiffPageSeries:
    """Pick the image of a file: the first, if the others are but its thumbnails."""
    first, *others = file.series
    if any(prod(other.shape) >= prod(first.shape) for other in others):
        raise ImageError(f"{path.name} holds {len(others) + 1} images; save the one that is wanted alone")
    page = first.keyframe
    if not set(page.axes) <= set("YXS") or first.shape[len(first.shape) - len(page.shape) :] != page.shape:
        raise ImageError(f"{path.name}: pages with axes {page.axes} are not known; save it by ImageJ")
    if first.dataoffset is None and any(page is not None and page.parent is not file for page in first.pages):
        raise ImageError(f"{path.name} is one of several files of one image; save it as a single file")
    return first


def _write_all(stream: BinaryIO, data: memoryview) -> None:
    """Write every byte: one call may write fewer, on a disk that fills up for instance."""
    data = data.cast("B")
    while data:
        data = data[stream.write(data) :]


def _imagej_options(image: Image) -> dict[str, Any]:
    """Axes and pixel size as ImageJ writes them."""
    # S keeps tifffile from taking a column of pixels for samples.
    metadata: dict[str, Any] = {"axes": "TZCYXS"}
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": metadata}
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
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": metadata}
    if image.spacing is not None:  # for programs that read tags and no OME-XML
        options |= {"resolution": (1e4 / image.spacing[-1], 1e4 / image.spacing[-2]), "resolutionunit": "CENTIMETER"}
    return options


def _check_room(path: Path, size: int) -> None:
    """Refuse at once what the disk cannot hold, not after hours."""
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise OutputError(
            f"{path} needs {size / 2**20:,.0f} MiB, but the disk has {free / 2**20:,.0f} MiB left; free some room"
        )
