"""A run that somebody follows: what is said and reported while it trains, and how it is stopped."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from biounet.core.errors import BiounetError, OutputError, TrainingError
from biounet.training.announcements import (
    LOG,
    Loud,
    announce,
    chosen,
    class_names,
    how_good,
    in_short,
    report_line,
    tell_share,
    tell_unlabelled,
)
from biounet.training.distributed import broadcast, connected
from biounet.training.loop import Step
from biounet.training.run import TrainingRun
from biounet.training.shipped_trial import warn_of_few_images
from biounet.training.tensorboard import TensorBoardWriter

__all__ = [
    "NOTHING",
    "Monitor",
    "Page",
    "PrintingMonitor",
    "StoppedError",
    "Watch",
    "WriteReport",
    "follow",
    "train_run",
]


Watch = Callable[[float, str], str]
"""(share of the steps that are made, a few words) -> why the run is to stop now, or nothing.

Once all steps are made, the share begins anew: it is that of the end of the run, which nothing stops."""


class Monitor(Protocol):
    """Somebody who follows a run: a terminal, a notebook, a window."""

    @property
    def again(self) -> str:
        """How to go on with the run if it stops: a command, or a line of Python."""

    def say(self, line: str) -> None:
        """Take a line about the run; a `biounet.training.announcements.Loud` one must not be missed."""

    def watch(self, *, is_main_process: bool) -> AbstractContextManager[Watch]:
        """Follow the steps while the block runs; of several processes the main one alone asks, after every step."""


@dataclass(frozen=True)
class PrintingMonitor:
    """A monitor that prints lines, and never stops the run.

    Parameters
    ----------
    again : how to go on with the run if it stops
    say : what is done with a line
    """

    again: str
    say: Callable[[str], None] = print

    @contextmanager
    def watch(self, *, is_main_process: bool) -> Iterator[Watch]:
        """Follow the steps without a word."""
        yield lambda share, text: ""


class StoppedError(TrainingError):
    """A run was stopped by its monitor; its state and the best network so far are written."""


class WriteReport(Protocol):
    """A writer of the page of a run."""

    def __call__(self, experiment: TrainingRun, *, finished: bool, stopped: str, again: str) -> dict[str, str]:
        """Write the page as the run stands; return what looks wrong with the run, by name."""


NOTHING = "nothing found"
"""Name of the finding that a finished model finds nothing, which must not be missed."""


class Page:
    """The report of a run while the block runs; if the block ends with an error, or by Ctrl-C, the page says so.

    Parameters
    ----------
    run : TrainingRun
    write_report : WriteReport
        None: there is no page.
    again : how to go on with the run
    """

    def __init__(self, run: TrainingRun, write_report: WriteReport | None, again: str) -> None:
        self.step = 0
        """The last step that was made; before the first one, the folder may be that of another run."""
        self._run, self._write_report, self._again = run, write_report, again

    @property
    def path(self) -> Path | None:
        """Where the page is written; None without one."""
        return None if self._write_report is None else self._run.folder / "report.html"

    def write(self, *, finished: bool = False, stopped: str = "") -> dict[str, str]:
        """Write the page as the run stands; return what looks wrong with the run."""
        if self._write_report is None:
            return {}
        return self._write_report(self._run, finished=finished, stopped=stopped, again=self._again)

    def __enter__(self) -> "Page":
        """Begin with nothing: the first step writes the first page."""
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Say why the run did not come to its end."""
        if error is None or not self.step:
            return
        why = str(error) if isinstance(error, BiounetError) else f"{type(error).__name__}: {error}"
        if isinstance(error, KeyboardInterrupt):
            why = "Ctrl-C ended it at once"
        if isinstance(error, TrainingError):
            self._again = ""  # its message says what to do
        with suppress(Exception):  # the first error is the one that counts
            self.write(stopped=f"After step {self.step:,}: {why}")


def train_run(
    run: TrainingRun,
    monitor: Monitor,
    *,
    resume: bool = False,
    tensorboard: bool = False,
    write_report: WriteReport | None = None,
) -> str:
    """Train a run from the settings that are still open to its end; return why the monitor stopped it, or nothing.

    Parameters
    ----------
    run : TrainingRun
    monitor : Monitor
        Hears of the settings that are chosen, of every validation, and of what looks wrong.
    resume : bool
        Go on with the run in its folder.
    tensorboard : bool
        Write curves for TensorBoard, too.
    write_report : WriteReport
        None: no page is written, and nobody looks for what is wrong.

    Raises
    ------
    OutputError, TrainingError
        If the folder cannot take the run, or the run cannot go on.
    """
    if run.is_main_process:
        announce(run.data, monitor.say)
        config, data = run.config, run.data
        for note in run.start.notes(config, data) if run.start else warn_of_few_images(config.model, data):
            monitor.say(f"note: {note}")
        run.check_folder(resume=resume)
    with run.holding():
        images = {*run.config.train.auto, "train.normalization"}  # settings that follow from them
        for name, reason in run.choose_settings().items():
            if run.is_main_process and name in images:
                LOG.info("%s", chosen(run.config, name, reason))
            elif run.is_main_process:
                monitor.say(chosen(run.config, name, reason))
        if run.unlabelled and run.is_main_process:
            monitor.say(f"note: {tell_unlabelled(run.config, run.unlabelled)}")
        return follow(run, monitor, resume=resume, tensorboard=tensorboard, write_report=write_report)


def follow(
    run: TrainingRun,
    monitor: Monitor,
    *,
    resume: bool = False,
    tensorboard: bool = False,
    write_report: WriteReport | None = None,
) -> str:
    """Train a run whose settings are complete, see `train_run`."""
    steps = run.run(resume=resume)
    with monitor.watch(is_main_process=run.is_main_process) as watch:
        if run.is_main_process:
            writer = TensorBoardWriter(run.folder if tensorboard else None)
            with writer, Page(run, write_report, monitor.again) as page, connected(), _closed_after_errors(steps):
                why = _lead(run, steps, monitor.say, watch, writer, page)
            broadcast(run.fabric, bool(why))
            return why
        for _ in steps:
            pass
        return "the main process was stopped" if broadcast(run.fabric, 0) else ""


@contextmanager
def _closed_after_errors(steps: Generator[Step]) -> Iterator[None]:
    """Context of the steps of a run: an error from elsewhere ends them, and is the one that counts."""
    try:
        yield
    except BaseException:
        with suppress(OutputError, TrainingError):  # the state cannot be written either
            steps.close()
        raise


def _lead(
    run: TrainingRun,
    steps: Generator[Step],
    say: Callable[[str], None],
    watch: Watch,
    writer: TensorBoardWriter,
    page: Page,
) -> str:
    """Make the steps in the main process, say how the run stands, and keep its page."""
    why, score, told = "", "", warn_of_unlabelled(run, say)
    names = class_names(run.config, run.data.task)

    def show_end(share: float, text: str) -> None:
        watch(share, text)

    run.show_end = show_end
    for step in steps:
        if step.note:
            say(f"note: {step.note}")
        if step.report is not None:
            score = in_short(step.report, run.result) if run.validation.has_labels else ""
            say(report_line(step.report, run.result, names))
            writer.add(step.report)
        if step.report is not None or not page.step:  # the first page takes the place of one that says "stopped"
            told |= tell_new(page.write(), told, say)
        if not page.step and page.path:
            say(f"watch: {page.path}")
        page.step = step.number
        loss = f" loss {step.loss:.4f}" if math.isfinite(step.loss) else ""
        why = watch(step.progress, f"step {step.number}{loss}{score}")
        if why:
            steps.close()  # writes the state, and a model if there is none yet
    if run.share is not None and (way := tell_share(run.share, str(run.config.train.init))):
        say(way)
    if run.calibration is not None:
        LOG.info("%s", run.calibration)
    if (run.share is not None or run.calibration is not None) and (good := how_good(run.result, names)):
        say(f"the finished model {good}")
    if why:
        page.write(stopped=f"After step {page.step:,}: {why}. The state is written.")
    elif page.step or run.calibration is not None:
        tell_new(page.write(finished=True), told, say)
    return why


def warn_of_unlabelled(run: TrainingRun, say: Callable[[str], None]) -> set[str]:
    """Say before the first step if no score will tell anything; return the name of this finding."""
    if not run.validation.images or run.validation.has_labels:
        return set()
    say(
        "note: no pixel of the held-out images is labelled, so no score tells which network is best, and the last one "
        "is kept; label some pixels there, or hold out others with --validation"
    )
    return {"unlabelled"}


def tell_new(findings: dict[str, str], told: set[str], say: Callable[[str], None]) -> set[str]:
    """Say what looks wrong and was not told before; return the names of these findings."""
    new = findings.keys() - told
    for name, sentence in findings.items():
        if name in new:
            say(Loud(sentence) if name == NOTHING else f"note: {sentence}")
    return new
