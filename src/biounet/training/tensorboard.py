"""Curves of a run in TensorBoard, for those who watch several runs side by side."""

import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from biounet.core.errors import need
from biounet.training.loop import Report

__all__ = ["TensorBoardWriter"]


class TensorBoardWriter:
    """Writes every report of a run as TensorBoard scalars.

    Parameters
    ----------
    folder : Path
        Of the run; events go into ``tensorboard/`` in it. None: nothing is written.

    Raises
    ------
    MissingExtraError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.writer: Any = None
        if folder is not None:
            need("tensorboard")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.writer is not None:
            self.writer.close()

    def add(self, report: Report) -> None:
        """Write loss, learning rate and scores of a report; scores that are no numbers are left out."""
        if self.folder is None:
            return
        if self.writer is None:  # not before, since a run must begin in an empty folder
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.folder / "tensorboard"))
        values = {"training/loss": report.loss, "training/learning_rate": report.learning_rate}
        values |= {f"validation/{name}": value for name, value in report.scores.items()}
        for name, value in values.items():
            if math.isfinite(value):
                self.writer.add_scalar(name, value, report.step)
        self.writer.flush()
