"""Sums of probabilities, from which the confidence of objects is computed when all frames are predicted."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biounet.core.array_store import ArrayFolder
from biounet.core.atomic_files import hidden_name, sayable
from biounet.measurement import ForegroundSums

__all__ = ["KeptSums"]


@dataclass(frozen=True)
class KeptSums:
    """Sums of the probability of the foreground in each object of each frame of a label file.

    A sum takes 16 bytes. All lie in a hidden folder beside the file, so a run that was stopped keeps the sums of the
    frames that it finished.

    Parameters
    ----------
    labels : Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = KeptSums(Path(folder) / "cells.tif")
    ...     for frame in range(2):
    ...         kept.keep(frame, ForegroundSums(np.array([1, 2]), np.array([0.5, 3.0])))
    ...     [sums.sums.tolist() for sums in kept.of(2)], kept.of(1, sections=2)[0].sums.tolist(), kept.of(3)
    ([[0.5, 3.0], [0.5, 3.0]], [1.0, 6.0], None)
    """

    labels: Path

    @property
    def folder(self) -> Path:
        """The hidden folder."""
        return self.labels.absolute().with_name(f".{self.labels.name}.confidence")

    def begin(self) -> None:
        """Make the folder, by which a later run knows that the sums of every finished frame are kept."""
        with sayable(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def begun(self) -> bool:
        """Whether the run that began the labels keeps sums."""
        return self.folder.is_dir()

    def has(self, frame: int) -> bool:
        """Whether the sums of a frame are kept."""
        return (frame,) in ArrayFolder(self.folder)

    def keep(self, frame: int, sums: ForegroundSums) -> None:
        """Keep the sums of a frame, whose objects are numbered as in the file.

        Raises
        ------
        OutputError
            When the disk is full.
        """
        rows = np.empty(len(sums.labels), [("label", np.int64), ("sum", np.float64)])
        rows["label"], rows["sum"] = sums.labels, sums.sums
        ArrayFolder(self.folder)[frame,] = rows

    def of(self, frames: int, *, sections: int = 1) -> list[ForegroundSums] | None:
        """Sums of all frames, or None if the sums of any frame are not there.

        Parameters
        ----------
        frames : number of frames in the file
        sections : number of frames that were predicted one by one and are one frame of the file
        """
        arrays = ArrayFolder(self.folder)
        if any((number,) not in arrays for number in range(frames * sections)):
            return None
        parts = [arrays[number,] for number in range(frames * sections)]
        sums = [ForegroundSums(part["label"], part["sum"]) for part in parts]
        return [ForegroundSums.joined(sums[first : first + sections]) for first in range(0, len(sums), sections)]

    def forget(self) -> None:
        """Delete all sums; all are there, or none, whenever the process is killed."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder.replace(hidden_name(self.labels)))
