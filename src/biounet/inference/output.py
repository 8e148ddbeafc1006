"""Results of prediction: files that are written tile by tile."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from biounet.core.array_store import ArrayFolder
from biounet.core.atomic_files import sayable
from biounet.core.boxes import Box, Reader
from biounet.core.errors import OutputError
from biounet.data.results import label_type
from biounet.inference.job import OpenJob, Task
from biounet.inference.record import write_record
from biounet.inference.slice_store import Section
from biounet.inference.tile_store import KeptSums
from biounet.io import LazyOutput, ResumableOutput, create, format_of
from biounet.measurement import ForegroundSums
from biounet.segmentation import label_out_of_core, region_size
from biounet.segmentation.regions import Regions

__all__ = ["NUMBERING", "Result"]


NUMBERING = 128 * 2**20
"""Bytes for a region of which objects are made at a time."""


class Result:
    """The result of a job on its way into a file.

    Only some formats can be resumed, see `biounet.io.Format`: these keep whole chunks, each of which lies in one tile.
    Beside them lies `RECORD`, which tells how they were made; so what is added later is made in the same way.

    Parameters
    ----------
    job : OpenJob, cut into tiles
    path : Path
    chunk : pixels per spatial axis of chunks, where the format has some
    overwrite, resume : bool

    Raises
    ------
    OutputError
        If the file exists, cannot be written, or its format cannot hold such a result.
    """

    def __init__(
        self, job: OpenJob, path: Path, chunk: Sequence[int], *, overwrite: bool = False, resume: bool = False
    ) -> None:
        self._job = job
        self._objects = job.save_objects
        shape, axes, spacing = job.shape, job.axes, job.image.spacing
        usual = np.dtype(np.uint32) if self._objects else job.dtype
        dtype = usual if job.saves_floats else label_type(path, usual)
        self._name, self._most = path.name, 0 if job.saves_floats else int(np.iinfo(dtype).max)
        self._chunk = tuple(chunk)
        self._output: LazyOutput
        self.path: Path | None = None
        self._elevations = path.absolute().with_name(f".{path.name}.elevation")
        sizes = dict(zip(job.spatial_axes, chunk, strict=True))
        chunks = [min(sizes.get(axis, 1), size) for axis, size in zip(axes, shape, strict=True)]
        self._output = create(
            path, shape=shape, dtype=dtype, axes=axes, spacing=spacing, chunks=chunks, labels=not job.saves_floats,
            overwrite=overwrite, resume=resume,
        )  # fmt: skip
        if format_of(path).resumable:
            write_record(path, job)
            self.path = self._elevations if self._objects else path.absolute()
        self._sums = KeptSums.beside(path)
        if self._objects:
            if not resume or self.path is None:
                shutil.rmtree(self._elevations, ignore_errors=True)
                self._sums.forget()
            with sayable(path):
                self._elevations.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> int:
        """Number of tiles that are still to be computed."""
        frames = range(len(self._job.frames))
        return sum(not self._holds_tile(frame, index) for frame in frames for index in self._job.indices())

    def rounds(self) -> Iterator[Iterator[Task]]:
        """Tasks that are not done yet, in rounds; what follows from a whole round is done when the next begins."""
        frames = range(len(self._job.frames))
        if not self._objects:
            every = (task for frame in frames for task in self._job.tasks(frame))
            yield (task for task in every if not self._holds_tile(task.frame, task.index))
            return
        for frame in frames:
            if not self._holds(self._whole(frame)):
                yield (task for task in self._job.tasks(frame) if not self._holds_tile(frame, task.index))
                self._number(frame)

    def _number(self, frame: int) -> None:
        """Make the objects of a frame whose elevation map is complete, region by region."""
        elevation, rules = self._job.elevation(self._elevations, frame), self._job.card.object_rules
        region = region_size(elevation.shape, NUMBERING, multiple=self._chunk)
        regions = Regions(elevation.shape, region)
        boxes = [regions.box(index) for index in regions]
        foreground = self._job.foreground(self._elevations, frame) if self._job.job.confidence else None
        writer = _FrameWriter(self._output, lambda box: self._place(frame, box), self._name, self._most, foreground)
        z = dict(self._job.frames[frame].position).get("Z")

        def done(box: Box) -> bool:
            return foreground is None and self._holds(self._place(frame, box))

        with TemporaryDirectory(dir=self._elevations) as seeds:
            keep = ArrayFolder(Path(seeds))
            if z is None:
                label_out_of_core(elevation, writer, rules, region=region, keep=keep, done=done)
            else:
                section = Section(self._sections(), frame, z == 0, boxes)
                objects = label_out_of_core(elevation, section, rules, region=region, keep=keep)
                section.number(objects, link=self._job.job.link)
                for box in boxes:
                    if not done(box):
                        writer.write(box, section.read(box))
                section.forget_above()
        if foreground is not None:
            self._sums.keep(frame, ForegroundSums.joined(writer.sums))
            shutil.rmtree(foreground.folder)

    def _sections(self) -> Path:
        """Folder for objects of sections."""
        folder = self._elevations / "sections"
        folder.mkdir(exist_ok=True)
        return folder

    def store(self, task: Task, pixels: NDArray[Any]) -> None:
        """Put the pixels (C, *spatial) of a task where they belong."""
        if self._objects:
            self._job.keep(self._elevations, task, pixels)
        else:
            box = self._place(task.frame, self._job.tile(task).output)
            self._output.write(box, np.ascontiguousarray(pixels).reshape(box.shape))

    def _whole(self, frame: int) -> Box:
        """Where a frame lies in the output."""
        shape = self._job.tiles.shape
        return self._place(frame, Box((0,) * len(shape), shape))

    def _place(self, frame: int, box: Box) -> Box:
        return self._job.place(frame, box, self._output.axes)

    def _holds_tile(self, frame: int, index: tuple[int, ...]) -> bool:
        if self._objects:
            return self._job.kept(self._elevations, frame, index) or self._holds(self._whole(frame))
        return self._holds(self._place(frame, self._job.tiles.tile(index).output))

    def _holds(self, box: Box) -> bool:
        return isinstance(self._output, ResumableOutput) and self._output.holds(box)

    def __enter__(self) -> Self:
        self._output.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._output.__exit__(kind, *error)
        if self._objects and (kind is None or self.path is None):  # else another run goes on with it
            shutil.rmtree(self._elevations, ignore_errors=True)
        if kind is not None and self.path is None:
            self._sums.forget()


@dataclass(frozen=True)
class _FrameWriter:
    """A frame of an output as a `biounet.core.boxes.Writer`, spatial axes only."""

    output: LazyOutput
    place: Callable[[Box], Box]
    name: str
    most: int
    """The largest number that the type of the output holds."""
    foreground: Reader | None = None
    """How probable it is: then `sums` are taken of what is written."""
    sums: list[ForegroundSums] = field(default_factory=list)

    def write(self, box: Box, array: NDArray[Any]) -> None:
        if array.max(initial=0) > self.most:
            raise OutputError(
                f"{self.name} would have more than {self.most} objects, which {self.most.bit_length()} bits do not "
                "hold; crop the image, or give an --out that does not end in _RES"
            )
        placed = self.place(box)
        self.output.write(placed, array.reshape(placed.shape))
        if self.foreground is not None:
            self.sums.append(ForegroundSums.of(array, self.foreground.read(box)))
