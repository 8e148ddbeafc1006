"""What `biounet train` and `biounet check` do: read, say, train, show, report."""

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from biounet.cli.launch import devices
from biounet.cli.monitor import follow
from biounet.cli.progress import say
from biounet.cli.signals import leave, stop_when_told
from biounet.config import RunConfig
from biounet.core.geometry import Geometry
from biounet.data.hashes import shared_images
from biounet.data.patches import network_input_size
from biounet.data.training_set import TrainingSet
from biounet.models import build
from biounet.training.distributed import all_reduce_min, connected, make_fabric
from biounet.training.forecast import Forecast
from biounet.training.prepare import check_settings, prepare, room
from biounet.training.run import TrainingRun
from biounet.training.time_budget import of_too_few

__all__ = ["again", "announce", "describe", "run_training", "train_one"]


LISTED = 6  # classes whose shares are told one by one


def _experiment(dataset: Path, folder: Path, settings: RunConfig, *, device: str, began: float) -> TrainingRun:
    """Read a dataset for a run in a folder; its minutes began to count at a time of `time.monotonic`."""
    fabric = make_fabric(device, settings.train.precision)
    # Either all processes hold the images or none, or some would wait for files that others do not write.
    config, data, normalization, reasons = prepare(
        dataset, settings, memory=all_reduce_min(fabric, room(settings.train))
    )
    return TrainingRun(config, data, normalization, folder, fabric, began, reasons)


def describe(dataset: Path, settings: RunConfig, *, device: str = "auto") -> Iterator[str]:
    """Say what a dataset holds, and what training would do and take, line by line."""
    began = time.monotonic()
    check_settings(settings)
    experiment = _experiment(dataset, Path(), settings, device=device, began=began)
    data = experiment.data
    yield f"{dataset}: {len(data.train)} images to train on, {len(data.validation)} to validate on"
    yield from (f"note: {note}" for note in (*data.notes, *shared_images(data)))
    yield f"images: {data.channels} channels, up to {' x '.join(map(str, data.largest))} px"
    yield f"labels: {data.kind}, {data.classes} classes; {coverage(data)}" if data.task.has_labels else coverage(data)
    for name, reason in experiment.finalise().items():
        yield chosen(experiment.config, name, reason)
    config, net = experiment.config, build(experiment.config.model)
    assert isinstance(net.geometry, Geometry)
    size = " x ".join(map(str, network_input_size(config, net.geometry, data.largest)))
    weights = sum(weight.numel() for weight in net.parameters())
    yield f"network: {config.model.name}, {weights:,} weights, batches of {config.train.batch} patches of {size} px"
    plan = experiment.forecast()
    yield from expected(plan, experiment.fabric.device.type)
    if few := of_too_few(config.train, plan.steps):
        yield f"note: {few}"


def expected(plan: Forecast, device: str) -> Iterator[str]:
    """Say what a run will take, part by part."""
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


def chosen(config: RunConfig, name: str, reason: str) -> str:
    """Say what a setting is, and why."""
    section, _, field = name.partition(".")
    return f"{name} = {getattr(getattr(config, section), field)}: {reason}"


def coverage(data: TrainingSet) -> str:
    """How much of the training pixels each class holds, in words; or what images are to be drawn."""
    if not data.task.has_labels:
        return f"targets: images of {data.classes} channel{'s' * (data.classes > 1)}"
    unknown, *shares = data.coverage
    parts = [f"class {number} {share:.1%}" for number, share in enumerate(shares[:LISTED])]
    parts += [f"{len(shares) - LISTED} more classes {sum(shares[LISTED:]):.1%}"] if len(shares) > LISTED else []
    parts += [f"unknown {unknown:.1%}"] if unknown else []
    return ", ".join(parts)


def run_training(
    dataset: Path,
    out: Path,
    settings: RunConfig,
    *,
    device: str = "auto",
    resume: bool = False,
    tensorboard: bool = False,
) -> Path:
    """Train on a dataset and keep a report of it; return the model file.

    Several processes may do this together, see `biounet.training.distributed`; the first one speaks and writes.

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
        If Ctrl-C has stopped the run, or the process was told to end; what there is of it is written.
    """
    began, command = time.monotonic(), again(dataset, out, device=device, tensorboard=tensorboard)
    with stop_when_told(), connected():
        experiment = _experiment(dataset, out, settings, device=device, began=began)
        if experiment.is_main_process:
            announce(experiment.data)
        stopped_by = train_one(experiment, resume=resume, tensorboard=tensorboard, command=command)
    model = out / "model.safetensors"
    if stopped_by:
        if experiment.is_main_process:
            say(f"the best model so far is {model}; go on with: {command}")
        leave(stopped_by)  # so that nothing is begun that needs the model of a whole run
    if experiment.is_main_process:
        say(f"done: {model}, {out / 'report.html'}")
    return model


def again(dataset: Path, out: Path, *, device: str = "auto", tensorboard: bool = False) -> str:
    """Command that goes on with a run as it was started, `torchrun` left out."""
    words = ["biounet", "train", str(dataset), "--out", str(out), "--resume"]
    words += [] if device == "auto" else ["--device", device]
    words += ["--devices", str(devices())] if devices() > 1 else []
    return shlex.join([*words, "--tensorboard"] if tensorboard else words)


def announce(data: TrainingSet) -> None:
    """Say what there is to learn from."""
    for note in (*data.notes, *shared_images(data)):
        say(f"note: {note}")
    say(f"training on {len(data.train)} images, validating on {len(data.validation)}; {coverage(data)}")


def train_one(experiment: TrainingRun, *, resume: bool, tensorboard: bool, command: str) -> int:
    """Settle what is left open, say why, and train; return 0 at the end of the run, else the signal that stopped it.

    `command` is the one that goes on with it.
    """
    if experiment.is_main_process:
        experiment.check_folder(resume=resume)
    for name, reason in experiment.finalise().items():
        if experiment.is_main_process:
            say(chosen(experiment.config, name, reason))
    return follow(experiment, resume=resume, tensorboard=tensorboard, again=command)
