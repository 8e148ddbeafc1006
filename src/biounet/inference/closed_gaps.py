"""Frames in which gaps are closed, written to the result region by region once all their tiles are predicted."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from biounet.core.array_store import ArrayFolder
from biounet.core.boxes import Box
from biounet.inference.object_numbers import REGION_MEMORY
from biounet.inference.tile_store import TileStore
from biounet.segmentation import close_gaps_out_of_core, region_size

__all__ = ["write_closed"]


def write_closed(store: TileStore, frame: int, *, memory: int = REGION_MEMORY) -> None:
    """Close gaps in a frame of which all tiles are stored, and write it into the result.

    Parameters
    ----------
    store : TileStore
    frame : int
    memory : bytes for a region; the pixels do not depend on it

    Raises
    ------
    OutputError
        When the disk is full.
    """
    foreground = store.foreground(frame)
    region = region_size(foreground.shape, memory, multiple=store.chunk)
    writer = _EncodedFrame(store, frame)
    with TemporaryDirectory(dir=store.folder) as fragments:
        keep = ArrayFolder(Path(fragments))
        close_gaps_out_of_core(foreground, writer, region=region, keep=keep, done=writer.is_done)
    foreground.forget()


class _EncodedFrame:
    """A frame of a result as a `biounet.core.boxes.Writer` of the probability of the foreground."""

    def __init__(self, store: TileStore, frame: int) -> None:
        self._store, self._frame = store, frame

    def is_done(self, box: Box) -> bool:
        """Whether an earlier run has written a region."""
        return self._store.is_written(self._frame, box)

    def write(self, box: Box, array: NDArray[np.float32]) -> None:
        """Write a region as it is saved: probabilities or classes."""
        self._store.write(self._frame, box, self._store.job.encode_foreground(array))
