"""The relief of an image on disk while tiles are predicted: one file for each, absent or complete."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.arrayfolder import ArrayFolder
from biounet.geometry import Box, TilePlan

__all__ = ["FrameRelief"]


@dataclass(frozen=True)
class FrameRelief:
    """The relief of one frame: a `biounet.geometry.Reader` of what was put there tile by tile.

    Parameters
    ----------
    folder : Path
        It must exist; several frames and several processes may share it.
    frame : int
    tiles : TilePlan
    dtype : of the pixels; bytes of a relief, unless what is kept beside it is read

    Examples
    --------
    >>> import tempfile
    >>> from biounet.geometry import Geometry
    >>> tiles = TilePlan((1, 5), (1, 3), Geometry((1, 1), (0, 0), (0, 0), padded=True))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     relief = FrameRelief(Path(folder), 0, tiles)
    ...     relief.put((0, 0), np.array([[1, 2, 3]], np.uint8))
    ...     relief.put((0, 1), np.array([[4, 5]], np.uint8))
    ...     relief.read(Box((0, 2), (1, 4)))
    array([[3, 4]], dtype=uint8)
    """

    folder: Path
    frame: int
    tiles: TilePlan
    dtype: type[np.generic] = np.uint8

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per spatial axis."""
        return self.tiles.shape

    def holds(self, index: tuple[int, ...]) -> bool:
        """Whether a tile is there."""
        return (self.frame, *index) in ArrayFolder(self.folder)

    def put(self, index: tuple[int, ...], pixels: NDArray[Any]) -> None:
        """Keep the pixels (*spatial) that a tile delivers.

        Raises
        ------
        OutputError
            When the disk is full.
        """
        ArrayFolder(self.folder)[self.frame, *index] = np.ascontiguousarray(pixels)

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region, of which all tiles must be there."""
        arrays, result = ArrayFolder(self.folder), np.empty(box.shape, self.dtype)
        sides = zip(box.start, box.stop, self.tiles.step, strict=True)
        for index in product(*(range(start // step, -(-stop // step)) for start, stop, step in sides)):
            tile = self.tiles.tile(index).output
            common = Box(
                tuple(map(max, box.start, tile.start)),
                tuple(map(min, box.stop, tile.stop)),
            )
            pixels = arrays[self.frame, *index]
            result[common.relative_to(box.start).slices] = pixels[common.relative_to(tile.start).slices]
        return result
