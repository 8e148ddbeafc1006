"""An ordinary training run on all that is labelled, as `biounet train` makes it: calibrated, tuned, with a report."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from biounet.config import RunConfig
from biounet.config.resolve import resolve_settings
from biounet.config.tasks import TASKS
from biounet.data.normalize import NORMALIZATIONS
from biounet.data.training_set import TrainingSet
from biounet.report.run_report import RunReport
from biounet.training.auto_settings import choose_normalization
from biounet.training.distributed import make_fabric
from biounet.training.monitor import Watch, train_run
from biounet.training.prepare import fit_to_data
from biounet.training.run import TrainingRun
from biounet.training.starting_model import StartingModel
from biounet.workspace.examples import Examples
from biounet.workspace.project import Project

__all__ = ["FollowedRun", "finish_run"]


class FollowedRun:
    """Monitor of a run that somebody follows in the page.

    Parameters
    ----------
    tell : is told the share that is done, the seconds that are left (None: not known yet), and a few words
    stop : () -> why the run is to stop now, or nothing
    """

    again = ""

    def __init__(self, tell: Callable[[float, float | None, str], None], stop: Callable[[], str]) -> None:
        self._tell, self._stop = tell, stop
        self.lines: list[str] = []
        """What was said of the run."""

    def say(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)

    @contextmanager
    def watch(self, *, is_main_process: bool) -> Iterator[Watch]:
        """Tell of the steps, twice a second."""
        began, told, before = time.monotonic(), 0.0, 0.0

        def look(share: float, text: str) -> str:
            nonlocal began, told, before
            now = time.monotonic()
            if share < before:  # the steps are made: the end of the run begins
                began, told = now, 0.0
            before = share
            if now - told > 0.5:
                told = now
                self._tell(share, (now - began) * (1 - share) / share if share > 0.01 else None, text)
            return self._stop()

        yield look


def finish_run(
    project: Project,
    folder: Path,
    monitor: FollowedRun,
    *,
    minutes: float,
    device: str = "auto",
    init: str | Path | None = None,
) -> bool:
    """Train a network on all that is labelled, into a run folder; return whether the run came to its end.

    Parameters
    ----------
    project : Project
    folder : Path
        New.
    monitor : FollowedRun
    minutes : budget of the run
    device : auto, cpu, cuda or cuda:N
    init : model file, run folder or name of a shipped model to begin with

    Raises
    ------
    LabelError
        If nothing is labelled.
    ConfigError, OutputError, TrainingError
        As `biounet.train`.
    """
    began = time.monotonic()
    target = TASKS[project.settings.kind].target
    start = None if init is None else StartingModel.of(init)
    if start is not None:
        start.check_images((1, 1, 1), target)
    config = resolve_settings({"train.target": target}, minutes=minutes, start=start.settings if start else {})
    config, data, reasons = _prepared(project, config, target)
    normalization = NORMALIZATIONS[config.train.normalization]
    fabric = make_fabric(device, config.train.precision)
    run = TrainingRun(config, data, normalization, folder, fabric, began, reasons)
    return not train_run(run, monitor, write_report=RunReport())


def _prepared(project: Project, config: RunConfig, target: str) -> tuple[RunConfig, TrainingSet, dict[str, str]]:
    """Images of the run, and settings completed by them."""
    data = _divided(Examples(project, NORMALIZATIONS["z-score"], target))
    config, reasons = choose_normalization(config, data)
    if config.train.normalization != "z-score":
        data = _divided(Examples(project, NORMALIZATIONS[config.train.normalization], target))
    return fit_to_data(config, data), data, reasons


def _divided(examples: Examples) -> TrainingSet:
    """All that is labelled, a sixth of the images held out; of a single region its last quarter."""
    share = RunConfig().train.validation
    assert isinstance(share, float)
    data = examples.training_set(held_out=share)
    if data.validation or not data.train:
        return data
    (whole,) = (each.read() for each in data.train)
    rows = whole.target.shape[-2]
    cut = rows - rows // 4
    parts = [[whole.cropped(slice(0, cut))], [whole.cropped(slice(cut, rows))]]
    note = f"one region is labelled: its last {rows - cut} of {rows} rows are held out; label another one"
    return TrainingSet(parts[0], parts[1], data.kind, [note], data.target)
