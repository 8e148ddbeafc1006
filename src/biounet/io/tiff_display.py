"""TIFF pixels as viewers show them: upright, and in the colours of a palette."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import tifffile
from numpy.typing import NDArray

from biounet.io.tiff_pages import PageReader

__all__ = ["Orientation", "Palette"]


TURNED = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
"""Value of the tag Orientation -> whether to swap rows and columns, then to flip rows, then to flip columns."""


@dataclass(frozen=True)
class Orientation:
    """How pixels as they are stored become an upright image.

    Parameters
    ----------
    swap : rows are columns
    flip_rows, flip_columns : after the swap

    Examples
    --------
    >>> Orientation(True, False, True).size((48, 64))       # a picture that lies on its side
    (64, 48)
    """

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @classmethod
    def of(cls, page: tifffile.TiffPage) -> Self:
        """The orientation that a page tells; upright if it tells none."""
        tag = page.tags.get("Orientation")
        return cls(*TURNED.get(0 if tag is None else int(tag.value), ()))

    def size(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the upright image."""
        return (stored[1], stored[0]) if self.swap else stored

    def read(self, pages: PageReader, page: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a rectangle of the upright image, (samples, rows, columns)."""
        height, width = self.size(pages.plane)
        if self.flip_rows:
            rows = slice(height - rows.stop, height - rows.start)
        if self.flip_columns:
            columns = slice(width - columns.stop, width - columns.start)
        plane = pages.read(page, columns, rows).swapaxes(1, 2) if self.swap else pages.read(page, rows, columns)
        return plane[:, :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]


@dataclass(frozen=True)
class Palette:
    """A table of colours, of which pixels are the numbers.

    Parameters
    ----------
    colours : (3, N), uint8
    """

    colours: NDArray[np.uint8]

    @classmethod
    def of(cls, page: tifffile.TiffPage) -> Self | None:
        """The palette of a page; None if its pixels are intensities."""
        if page.photometric != tifffile.PHOTOMETRIC.PALETTE or page.colormap is None:
            return None
        table = np.asarray(page.colormap)
        return cls((table >> 8 if table.max(initial=0) > 255 else table).astype(np.uint8))

    def apply(self, numbers: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the colours (3, rows, columns) of pixels (rows, columns)."""
        return self.colours[:, numbers]
