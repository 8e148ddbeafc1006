"""The commands `biounet train` and `biounet check`: a run that is followed at a terminal, and a plan of one."""

import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import biounet
from biounet.cli.launch import devices
from biounet.cli.progress import progress, say
from biounet.cli.signals import leave, stop_between_steps, stop_when_told, wait_for_the_first
from biounet.config import RunConfig
from biounet.core.geometry import Geometry
from biounet.data.hashes import shared_images
from biounet.data.patches import network_input_size
from biounet.models import build
from biounet.training.announcements import Loud, chosen, coverage, tell_unlabelled
from biounet.training.forecast import Forecast
from biounet.training.monitor import StoppedError, Watch
from biounet.training.prepare import begin_run, check_settings
from biounet.training.shipped_trial import tell_shipped_models
from biounet.training.time_budget import warning_of_few_steps

__all__ = ["Terminal", "again", "describe", "run_training"]


class Terminal:
    """A monitor of runs at a terminal: lines, a bar of progress, and Ctrl-C between two steps.

    Parameters
    ----------
    again : command that goes on with the run
    """

    def __init__(self, again: str) -> None:
        self.again = again
        self.stopped_by = signal.SIGTERM.value
        """The signal that stopped the run; in processes that follow the main one, as if they were told to end."""
        self.is_main_process = True
        self.bad = False
        """Whether the run said something that must not be missed."""

    def say(self, line: str) -> None:
        """Print a line; one that must not be missed in red."""
        self.bad |= isinstance(line, Loud)
        say(line, loud=isinstance(line, Loud))

    @contextmanager
    def watch(self, *, is_main_process: bool) -> Iterator[Watch]:
        """Show the progress of the steps, and stop after the one under way at Ctrl-C or when told to end."""
        self.is_main_process = is_main_process
        if not is_main_process:
            with wait_for_the_first():
                yield lambda share, text: ""
            return
        with ExitStack() as bar, stop_between_steps() as interrupt:
            show = bar.enter_context(progress("training"))

            def after_step(share: float, text: str) -> str:
                nonlocal show
                show(share, text)
                if share >= 1 and not interrupt.finishing:
                    interrupt.finishing = True
                    bar.close()
                    say("all steps are made; finishing the model")
                    show = bar.enter_context(progress("finishing"))
                self.stopped_by = interrupt.number
                return interrupt.reason if interrupt.number else ""

            yield after_step

    def leave(self) -> None:
        """End the command with the status of the signal that stopped the run."""
        leave(self.stopped_by)


def run_training(
    dataset: Path,
    out: Path,
    settings: RunConfig,
    *,
    device: str = "auto",
    resume: bool = False,
    tensorboard: bool = False,
) -> Path:
    """Train on a dataset and keep a report of the run; return the model file.

    Several processes may do this together, see `biounet.training.distributed`; the main process speaks and writes.

    Parameters
    ----------
    dataset : Path
    out : Path
        Folder of the run.
    settings : RunConfig
        What the data say is added.
    device : auto, cpu, cuda or cuda:N
    resume : bool
        Go on with the run in `out`.
    tensorboard : bool
        Write curves for TensorBoard, too.

    Raises
    ------
    KeyboardInterrupt, SystemExit
        If Ctrl-C has stopped the run, or the process was told to end; state and best model so far are written.
    """
    terminal, model = Terminal(again(dataset, out, device=device, tensorboard=tensorboard)), out / "model.safetensors"
    try:
        with stop_when_told():
            biounet.train(
                dataset,
                out,
                settings=settings,
                device=device,
                resume=resume,
                tensorboard=tensorboard,
                monitor=terminal,
            )
    except StoppedError:
        if terminal.is_main_process:
            say(f"the best model so far is {model}; go on with: {terminal.again}")
        terminal.leave()  # so that nothing begins that needs the model of a whole run
    if terminal.is_main_process:
        say(f"done: {model}; look at {out / 'report.html'}")
    if terminal.is_main_process and not terminal.bad:
        say(f"predict other images: {shlex.join(['biounet', 'predict', str(out)])} IMAGES --out RESULT")
    return model


def again(dataset: Path, out: Path, *, device: str = "auto", tensorboard: bool = False) -> str:
    """Command that goes on with a run as it was started, `torchrun` left out."""
    words = ["biounet", "train", str(dataset), "--out", str(out), "--resume"]
    words += [] if device == "auto" else ["--device", device]
    words += ["--devices", str(devices())] if devices() > 1 else []
    return shlex.join([*words, "--tensorboard"] if tensorboard else words)


def describe(dataset: Path, settings: RunConfig, *, device: str = "auto") -> Iterator[str]:
    """Lines about a dataset: what it holds, the settings that training would choose, and the time it would take."""
    began = time.monotonic()
    check_settings(settings)
    run = begin_run(dataset, Path(), settings, device=device, began=began)
    data = run.data
    yield f"{dataset}: {len(data.train)} images to train on, {len(data.validation)} to validate on"
    yield from (f"note: {note}" for note in (*data.notes, *shared_images(data)))
    yield from (f"note: {note}" for note in (run.start.notes(run.config, data) if run.start else ()))
    yield f"images: {data.channels} channels, up to {' x '.join(map(str, data.largest))} px"
    shares = coverage(data, class_names=run.config.train.class_names)
    yield f"labels: {data.kind}, {data.classes} classes; {shares}" if data.task.has_labels else shares
    if run.start is None and (told := tell_shipped_models(data)):
        yield told
    for name, reason in run.choose_settings().items():
        yield chosen(run.config, name, reason)
    config, net = run.config, build(run.config.model)
    assert isinstance(net.geometry, Geometry)
    size = " x ".join(map(str, network_input_size(config, net.geometry, data.largest)))
    weights = sum(weight.numel() for weight in net.parameters())
    yield f"network: {config.model.name}, {weights:,} weights, batches of {config.train.batch} patches of {size} px"
    if run.unlabelled:
        yield f"note: {tell_unlabelled(config, run.unlabelled)}"
    plan = run.forecast()
    yield from expected(plan, run.fabric.device.type)
    if few := warning_of_few_steps(config.train, plan.steps):
        yield f"note: {few}"


def expected(plan: Forecast, device: str) -> Iterator[str]:
    """Lines about the time and the memory that a run will take, part by part."""
    whole = max(60 * plan.minutes, 1e-9)

    def part(seconds: float) -> str:
        return f"{seconds / 60:.1f} minutes, {seconds / whole:.0%} of the time"

    step = plan.step_seconds + plan.draw_seconds
    yield f"plan: {plan.steps:,} steps and {plan.reports} reports in {plan.minutes:.1f} minutes"
    yield f"  before: {part(plan.begin_seconds)}, to read images, to measure and to make weight maps or files"
    yield f"  training: {part(plan.training_seconds)}, {step:.3f} s a step ({plan.draw_seconds:.3f} s wait for patches)"
    yield f"  reports: {part(plan.reporting_seconds)}, {plan.report_seconds:.1f} s each to validate and to write"
    yield f"  finalising: {part(plan.finalising_seconds)}, for statistics, calibration and rules of objects"
    yield f"memory: about {plan.memory / 2**30:.2f} GiB {'on the GPU' if device == 'cuda' else 'for the process'}"
