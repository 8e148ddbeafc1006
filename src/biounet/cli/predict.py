"""What `biounet predict` does: say the plan, show progress, choose who computes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

from biounet.cli.progress import progress, say
from biounet.cluster import join_scheduler, local_workers
from biounet.errors import ConfigError, MemoryBudgetError
from biounet.plan import parse_bytes
from biounet.predict import predict_files, run_here

__all__ = ["run_prediction"]


def run_prediction(
    model: Path,
    inputs: list[Path],
    out: Path,
    *,
    memory: str,
    workers: int | None,
    scheduler: str | None,
    **options: Any,
) -> list[Path]:
    """Predict files as `biounet.predict.predict_files` does, here or on workers."""
    if workers is not None and scheduler is not None:
        raise ConfigError("give either --workers or --scheduler, not both")
    for name, value in (("--workers", workers), ("--tile", options["tile"]), ("--batch", options["batch"])):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    budget, processes = parse_bytes(memory), workers or 1
    where: Any = nullcontext(run_here)
    if scheduler is not None:
        where = join_scheduler(scheduler)
    elif processes > 1:
        where = local_workers(processes)
    options |= {"memory": budget, "processes": processes}
    with _terminated_as_interrupted(), where as run, progress("predicting") as show:
        try:
            return predict_files(model, inputs, out, run=run, report=say, progress=show, **options)
        except MemoryBudgetError as error:
            if processes == 1:
                raise
            raise MemoryBudgetError(f"for each of {processes} workers, {error}") from error


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let a polite kill end the run as Ctrl-C does, so that files that are not complete vanish."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
