"""Tiles on disk: the file that a result is written to, and what is kept beside it until the result is complete."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import sayable
from biounet.core.batch import BAD_FILE
from biounet.core.boxes import Box
from biounet.data.results import label_type
from biounet.inference.confidence_sums import KeptSums
from biounet.inference.job import Job, TileTask
from biounet.inference.record import write_record
from biounet.inference.tile_files import TileFiles
from biounet.io import LazyOutput, ResumableOutput, attach, create, format_of

__all__ = ["TileStore"]


class TileStore:
    """The tiles of a job on disk: put in any order, by several processes if `shared`, and found again by a later run.

    Pixels that are saved go into the result itself. Elevation maps, where objects are to be numbered, go into a hidden
    folder beside it until all tiles of a frame are there, see `biounet.inference.object_numbers`.

    Only some formats can be resumed, see `biounet.io.Format`: they keep whole chunks, each of which lies in one tile.
    Beside the chunks lies a record of how they were made, so that chunks that are added later are made in the same way.

    Parameters
    ----------
    job : Job, cut into tiles
    path : Path
        The result.
    output : LazyOutput
        The open result; see `begin` and `attach`.
    chunk : pixels per spatial axis of chunks, where the format has some
    whole : nothing is left of the result if the image turns out to be bad
    """

    def __init__(
        self, job: Job, path: Path, output: LazyOutput, *, chunk: Sequence[int] = (), whole: bool = False
    ) -> None:
        self.job, self.path, self.chunk = job, path.absolute(), tuple(chunk)
        self.folder = self.path.with_name(f".{path.name}.elevation")
        self.sums = KeptSums.beside(path)
        self._output, self._whole = output, whole

    @classmethod
    def begin(
        cls,
        job: Job,
        path: Path,
        chunk: Sequence[int],
        *,
        overwrite: bool = False,
        resume: bool = False,
        whole: bool = False,
    ) -> "TileStore":
        """Store for a result that is begun, or resumed.

        Raises
        ------
        OutputError
            If the file exists, cannot be written, or its format cannot hold such a result.
        """
        shape, axes, spacing = job.shape, job.axes, job.image.spacing
        sizes = dict(zip("ZYX"[-job.net.dims :], chunk, strict=True))
        chunks = [min(sizes.get(axis, 1), size) for axis, size in zip(axes, shape, strict=True)]
        output = create(
            path, shape=shape, dtype=_type(job, path), axes=axes, spacing=spacing, chunks=chunks,
            labels=not job.saves_floats, overwrite=overwrite, resume=resume,
        )  # fmt: skip
        if format_of(path).resumable:
            write_record(path, job)
        store = cls(job, path, output, chunk=chunk, whole=whole)
        if job.numbers_objects:
            if not (resume and store.shared):
                shutil.rmtree(store.folder, ignore_errors=True)
                store.sums.forget()
            with sayable(path):
                store.folder.mkdir(parents=True, exist_ok=True)
        return store

    @classmethod
    def attach(cls, job: Job, path: Path) -> "TileStore":
        """Store that another process has begun, to put tiles there."""
        return cls(job, path, attach(path))

    @property
    def shared(self) -> bool:
        """Whether other processes may `attach` the store, and later runs may resume it."""
        return isinstance(self._output, ResumableOutput)

    @property
    def largest_label(self) -> int:
        """Largest number that the type of the result holds."""
        return int(np.iinfo(_type(self.job, self.path)).max)

    @property
    def left(self) -> int:
        """Number of tiles that are still to be computed."""
        frames = range(len(self.job.frames))
        return sum(not self.holds(frame, tile.output) for frame in frames for tile in self.job.tiles)

    def missing(self, frames: Iterable[int]) -> Iterator[TileTask]:
        """Tiles of frames that are still to be computed."""
        every = (task for frame in frames for task in self.job.tasks(frame))
        return (task for task in every if not self.holds(task.frame, task.tile.output))

    def put(self, task: TileTask, pixels: NDArray[Any]) -> None:
        """Store the pixels (C, *spatial) of a tile, see `Job.encode`."""
        if not self.job.numbers_objects:
            self.write(task.frame, task.tile.output, pixels)
            return
        if self.job.settings.confidence:
            self.foreground(task.frame).write(task.tile.output, pixels[1])
        self.elevation(task.frame).write(task.tile.output, pixels[0])

    def holds(self, frame: int, box: Box) -> bool:
        """Whether all that is wanted of a tile is stored."""
        if not self.job.numbers_objects:
            return self.is_written(frame, box)
        parts = [self.elevation(frame), *([self.foreground(frame)] if self.job.settings.confidence else [])]
        return all(part.holds(box) for part in parts) or self.is_written(frame)

    def elevation(self, frame: int) -> TileFiles:
        """Elevation map of a frame."""
        return TileFiles(self.folder, frame, self.job.tiles.shape, self.job.tiles.step)

    def foreground(self, frame: int) -> TileFiles:
        """Probability of the foreground in a frame, which is kept where the confidence of objects is wanted."""
        return TileFiles(self.folder / "foreground", frame, self.job.tiles.shape, self.job.tiles.step, np.float32)

    def write(self, frame: int, box: Box, pixels: NDArray[Any]) -> None:
        """Write a region of a frame, (C, *spatial) or (*spatial), into the result."""
        place = self._place(frame, box)
        self._output.write(place, np.ascontiguousarray(pixels).reshape(place.shape))

    def is_written(self, frame: int, box: Box | None = None) -> bool:
        """Whether a region of a frame, or the whole frame, is in the result."""
        shape = self.job.tiles.shape
        whole = Box((0,) * len(shape), shape)
        return isinstance(self._output, ResumableOutput) and self._output.holds(self._place(frame, box or whole))

    def _place(self, frame: int, box: Box) -> Box:
        """Where a region of a frame lies in the result."""
        return self.job.frames[frame].place(self._output.axes, box, self.job.channels)

    def __enter__(self) -> Self:
        self._output.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._output.__exit__(kind, *error)
        bad = self._whole and kind is not None and issubclass(kind, BAD_FILE)
        kept = self.shared and not bad  # another run goes on with it
        if self.job.numbers_objects and (kind is None or not kept):
            shutil.rmtree(self.folder, ignore_errors=True)
        if kind is not None and not kept:
            self.sums.forget()
        if bad and self.shared:
            shutil.rmtree(self.path, ignore_errors=True)


def _type(job: Job, path: Path) -> np.dtype[Any]:
    """Type of the pixels of a result."""
    usual = np.dtype(np.uint32) if job.numbers_objects else job.dtype
    return usual if job.saves_floats else label_type(path, usual)
