"""A run as a person follows it: progress, a line and a page per report, what looks wrong, and how it stops."""

import math
from contextlib import suppress
from types import TracebackType

from biounet.cli.progress import progress, say
from biounet.cli.signals import stop_between_steps, wait_for_the_first
from biounet.core.errors import BiounetError, TrainingError
from biounet.report.run_report import report
from biounet.training.distributed import broadcast, connected
from biounet.training.loop import Step
from biounet.training.run import TrainingRun
from biounet.training.tensorboard import TensorBoardWriter

__all__ = ["Page", "follow"]


class Page:
    """The report of a run while the block runs; if that ends with an error, or by Ctrl-C, it says so.

    Parameters
    ----------
    experiment : TrainingRun
    again : command that goes on with the run
    """

    def __init__(self, experiment: TrainingRun, again: str) -> None:
        self.step = 0
        """The last one that was made; before there is any, the folder may be that of another run."""
        self._experiment, self._again = experiment, again

    def write(self, *, finished: bool = False, stopped: str = "") -> dict[str, str]:
        """Write the page as the run stands; return what looks wrong with it."""
        return report(self._experiment, finished=finished, stopped=stopped, again=self._again)

    def __enter__(self) -> "Page":
        """Begin with nothing: the first step writes the first page."""
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Say why the run did not come to its end."""
        if error is None or not self.step:
            return
        why = str(error) if isinstance(error, BiounetError) else f"{type(error).__name__}: {error}"
        if isinstance(error, KeyboardInterrupt):
            why = "Ctrl-C, twice, so that it ended at once"
        if isinstance(error, TrainingError):
            self._again = ""  # which says itself what to do
        with suppress(Exception):  # what went wrong first counts
            self.write(stopped=f"After step {self.step:,}: {why}")


def follow(experiment: TrainingRun, *, resume: bool, tensorboard: bool, again: str = "") -> int:
    """Train, show progress and keep the report; return 0 at the end of the run, else the signal that has stopped it.

    `again` is the command that goes on with the run.
    """
    steps = experiment.run(resume=resume)
    if not experiment.is_main_process:
        with wait_for_the_first():
            for _ in steps:
                pass
            return int(broadcast(experiment.fabric, 0))
    stopped_by, score, told = 0, "", warn_of_unlabelled(experiment)
    writer = TensorBoardWriter(experiment.folder if tensorboard else None)
    with (
        progress("training") as show,
        stop_between_steps() as interrupt,
        writer,
        Page(experiment, again) as page,
        connected(),
    ):
        for step in steps:
            if step.note:
                say(f"note: {step.note}")
            if step.report is not None:
                score = score_of(experiment, step)
                tell(step)
                writer.add(step.report)
            if step.report is not None or not page.step:  # the first one takes the place of one that says "stopped"
                told |= tell_new(page.write(), told)
            page.step = step.number
            loss = f" loss {step.loss:.4f}" if math.isfinite(step.loss) else ""
            interrupt.finishing = step.progress >= 1
            show(step.progress, f"step {step.number}{loss}{score}{' finishing' if interrupt.finishing else ''}")
            if interrupt.number:
                steps.close()  # writes the state, and a model if there is none yet
                stopped_by = interrupt.number
        if experiment.calibration is not None:
            say(str(experiment.calibration))
        if stopped_by:
            page.write(stopped=f"After step {page.step:,}: {interrupt.reason}. The state is written.")
        elif page.step or experiment.calibration is not None:
            tell_new(page.write(finished=True), told)
    return int(broadcast(experiment.fabric, stopped_by))


def warn_of_unlabelled(experiment: TrainingRun) -> set[str]:
    """Say before the first step if no score will tell anything; return which finding that is."""
    if not experiment.validation.items or experiment.validation.has_labels:
        return set()
    say(
        "note: no pixel of the held-out images is labelled, so no score tells which network is best, and the last one "
        "is kept; label some pixels there, or hold out others with --validation"
    )
    return {"unlabelled"}


def tell_new(findings: dict[str, str], told: set[str]) -> set[str]:
    """Say what looks wrong and was not told before; return which findings those are."""
    new = findings.keys() - told
    for what in findings:
        if what in new:
            say(f"note: {findings[what]}")
    return new


def score_of(experiment: TrainingRun, step: Step) -> str:
    """The score of a validation as it is shown beside the progress; nothing where it tells nothing."""
    assert step.report is not None
    score = step.report.scores.get("score", math.nan)
    return f" score {score:.4f}" if experiment.validation.has_labels and math.isfinite(score) else ""


def tell(step: Step) -> None:
    """Print a line about a validation."""
    assert step.report is not None
    named = {name: value for name, value in step.report.scores.items() if not name.startswith("dice_")}
    scores = "".join(f"{name} {value:.4f} " for name, value in named.items())
    best = " best so far" if step.report.best else ""
    waiting = f"waited for patches {step.report.waiting:.0%}"
    say(f"{step.seconds / 60:5.1f} min step {step.number:5d} loss {step.report.loss:.4f} {scores}{waiting}{best}")
