"""TIFF as it is read: axes and pixel sizes of ImageJ and OME, plain stacks, pyramids, any compression."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import tifffile
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import ImageError, LabelError
from biounet.io.image import AXES, name_axes
from biounet.io.meaning import meaning_of_text
from biounet.io.ome_tiff import COMPANION, open_ome, parse_ome, read_companion
from biounet.io.pixels import check_finite, fit_spacing, reading
from biounet.io.selection import Selection
from biounet.io.tiff_display import Orientation, Palette
from biounet.io.tiff_metadata import raising_logged_errors, read_sizes
from biounet.io.tiff_pages import PageReader
from biounet.io.tiff_stack import PageStack, open_series, split_pages

__all__ = ["TiffImage", "open_lazily"]


NARROW = 6
"""Columns below which a stack of pages is doubted: its last axis is more likely that of channels."""

LOSSY = tuple(tifffile.COMPRESSION(number) for number in (6, 7, 99, 33004, 33007, 34892))
"""Compressions that change pixels: JPEG, under all its numbers."""

ALPHA = ((1,), (2,))
"""The last of the extra samples where it says how opaque a pixel is, premultiplied or not."""


class TiffImage:
    """A TIFF file as a `biounet.io.LazyImage`; see `open_lazily`."""

    def __init__(self, path: Path, *, selection: Selection = Selection(), labels: bool = False) -> None:
        self._path = path
        with reading(path, "TIFF"), ExitStack() as stack:
            with raising_logged_errors():
                series, axes = open_stack(path, selection, stack), selection.axes
                if axes is not None:
                    series, axes = split_pages(series, axes, path.name)
                self._pages = PageReader(series)
                stack.callback(self._pages.close)
                if labels:
                    _check_lossless(series.keyframe, path)
                shown = series.keyframe.is_imagej or series.keyframe.is_lsm  # look-up tables, which are no palettes
                self._colours = None if labels or shown else Palette.of(series.keyframe)
                white_is_zero = series.keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE
                # Labels, and masks of single bits, are as they are, whatever a viewer shows.
                self._inverted = white_is_zero and series.keyframe.dtype.kind == "u" and not labels
                self._white = 2**series.keyframe.bitspersample - 1
                self._upright = Orientation.of(series.keyframe)
                self._describe(series, axes)
                self.spacing = fit_spacing(_scaled(series), self.axes)
                self.notes = tuple(self._say(series, axes))
                self.decoding_bytes = self._pages.decoding_bytes
                software = series.keyframe.tags.get("Software")
                self.meaning = None if software is None else meaning_of_text(software.value, path)
            self._files = stack.pop_all()

    def _describe(self, series: PageStack, axes: str | None) -> None:
        """Find out where which axis of the image lies in the file."""
        frame = series.keyframe
        outer = len(series.axes) - len(frame.axes)
        letters = self._in_file = name_axes(series.axes, axes, self._path.name)
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
        self.dtype = np.dtype(np.uint8 if frame.dtype == bool or self._colours else frame.dtype)
        if axes is None and not {"I", "Q"}.isdisjoint(series.axes):
            self._check_width()

    def _say(self, stack: PageStack, axes: str | None) -> Iterator[str]:
        """Say what was guessed, chosen or converted, so that a person can see it."""
        if stack.note:
            yield stack.note
        if axes is None and not {"I", "Q"}.isdisjoint(stack.axes):
            pages = self.shape[self.axes.index("Z")]
            film = "".join("T" if letter == "Z" else letter for letter in self._in_file)
            yield f"its {pages} pages are taken for sections (Z); if it is a film give --axes {film}"
        if self._colours:
            yield "its numbers are read as the colours of its palette"
        if self._inverted:
            yield "white is 0 in it (WhiteIsZero), so its values are turned round"
        if self._upright != Orientation():
            yield "it is stored turned or mirrored (tag Orientation), and read upright"

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
            plane = np.array(self._white, self.dtype) - plane
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


def _check_lossless(page: tifffile.TiffPage, path: Path) -> None:
    """Refuse labels that went through a compression which changes numbers."""
    if page.compression in LOSSY:
        raise LabelError(
            f"{path}: its {tifffile.COMPRESSION(page.compression).name} compression changes label numbers; save the "
            "labels without loss, as .png or with LZW or Deflate"
        )


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


def open_stack(path: Path, selection: Selection, files: ExitStack) -> PageStack:
    """Find the pages of an image: by the OME-XML of the file or of its companion, else as tifffile groups them.

    Parameters
    ----------
    path : a TIFF file, or a file of OME-XML alone
    selection : Selection
    files : closes the file

    Raises
    ------
    ImageError
        If there are several images to choose from, pages of an unknown kind, or planes are missing.
    """
    if path.name.lower().endswith(COMPANION):
        return open_ome(path, path.read_text(encoding="utf-8"), selection)
    file = files.enter_context(tifffile.TiffFile(path))
    xml = file.ome_metadata
    if xml is None or file.is_mmstack:  # files of Micro-Manager have an index of their own
        images = parse_ome(xml)[1] if xml else ()
        sizes = images[0].spacing if images else read_sizes(file)
        stack = replace(open_series(file, path, selection), spacing=sizes)
    else:
        uuid, described = read_companion(path, xml) or (None, xml)
        stack = open_ome(path, described, selection, uuid=uuid)
    page = stack.keyframe
    if not set(page.axes) <= set("YXS") or stack.shape[len(stack.shape) - len(page.shape) :] != page.shape:
        raise ImageError(f"{path.name}: pages with axes {page.axes} are not known; save it by ImageJ")
    return stack


def _scaled(stack: PageStack) -> dict[str, float | None]:
    """Micrometres per pixel of the level that was chosen, by axis."""
    sizes = (stack.spacing or {}).items()
    return {axis: None if size is None else size * stack.scale.get(axis, 1.0) for axis, size in sizes}
