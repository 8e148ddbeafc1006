"""Image formats: names of their files, functions that read and write them, and images that they can hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from biounet.core.errors import OutputError
from biounet.io.image import LazyImage, LazyOutput, ResumableOutput
from biounet.io.selection import Selection

__all__ = ["NUMBERS", "Format", "Holds"]


NUMBERS = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")
"""Pixel types that most programs for images know."""


@dataclass(frozen=True, kw_only=True)
class Holds:
    """Images that a format stores without loss.

    Examples
    --------
    >>> colours = Holds(axes="CYX", channels=3, dtypes=("uint8",))
    >>> colours.fits("CYX", (3, 20, 30), np.dtype("uint8")), colours.fits("CYX", (2, 20, 30), np.dtype("uint8"))
    (True, False)
    """

    axes: str
    """Axes that an image may have; it may have fewer."""
    dtypes: tuple[str, ...]
    """Names of pixel types."""
    channels: int | None = None
    """Number of channels that an image must have."""

    def fits(self, axes: str, shape: Sequence[int], dtype: np.dtype[Any]) -> bool:
        """Whether an image of these axes, shape and type is one of them."""
        channels = dict(zip(axes, shape, strict=True)).get("C", 1)
        return set(axes) <= set(self.axes) and dtype.name in self.dtypes and self.channels in (None, channels)


class Opener(Protocol):
    """Function that opens an image file for reading by region; see `biounet.io.open_lazily`."""

    def __call__(self, path: Path, *, selection: Selection = Selection(), labels: bool = False) -> LazyImage:
        """Open a file, of which axes, series and level are selected; `biounet.io.open_lazily` picks the channels."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """An image format. One that is only read has neither `write` nor `create`.

    Examples
    --------
    >>> from biounet.io import FORMATS
    >>> [form.name for form in FORMATS.values() if form.resumable]
    ['OME-Zarr']
    """

    name: str
    """What people call the format."""
    suffixes: tuple[str, ...]
    """Ends of the names of its files, in lower case."""
    open_lazily: Opener
    """Opens an image for reading by region."""
    write: Callable[..., None] | None = None
    """Writes a whole image, of which integers have been stored in the smallest type that holds them.

    It takes a path, an `Image`, and ``overwrite``; where the format has a place in space, also ``like``.
    """
    create: Callable[..., LazyOutput] | None = None
    """Begins an image that is written by region, see `biounet.io.create`. Without it, pixels wait in memory."""
    note_of: Callable[[Path], str] | None = None
    """Reads the ``note`` that `create` was given, where a file can hold one."""
    is_ours: Callable[[Path], bool] | None = None
    """Whether biounet has written a file, where files tell."""
    attach: Callable[[Path], ResumableOutput] | None = None
    """Opens an image that another process began, to write other regions of it, or to go on after a stop."""
    holds: tuple[Holds, ...] = ()
    """Images that can be written."""
    exact: bool = True
    """Pixels are stored without loss; otherwise the format does not hold labels."""
    least_bits: int = 16
    """Integers of 32 and 64 bits, such as labels, are stored in so many bits at least."""
    library: str | None = None
    """Large or optional library that it needs: the name under which it is imported."""
    is_folder: bool = False
    """An image is a folder. Names of images inside of it need no suffix."""
    places: bool = False
    """Its files say where an image lies in space, and `write` takes that over from another file, `like`."""
    label_folder: str | None = None
    """Folder inside an image that labels of it are written into, each under its name."""
    result: str = ".tif"
    """Suffix of what is predicted from an image of this format."""

    @property
    def resumable(self) -> bool:
        """Whether an image that was begun can be completed by another run or process."""
        return self.attach is not None

    def knows(self, dtype: np.dtype[Any]) -> bool:
        """Whether images of a pixel type can be written."""
        return any(dtype.name in holds.dtypes for holds in self.holds)

    def check(self, path: Path, *, axes: str, shape: Sequence[int], dtype: DTypeLike) -> None:
        """Refuse an image that the format cannot hold.

        Raises
        ------
        OutputError
            It names the file, and what to do instead.
        """
        dtype = np.dtype(dtype)
        if self.write is None:
            why = "is only read" if self.exact else "changes pixel values"
            raise OutputError(f"{path}: {self.name} {why}; save it as .png or .tif")
        if not any(holds.fits(axes, shape, dtype) for holds in self.holds):
            what = "save it as .tif" if dtype.name in NUMBERS else f"convert it to one of {', '.join(NUMBERS)}"
            raise OutputError(f"{path}: {self.name} cannot hold {axes} {tuple(shape)} of {dtype}; {what}")
