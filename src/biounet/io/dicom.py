"""DICOM: the slices of a series in the order of their positions, or the frames of one file."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ImageError, need
from biounet.io.dicom_geometry import Slice, Stack, order, slices_of
from biounet.io.pixels import reading
from biounet.io.selection import Selection
from biounet.io.sliced import Planes, SlicedImage, pick_series

__all__ = ["is_series", "open_lazily"]


KIND = "DICOM"

SUFFIXES = ("", ".dcm", ".dicom", ".ima")
"""Ends of the names of slices in a folder."""

DECODERS = {
    "1.2.840.10008.1.2.4.50": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.51": lambda data: imagecodecs.jpeg_decode(data, bitspersample=12),
    "1.2.840.10008.1.2.4.57": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.70": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.81": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.90": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.91": imagecodecs.jpeg2k_decode,
}
"""Transfer syntax -> function that decodes a frame; pydicom itself reads pixels without compression, and RLE."""


def is_series(folder: Path) -> bool:
    """Whether a folder holds slices of one DICOM series, which are one image together."""
    if not folder.is_dir():
        return False
    first = list(islice(_files(folder), 2))
    if len(first) < 2:
        return False
    pydicom = need("pydicom")
    with reading(folder, KIND), _without_warnings():
        series = [pydicom.dcmread(path, specific_tags=["SeriesInstanceUID"]).get("SeriesInstanceUID") for path in first]
    return series[0] is not None and series[0] == series[1]


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> SlicedImage:
    """Open a DICOM file, or a folder of slices; see `biounet.io.open_lazily`.

    Notes
    -----
    Slices are sorted along their normal; several at each position are time points. Pixels are the stored values,
    unless slope and intercept change from slice to slice: then they are applied. The distance of slices is that of
    their positions, not their thickness. Slices are not turned to the patient.
    """
    with reading(path, KIND), _without_warnings():
        headers = _headers(path)
        names = list(dict.fromkeys(str(header.get("SeriesInstanceUID")) for _, header in headers))
        number, notes = pick_series(names, selection, path, KIND)
        wanted = names[number]
        chosen = [(file, header) for file, header in headers if str(header.get("SeriesInstanceUID")) == wanted]
        kinds = {(header.Rows, header.Columns, header.get("SamplesPerPixel", 1)) for _, header in chosen}
        if len(kinds) > 1:
            raise ImageError(f"{path.name}: slices have different sizes; keep those of one size in a folder")
        stack = order((part for file, header in chosen for part in slices_of(file, header)), path.name)
        frames = _Frames(stack, chosen[0][1])
    rows, columns, samples = kinds.pop()
    colours = (samples,) if samples > 1 else ()
    array = Planes(stack.shape, (rows, columns, *colours), frames.dtype, frames.read)
    stored = f"{stack.axes}YX{'S' * len(colours)}"
    notes += (stack.note,) if stack.note else ()
    return SlicedImage(path, array, stored, stack.sizes, kind=KIND, axes=selection.axes, notes=notes)


class _Frames:
    """Pixels of slices; the file that was read last is kept, since many slices may lie in one."""

    def __init__(self, stack: Stack, header: Any) -> None:
        self._stack, self._last = stack, (Path(), None)
        bits = int(header.BitsAllocated)
        signed = header.get("PixelRepresentation")
        kind = "f" if signed is None else "i" if signed else "u"
        self._stored = np.dtype(f"{kind}{max(bits // 8, 1)}")
        self._rescaled = len({part.rescale for part in stack.slices}) > 1
        self.dtype = np.dtype(np.float32) if self._rescaled else self._stored

    def read(self, at: tuple[int, ...]) -> NDArray[Any]:
        """Pixels of a slice, (rows, columns) or (rows, columns, samples)."""
        part = self._stack.slices[int(np.ravel_multi_index(at, self._stack.shape)) if at else 0]
        with _without_warnings():
            pixels = self._decode(part)
        if not self._rescaled:
            return pixels
        slope, intercept = part.rescale
        return pixels * np.float32(slope) + np.float32(intercept)

    def _decode(self, part: Slice) -> NDArray[Any]:
        """Stored values of a slice."""
        if self._last[0] != part.path:
            self._last = part.path, need("pydicom").dcmread(part.path)
        content: Any = self._last[1]
        decode = DECODERS.get(str(content.file_meta.TransferSyntaxUID))
        if decode is None:
            found: NDArray[Any] = need("pydicom.pixels").pixel_array(
                content, index=part.frame, allow_excess_frames=False
            )
            return found
        frames = int(content.get("NumberOfFrames", 1) or 1)
        data = need("pydicom.encaps").get_frame(content.PixelData, part.frame, number_of_frames=frames)
        pixels = np.asarray(decode(data))
        if self._stored.kind == "i" and pixels.dtype.kind == "u":  # codecs know no sign
            unused = pixels.dtype.itemsize * 8 - int(content.BitsStored)
            pixels = (pixels << unused).view(f"i{pixels.dtype.itemsize}") >> unused
        return pixels


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Leave out what pydicom says of headers that are a little wrong; what matters is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _files(folder: Path) -> Iterator[Path]:
    """The DICOM files of a folder, sorted by name."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
            with path.open("rb") as file:
                if file.read(132)[128:] == b"DICM":
                    yield path


def _headers(path: Path) -> list[tuple[Path, Any]]:
    """Headers of a file, or of all files of a folder, that hold pictures."""
    read = need("pydicom").dcmread
    files = list(_files(path)) if path.is_dir() else [path]
    headers = [(file, read(file, stop_before_pixels=True)) for file in files]
    for file, header in headers:
        what = None
        if "Rows" not in header:
            what = "no pixels; give the images that it belongs to"
        elif header.get("Modality") == "SEG":
            what = "a segmentation object, whose frames are masks of segments; export it as NIfTI or TIFF"
        elif "TotalPixelMatrixColumns" in header and int(header.get("NumberOfFrames", 1)) > 1:
            what = "tiles of a whole slide; export the slide as OME-TIFF"
        elif header.get("PhotometricInterpretation") == "PALETTE COLOR":
            what = "colours of a palette; export it as PNG"
        if what is not None:
            raise ImageError(f"{file.name} holds {what}")
    return headers
