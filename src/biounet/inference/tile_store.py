"""Predicted tiles on disk: in the file of the result, or in a temporary folder until the objects are numbered."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import remove_parts, sayable
from biounet.core.batch import BAD_FILE
from biounet.core.boxes import Box
from biounet.core.errors import ImageError, OutputError
from biounet.data.results import label_type
from biounet.inference.confidence_sums import KeptSums
from biounet.inference.decoding import meaning_of_output
from biounet.inference.job import Job, TileTask
from biounet.inference.record import RECORD, note_on, write_record
from biounet.inference.tile_files import TileFiles
from biounet.io import LazyOutput, ResumableOutput, attach, create

__all__ = ["TileStore"]


class TileStore:
    """Store for the predicted tiles of an image, which takes tiles in any order and knows which ones are missing.

    Probabilities, classes and predicted images are written into the file of the result. Where objects are to be
    numbered, a tile is an elevation map; where gaps are closed, it is the probability of the foreground. These are kept
    in a hidden folder next to the result until a frame has all its tiles. Then `biounet.inference.object_numbers` or
    `biounet.inference.closed_gaps` writes the frame into the result.

    Results in some formats can be resumed, see `biounet.io.Format`: such a result is stored in chunks, and no chunk
    crosses the edge of a tile. A record beside the chunks holds the settings that the pixels depend on, so that a later
    run predicts the missing tiles with the same settings.

    Parameters
    ----------
    job : Job, cut into tiles
    path : Path
        File of the result.
    output : LazyOutput
        The open file; `begin` and `attach` open it.
    chunk : pixels per spatial axis of the chunks of the file, if its format has chunks
    whole : nothing is left of the result if the image turns out to be bad
    """

    def __init__(
        self, job: Job, path: Path, output: LazyOutput, *, chunk: Sequence[int] = (), whole: bool = False
    ) -> None:
        self.job, self.path, self.chunk = job, path.absolute(), tuple(chunk)
        self.folder = _elevation_folder(path)
        self.sums = KeptSums(path)
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
        """Store that creates the file of the result, or opens it again to resume.

        Raises
        ------
        OutputError
            If the file exists and is neither resumed nor replaced, if it cannot be written, or if its format cannot
            hold such a result.
        """
        shape, axes, spacing = job.shape, job.axes, job.image.spacing
        sizes = dict(zip("ZYX"[-job.net.dims :], chunk, strict=True))
        chunks = [min(sizes.get(axis, 1), size) for axis, size in zip(axes, shape, strict=True)]
        output = create(
            path, shape=shape, dtype=_dtype(job, path), axes=axes, spacing=spacing, chunks=chunks,
            labels=not job.saves_floats, overwrite=overwrite, resume=resume, like=job.settings.input,
            meaning=meaning_of_output(job.card, job.settings.save), note=note_on(job),
        )  # fmt: skip
        store = cls(job, path, output, chunk=chunk, whole=whole)
        if isinstance(output, ResumableOutput):
            remove_parts([output.path / RECORD])
            try:
                write_record(output.path, job)
            except (ImageError, OutputError) as error:  # of a hidden folder; it is known by the name that it will have
                raise type(error)(str(error).replace(output.path.name, path.name)) from error
        if not (resume and store.shared and job.by_frame):
            store.clear(path)
        elif not job.settings.confidence:
            store.sums.forget()
        if job.by_frame:
            with sayable(path):
                store.folder.mkdir(parents=True, exist_ok=True)
        sums = job.numbers_objects and job.settings.confidence
        if sums and not (resume and any(map(store.is_written, range(len(job.frames))))):
            store.sums.begin()
        return store

    @staticmethod
    def clear(path: Path, *, sums: bool = True) -> None:
        """Remove what a run that was killed has left beside a result, and with `sums` what its tables would need."""
        shutil.rmtree(_elevation_folder(path), ignore_errors=True)
        if sums:
            KeptSums(path).forget()

    @classmethod
    def attach(cls, job: Job, path: Path) -> "TileStore":
        """Store of a result that another process has begun, into which this process puts tiles too."""
        return cls(job, path, attach(path))

    @property
    def shared(self) -> bool:
        """Whether other processes can `attach` to the result, and later runs can resume it."""
        return isinstance(self._output, ResumableOutput)

    @property
    def place(self) -> Path:
        """Where the result lies: under its name, or until it is complete beside the result that it replaces."""
        return self._output.path if isinstance(self._output, ResumableOutput) else self.path

    @property
    def largest_label(self) -> int:
        """Largest label that the data type of the result can hold."""
        return int(np.iinfo(_dtype(self.job, self.path)).max)

    @property
    def left(self) -> int:
        """Number of tiles that are missing in all frames."""
        frames = range(len(self.job.frames))
        return sum(not self.holds(frame, tile.output) for frame in frames for tile in self.job.tiles)

    def missing(self, frames: Iterable[int]) -> Iterator[TileTask]:
        """Tiles of some frames that are still to be predicted."""
        tasks = (task for frame in frames for task in self.job.tasks(frame))
        return (task for task in tasks if not self.holds(task.frame, task.tile.output))

    def put(self, task: TileTask, pixels: NDArray[Any]) -> None:
        """Store the pixels (C, *spatial) of a tile, as `Job.encode` makes them."""
        if not self.job.by_frame:
            self.write(task.frame, task.tile.output, pixels)
            return
        for files, channel in zip(self._kept(task.frame), pixels, strict=True):
            files.write(task.tile.output, channel)

    def holds(self, frame: int, box: Box) -> bool:
        """Whether a tile, whose output has this box, need not be predicted again."""
        if not self.job.by_frame:
            return self.is_written(frame, box)
        return all(files.holds(box) for files in self._kept(frame)) or self.is_done(frame)

    def is_done(self, frame: int) -> bool:
        """Whether a whole frame is written, with the sums of the confidence of its objects if the run keeps any."""
        keeps = self.job.settings.confidence and self.sums.begun
        return self.is_written(frame) and (not keeps or self.sums.has(frame))

    def elevation(self, frame: int) -> TileFiles:
        """Elevation map of a frame, a file per tile."""
        return TileFiles(self.folder, frame, self.job.tiles.shape, self.job.tiles.step, durable=self.shared)

    def foreground(self, frame: int) -> TileFiles:
        """Probability of the foreground in a frame, a file per tile."""
        return TileFiles(self.folder / "foreground", frame, self.job.tiles.shape, self.job.tiles.step, np.float32)

    def _kept(self, frame: int) -> list[TileFiles]:
        """What is kept of a frame until it is whole, a file per tile for each channel of `Job.encode`."""
        foreground = [self.foreground(frame)] if self.job.closes_gaps or self.job.settings.confidence else []
        return foreground if self.job.closes_gaps else [self.elevation(frame), *foreground]

    def write(self, frame: int, box: Box, pixels: NDArray[Any]) -> None:
        """Write the pixels of a box of a frame, (C, *spatial) or (*spatial), into the result."""
        target = self._box_in_result(frame, box)
        self._output.write(target, np.ascontiguousarray(pixels).reshape(target.shape))

    def is_written(self, frame: int, box: Box | None = None) -> bool:
        """Whether the result has the pixels of a box, by default of the whole frame; False if it cannot be resumed."""
        shape = self.job.tiles.shape
        target = self._box_in_result(frame, box or Box((0,) * len(shape), shape))
        return isinstance(self._output, ResumableOutput) and self._output.holds(target)

    def _box_in_result(self, frame: int, box: Box) -> Box:
        """Box of the result, which may have axes T and C, that holds a box of a frame."""
        return self.job.frames[frame].place(self._output.axes, box, self.job.channels)

    def __enter__(self) -> Self:
        self._output.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        bad = self._whole and kind is not None and issubclass(kind, BAD_FILE)
        kept = self.shared and not bad  # another run goes on with it
        if kind is None or not kept:  # before the result is complete: nothing is ever left beside it
            self.clear(self.path, sums=kind is not None)
        self._output.__exit__(kind, *error)
        if bad and isinstance(self._output, ResumableOutput):
            shutil.rmtree(self._output.path, ignore_errors=True)


def _elevation_folder(path: Path) -> Path:
    """Where the elevation maps of a result lie until its objects have numbers."""
    return path.absolute().with_name(f".{path.name}.elevation")


def _dtype(job: Job, path: Path) -> np.dtype[Any]:
    """Data type of a result; of labels it may depend on the name of the file, see `label_type`."""
    usual = np.dtype(np.uint32) if job.numbers_objects else job.dtype
    return usual if job.saves_floats else label_type(path, usual)
