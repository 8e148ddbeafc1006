"""Frames on disk while they are predicted: a file for each tile, absent or complete."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.array_store import ArrayFolder
from biounet.core.boxes import Box
from biounet.segmentation.regions import Regions

__all__ = ["TileFiles"]


@dataclass(frozen=True)
class TileFiles:
    """One frame on disk: a `biounet.core.boxes.Writer` of whole tiles, and a `biounet.core.boxes.Reader` of any region.

    Parameters
    ----------
    folder : Path
        It must exist; several frames and several processes may share it.
    frame : int
    shape : pixels per spatial axis of the frame
    step : pixels per spatial axis of a tile
    dtype : of the pixels
    durable : whether files are whole even after a loss of power, as a later run needs them that goes on

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = TileFiles(Path(folder), 0, shape=(1, 5), step=(1, 3))
    ...     files.write(Box((0, 0), (1, 3)), np.array([[1, 2, 3]], np.uint8))
    ...     files.write(Box((0, 3), (1, 5)), np.array([[4, 5]], np.uint8))
    ...     files.read(Box((0, 2), (1, 4)))
    array([[3, 4]], dtype=uint8)
    """

    folder: Path
    frame: int
    shape: tuple[int, ...]
    step: tuple[int, ...]
    dtype: type[np.generic] = np.uint8
    durable: bool = True

    @property
    def boxes(self) -> Iterator[Box]:
        """Boxes of the tiles, in row-major order."""
        regions = Regions(self.shape, self.step)
        return (regions.box(index) for index in regions)

    def holds(self, box: Box) -> bool:
        """Whether the file of the tile with this box is there."""
        return self._key(box) in ArrayFolder(self.folder)

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels (*spatial) of a whole tile.

        Raises
        ------
        OutputError
            When the disk is full.
        """
        ArrayFolder(self.folder, durable=self.durable)[self._key(box)] = np.ascontiguousarray(array, self.dtype)

    def read(self, box: Box) -> NDArray[Any]:
        """Pixels (*spatial) of a region, of which all tiles must be there.

        Raises
        ------
        KeyError
            If a tile is not there.
        """
        arrays, regions, result = (
            ArrayFolder(self.folder),
            Regions(self.shape, self.step),
            np.empty(box.shape, self.dtype),
        )
        sides = zip(box.start, box.stop, self.step, strict=True)
        for index in product(*(range(start // step, -(-stop // step)) for start, stop, step in sides)):
            tile = regions.box(index)
            common = Box(
                tuple(map(max, box.start, tile.start)),
                tuple(map(min, box.stop, tile.stop)),
            )
            pixels = arrays[self.frame, *index]
            result[common.relative_to(box.start).slices] = pixels[common.relative_to(tile.start).slices]
        return result

    def at(self, frame: int) -> "TileFiles":
        """Files of another frame of the same shape."""
        return replace(self, frame=frame)

    def forget(self) -> None:
        """Delete the files of the frame."""
        for box in self.boxes:
            ArrayFolder(self.folder).pop(self._key(box), None)

    def _key(self, box: Box) -> tuple[int, ...]:
        """Key of a tile: the frame, then the position in the grid of tiles."""
        return (self.frame, *(start // step for start, step in zip(box.start, self.step, strict=True)))
