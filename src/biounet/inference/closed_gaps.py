"""Frames in which gaps are closed region by region, once all their tiles are predicted; then they are written."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.array_store import ArrayFolder
from biounet.core.boxes import Box
from biounet.inference.job import Job
from biounet.inference.object_numbers import REGION_MEMORY, number_objects
from biounet.inference.tile_files import TileFiles
from biounet.inference.tile_store import TileStore
from biounet.segmentation import close_gaps_out_of_core, region_size

__all__ = ["write_closed"]


def write_closed(store: TileStore, frame: int, *, memory: int = REGION_MEMORY) -> None:
    """Close gaps in a frame of which all tiles are stored, and write it, or its numbered objects, into the result.

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
    with TemporaryDirectory(dir=store.folder) as fragments, TemporaryDirectory(dir=store.folder) as closed:
        keep = ArrayFolder(Path(fragments))
        if store.job.numbers_objects:
            elevation = TileFiles(Path(closed), frame, foreground.shape, region, durable=False)
            writer = _Encoded(store.job, lambda box, pixels: elevation.write(box, pixels[0]))
            close_gaps_out_of_core(foreground, writer, region=region, keep=keep)
            number_objects(store, frame, elevation, memory=memory)
        else:
            writer, done = _Encoded(store.job, partial(store.write, frame)), partial(store.is_written, frame)
            close_gaps_out_of_core(foreground, writer, region=region, keep=keep, done=done)
    foreground.forget()


@dataclass(frozen=True)
class _Encoded:
    """A `biounet.core.boxes.Writer` of the probability of the foreground, which puts pixels where they are kept.

    job : Job, which encodes pixels (C, *spatial)
    put : (box, pixels) -> None
    """

    job: Job
    put: Callable[[Box, NDArray[Any]], None]

    def write(self, box: Box, array: NDArray[np.float32]) -> None:
        """Write a region as it is kept: probabilities, classes, or an elevation map."""
        self.put(box, self.job.encode_foreground(array))
