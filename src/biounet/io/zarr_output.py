"""OME-Zarr that is written by region: chunks that are there show how far a run came."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import put_folder, sayable
from biounet.core.boxes import Box
from biounet.core.errors import OutputError, ShapeError
from biounet.io.ome_metadata import parse
from biounet.io.pyramid import halve
from biounet.io.zarr_layout import OURS, Ours, check_array, check_metadata, chunks_of, is_whole, metadata_for_writing
from biounet.io.zarr_store import zarr_library

__all__ = ["ZarrOutput"]


class ZarrOutput:
    """An OME-Zarr image as a `biounet.io.LazyOutput`, of whole chunks: each is absent or complete.

    Unlike other formats it has its name from the beginning, and stays after an error, so that another
    run can go on. Until it is complete, `open_lazily` refuses it.

    Parameters
    ----------
    path : Path
        Where it lies.
    target : Path
        An image that it replaces when it is complete.
    """

    def __init__(self, path: Path, *, target: Path | None = None) -> None:
        self.path, self._target = path, target
        with metadata_for_writing(path), zarr_library().config.set({"array.write_empty_chunks": True}):
            check_metadata(path)
            self._group = zarr_library().open(path, mode="r+")
            multiscale = parse(self._group.attrs, path=path) if hasattr(self._group, "members") else None
            if multiscale is None:
                raise OutputError(f"{path} is no OME-Zarr image that was begun; give another name")
            if OURS not in self._group.attrs:
                raise OutputError(f"{path} was not written by biounet, so it cannot be resumed; give another name")
            self._ours = Ours.of(self._group, path)
            self._levels = [self._group[str(level)] for level in range(multiscale.levels)]
            for level in self._levels:
                check_array(level, path)
        self.axes = multiscale.axes
        self.shape: tuple[int, ...] = self._levels[0].shape
        self.dtype: np.dtype[Any] = self._levels[0].dtype
        self.chunks: tuple[int, ...] = self._levels[0].chunks

    def holds(self, box: Box) -> bool:
        """Whether all chunks of a region are there, written by this run or an earlier one."""
        return all(self._file(0, chunk).exists() for chunk in chunks_of(box, self.chunks))

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels of a region that consists of whole chunks.

        Raises
        ------
        OutputError
            If the disk is full.
        ShapeError
            If the region cuts a chunk: its rest would be lost when a run is killed.
        """
        if not is_whole(box, self.chunks, self.shape):
            raise ShapeError(f"{self.path}: the region {box} must consist of whole chunks of {self.chunks} pixels")
        if array.shape != box.shape:
            raise ShapeError(f"{self.path}: a region of shape {box.shape} came with {array.shape} pixels")
        with sayable(self.path):
            self._levels[0][box.slices] = array

    def complete(self) -> None:
        """Add the smaller levels, chunk by chunk, mark the store as complete, and put it in place of another."""
        with sayable(self.path):
            for level in range(1, len(self._levels)):
                self._shrink(level)
            if not self._group.attrs[OURS]["complete"]:  # as that of a run that is resumed may be
                self._group.attrs[OURS] = self._ours.model_copy(update={"complete": True}).written
            if self._target is not None:
                put_folder(self.path, self._target)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.complete()

    def _shrink(self, level: int) -> None:
        """Compute a level from the one before; chunks that are there stay."""
        fine, coarse = self._levels[level - 1], self._levels[level]
        steps = [1 if a == b else 2 for a, b in zip(fine.shape, coarse.shape, strict=True)]
        whole = Box((0,) * coarse.ndim, coarse.shape)
        for chunk in chunks_of(whole, coarse.chunks):
            if self._file(level, chunk).exists():
                continue
            start = [index * size for index, size in zip(chunk, coarse.chunks, strict=True)]
            stop = [min(a + n, end) for a, n, end in zip(start, coarse.chunks, coarse.shape, strict=True)]
            source = tuple(slice(a * step, b * step) for a, b, step in zip(start, stop, steps, strict=True))
            coarse[Box(tuple(start), tuple(stop)).slices] = halve(
                np.asarray(fine[source]), steps, labels=self._ours.labels
            )

    def _file(self, level: int, chunk: tuple[int, ...]) -> Path:
        """Where a chunk lies."""
        return self.path / str(level) / str(self._levels[level].metadata.encode_chunk_key(chunk))
