"""The table of label formats: files that give back every label of every pixel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from biounet.core.errors import LabelError
from biounet.io import FORMATS, Image, read, root_of, write

__all__ = ["LABEL_FORMATS", "LabelFormat", "label_format_of"]


class LabelWriter(Protocol):
    """Function that writes labels."""

    def __call__(self, path: Path, labels: Image, /, *, overwrite: bool = False) -> None:
        """Write a file; raise `OutputError` if the format cannot hold the labels."""


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
    """Ends of the names of its files, in lower case."""
    read: Callable[[Path], Image]
    """Reads all labels of a file."""
    write: LabelWriter
    """Writes labels."""


def _read(path: Path) -> Image:
    """Labels of an image file: the numbers of a palette, not its colours."""
    return read(path, labels=True)


LABEL_FORMATS: Mapping[str, LabelFormat] = MappingProxyType(
    {
        form.name: form
        for form in (
            LabelFormat(name=image.name, suffixes=image.suffixes, read=_read, write=write)
            for image in FORMATS.values()
            if image.exact and image.knows(np.dtype(np.uint16))
        )
    }
)
"""Name of a format -> how labels are read and written: all image formats that keep integers.

Regions of interest of ImageJ are none of them: they keep the outline of one piece of an object, without holes, and not
the size of the image; see `biounet.measurement.imagej_rois`.
"""


def label_format_of(path: Path) -> LabelFormat:
    """The format in which labels are written, by the suffix of a name.

    Raises
    ------
    LabelError
        If no entry of `LABEL_FORMATS` has the suffix.

    Examples
    --------
    >>> label_format_of(Path("cells.jpg"))
    Traceback (most recent call last):
    biounet.core.errors.LabelError: cells.jpg: labels are written as PNG, TIFF, NIfTI, OME-Zarr; save them as .tif
    """
    name = root_of(path).name.lower()
    found = next((form for form in LABEL_FORMATS.values() if name.endswith(form.suffixes)), None)
    if found is None:
        raise LabelError(f"{path}: labels are written as {', '.join(LABEL_FORMATS)}; save them as .tif")
    return found
