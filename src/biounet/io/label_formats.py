"""The table of label formats: files that give back every label of every pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from biounet.core.errors import LabelError
from biounet.io import FORMATS, Format, Image, read, root_of, write
from biounet.io.cellpose import read_masks, write_masks
from biounet.io.coco import read_coco, write_coco
from biounet.io.imagej_rois import read_rois, write_rois
from biounet.io.outline_files import OUTLINES
from biounet.io.qupath import read_geojson, write_geojson
from biounet.io.shapes import Grid

__all__ = ["LABEL_FORMATS", "LabelFormat", "LabelReader", "LabelWriter", "label_format_of"]


class LabelReader(Protocol):
    """Function that reads labels."""

    def __call__(
        self, path: Path, /, *, grid: Grid | None = None, notes: list[str] | None = None, classes: Sequence[str] = ()
    ) -> Image:
        """Read all labels of a file.

        `grid` has the axes and the size of the image, where the file does not say them. `notes` is added to where the
        file holds what a label image cannot. With the names of `classes` 0, 1, ... numbers are classes, not objects.
        """


class LabelWriter(Protocol):
    """Function that writes labels."""

    def __call__(
        self, path: Path, labels: Image, /, *, overwrite: bool = False, classes: Sequence[str] = (), source: str = ""
    ) -> None:
        """Write a file; raise `OutputError` if the format cannot hold the labels.

        With the names of `classes` 0, 1, ... numbers are classes, not objects. `source` is the name of the image.
        """


@dataclass(frozen=True, kw_only=True)
class LabelFormat:
    """A label format: what is written is read with the same numbers and axes.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> path = Path(tempfile.mkdtemp(), "cells.png")
    >>> LABEL_FORMATS["PNG"].write(path, Image(np.array([[0, 300]]), "YX"))
    >>> LABEL_FORMATS["PNG"].read(path).array.tolist()
    [[0, 300]]
    """

    name: str
    """What people call the format."""
    suffixes: tuple[str, ...]
    """Ends of the names of its files, in lower case; files are written with the first one."""
    kind: str | None
    """Kind of its files, see `biounet.core.overwriting.KINDS`; None if they are folders."""
    words: tuple[str, ...]
    """Names by which `biounet convert --to` knows it."""
    read: LabelReader
    """Reads all labels of a file."""
    write: LabelWriter
    """Writes labels."""
    axes: str = "TZYX"
    """Axes that labels may have; they may have fewer."""
    has_ignore: bool = True
    """The files hold unknown pixels."""
    has_classes: bool = False
    """The files have names of classes."""


def _read(
    path: Path, /, *, grid: Grid | None = None, notes: list[str] | None = None, classes: Sequence[str] = ()
) -> Image:
    """Labels of an image file: the numbers of a palette, not its colours."""
    return read(path, labels=True)


def _write(
    path: Path, labels: Image, /, *, overwrite: bool = False, classes: Sequence[str] = (), source: str = ""
) -> None:
    """Write labels as an image."""
    write(path, labels, overwrite=overwrite)


def _words(image: Format) -> tuple[str, ...]:
    """Names of an image format, and the ends of the names of its files."""
    return (image.name.lower(), *(suffix.lstrip(".") for suffix in image.suffixes))


LABEL_FORMATS: Mapping[str, LabelFormat] = MappingProxyType(
    {
        form.name: form
        for form in (
            *(
                LabelFormat(
                    name=image.name,
                    suffixes=image.suffixes,
                    kind=None if image.is_folder else image.name,
                    words=_words(image),
                    read=_read,
                    write=_write,
                )
                for image in FORMATS.values()
                if image.exact and image.knows(np.dtype(np.uint16))
            ),
            LabelFormat(
                name="ImageJ ROI",
                suffixes=OUTLINES["ImageJ ROI"],
                kind="zip",
                words=("imagej", "fiji", "rois", "roi", "imagej-rois"),
                read=read_rois,
                write=write_rois,
            ),
            LabelFormat(
                name="QuPath GeoJSON",
                suffixes=OUTLINES["QuPath GeoJSON"],
                kind="JSON",
                words=("qupath", "geojson"),
                has_classes=True,
                read=read_geojson,
                write=write_geojson,
            ),
            LabelFormat(
                name="COCO",
                suffixes=OUTLINES["COCO"],
                kind="JSON",
                words=("coco", "json"),
                axes="YX",
                has_classes=True,
                read=read_coco,
                write=write_coco,
            ),
            LabelFormat(
                name="Cellpose",
                suffixes=("_masks.tif", "_cp_masks.tif", "_cp_masks.png", *OUTLINES["Cellpose"]),
                kind="TIFF",
                words=("cellpose", "masks"),
                has_ignore=False,
                read=read_masks,
                write=write_masks,
            ),
        )
    }
)
"""Name of a format -> how labels are read and written: all image formats that keep integers, and files of outlines."""


def label_format_of(path: Path) -> LabelFormat:
    """The image format in which labels are written, by the suffix of a name.

    Raises
    ------
    LabelError
        If no image format of `LABEL_FORMATS` has the suffix.

    Examples
    --------
    >>> label_format_of(Path("cells.jpg"))
    Traceback (most recent call last):
    biounet.core.errors.LabelError: cells.jpg: labels are written as PNG, TIFF, NIfTI, OME-Zarr; save them as .tif
    """
    name = root_of(path).name.lower()
    images = [form for form in LABEL_FORMATS.values() if form.name in FORMATS]
    found = next((form for form in images if name.endswith(form.suffixes)), None)
    if found is None:
        raise LabelError(f"{path}: labels are written as {', '.join(form.name for form in images)}; save them as .tif")
    return found
