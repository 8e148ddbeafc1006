"""The elevation map of an image on disk while tiles are predicted: one file for each, absent or complete."""

import shutil
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.array_store import ArrayFolder
from biounet.core.boxes import Box
from biounet.inference.tiles import TilePlan
from biounet.measurement import ForegroundSums

__all__ = ["KeptSums", "TileStore"]


@dataclass(frozen=True)
class TileStore:
    """The elevation map of one frame: a `biounet.core.boxes.Reader` of what was put there tile by tile.

    Parameters
    ----------
    folder : Path
        It must exist; several frames and several processes may share it.
    frame : int
    tiles : TilePlan
    dtype : of the pixels; bytes of an elevation map, unless what is kept beside it is read

    Examples
    --------
    >>> import tempfile
    >>> from biounet.core.geometry import Geometry
    >>> tiles = TilePlan((1, 5), (1, 3), Geometry((1, 1), (0, 0), (0, 0), padded=True))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     elevation = TileStore(Path(folder), 0, tiles)
    ...     elevation.put((0, 0), np.array([[1, 2, 3]], np.uint8))
    ...     elevation.put((0, 1), np.array([[4, 5]], np.uint8))
    ...     elevation.read(Box((0, 2), (1, 4)))
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


@dataclass(frozen=True)
class KeptSums:
    """Sums of the probability of the foreground in each object of each frame of a label file.

    They take 16 bytes for an object and frame, in a hidden folder beside the file, so that a run that was stopped has
    those of what it finished.

    Parameters
    ----------
    folder : Path

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = KeptSums.beside(Path(folder) / "cells.tif")
    ...     for frame in range(2):
    ...         kept.keep(frame, ForegroundSums(np.array([1, 2]), np.array([0.5, 3.0])))
    ...     [sums.sums.tolist() for sums in kept.of(2)], kept.of(1, sections=2)[0].sums.tolist(), kept.of(3)
    ([[0.5, 3.0], [0.5, 3.0]], [1.0, 6.0], None)
    """

    folder: Path

    @classmethod
    def beside(cls, labels: Path) -> "KeptSums":
        """Those of a label file."""
        return cls(labels.absolute().with_name(f".{labels.name}.confidence"))

    def keep(self, frame: int, sums: ForegroundSums) -> None:
        """Keep the sums of a frame; its objects have the numbers that they have in the file.

        Raises
        ------
        OutputError
            When the disk is full.
        """
        rows = np.empty(len(sums.labels), [("label", np.int64), ("sum", np.float64)])
        rows["label"], rows["sum"] = sums.labels, sums.sums
        ArrayFolder(self.folder)[frame,] = rows

    def of(self, frames: int, *, sections: int = 1) -> list[ForegroundSums] | None:
        """Return the sums of all frames, or none if those of any are not there.

        Parameters
        ----------
        frames : how many the file has
        sections : that were predicted one by one, and are a frame together
        """
        arrays = ArrayFolder(self.folder)
        if any((number,) not in arrays for number in range(frames * sections)):
            return None
        parts = [arrays[number,] for number in range(frames * sections)]
        sums = [ForegroundSums(part["label"], part["sum"]) for part in parts]
        return [ForegroundSums.joined(sums[first : first + sections]) for first in range(0, len(sums), sections)]

    def forget(self) -> None:
        """Delete all that is there."""
        shutil.rmtree(self.folder, ignore_errors=True)
