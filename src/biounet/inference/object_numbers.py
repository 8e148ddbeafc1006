"""Numbered objects of a frame whose elevation map is complete, written to the result region by region."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.array_store import ArrayFolder
from biounet.core.boxes import Box
from biounet.core.errors import OutputError
from biounet.inference.sections import number_section
from biounet.inference.tile_files import TileFiles
from biounet.inference.tile_store import TileStore
from biounet.measurement import ForegroundSums
from biounet.segmentation import label_out_of_core, region_size

__all__ = ["REGION_MEMORY", "number_objects", "number_stored"]


REGION_MEMORY = 128 * 2**20
"""Bytes for a region in which objects are numbered at a time."""


def number_stored(store: TileStore, frame: int, *, memory: int = REGION_MEMORY) -> None:
    """Number the objects of a frame of which all tiles are stored as an elevation map; see `number_objects`."""
    number_objects(store, frame, store.elevation(frame), memory=memory)


def number_objects(store: TileStore, frame: int, elevation: TileFiles, *, memory: int = REGION_MEMORY) -> None:
    """Number the objects of a frame, and write them into the result.

    Parameters
    ----------
    store : TileStore
    frame : int
        Sections of a stack come in their order.
    elevation : TileFiles
        The whole elevation map of the frame.
    memory : bytes for a region; the numbers do not depend on it

    Raises
    ------
    OutputError
        If there are more objects than the type of the result holds, or when the disk is full.
    """
    rules = store.job.card.object_rules
    region = region_size(elevation.shape, memory, multiple=store.chunk)
    writer = _ObjectWriter(store, frame)
    z = dict(store.job.frames[frame].position).get("Z")
    with TemporaryDirectory(dir=store.folder) as seeds:
        keep = ArrayFolder(Path(seeds), durable=False)
        if z is None:
            label_out_of_core(elevation, writer, rules, region=region, keep=keep, done=writer.is_done)
        else:
            folder = store.folder / "sections"
            folder.mkdir(exist_ok=True)
            section = TileFiles(folder, frame, elevation.shape, region, np.uint32)
            objects = label_out_of_core(elevation, section, rules, region=region, keep=keep)
            number_section(section, objects, first=z == 0, link=store.job.settings.link)
            for box in section.boxes:
                if not writer.is_done(box):
                    writer.write(box, section.read(box))
        writer.finish()
        if z is not None:  # only now: a run that is killed before numbers this section again
            section.at(frame - 1).forget()


class _ObjectWriter:
    """A frame of a result as a `biounet.core.boxes.Writer` of objects, whose confidence is summed if it is wanted."""

    def __init__(self, store: TileStore, frame: int) -> None:
        self._store, self._frame = store, frame
        self._foreground = store.foreground(frame) if store.job.settings.confidence else None
        self._sums: list[ForegroundSums] = []

    def is_done(self, box: Box) -> bool:
        """Whether an earlier run has written a region, and no sums are taken of it."""
        return self._foreground is None and self._store.is_written(self._frame, box)

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Write the objects of a region."""
        most = self._store.largest_label
        if array.max(initial=0) > most:
            raise OutputError(
                f"{self._store.path.name} would have more than {most} objects, which {most.bit_length()} bits do not "
                "hold; crop the image, or give an --out that does not end in _RES"
            )
        self._store.write(self._frame, box, array)
        if self._foreground is not None:
            self._sums.append(ForegroundSums.of(array, self._foreground.read(box)))

    def finish(self) -> None:
        """Keep the sums, and delete the probabilities that they were taken of."""
        if self._foreground is not None:
            self._store.sums.keep(self._frame, ForegroundSums.joined(self._sums))
            shutil.rmtree(self._foreground.folder)
