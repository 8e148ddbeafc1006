"""What `biounet train` and `biounet check` do: read, say, train, show, report."""

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from biounet.cli.follow import follow
from biounet.cli.progress import say
from biounet.cli.ranks import devices
from biounet.cli.stopping import leave, stop_when_told
from biounet.config import RunConfig, TrainConfig
from biounet.digests import shared_images
from biounet.divided import Divided, divide_dataset
from biounet.errors import ConfigError
from biounet.experiment import Experiment
from biounet.fingerprint import choose_normalization
from biounet.footprint import machine_bytes
from biounet.forecast import Forecast
from biounet.geometry import Geometry
from biounet.losses import IMAGE_LOSSES, LOSSES
from biounet.models import build
from biounet.normalize import NORMALIZATIONS, Normalization
from biounet.pace import of_too_few
from biounet.patches import network_input_size
from biounet.pretrained import check_model
from biounet.processes import connected, least, local_size, make_fabric
from biounet.training_data import TrainingData, fit_to_data, read_divided

__all__ = [
    "again",
    "announce",
    "check_settings",
    "describe",
    "divide",
    "prepare",
    "prepare_divided",
    "run_training",
    "train_one",
]

LISTED = 6  # classes whose shares are told one by one


def check_settings(settings: RunConfig) -> None:
    """Refuse, before any image is read, what no image puts right: names, networks, weights to begin with."""
    check_model(settings.model)
    if settings.train.loss not in (*LOSSES, *IMAGE_LOSSES):
        known = ", ".join((*LOSSES, *IMAGE_LOSSES))
        raise ConfigError(f"train.loss must be one of {known}, got {settings.train.loss!r}")


def divide(dataset: Path, settings: RunConfig) -> Divided:
    """Find a dataset and divide it as the settings say."""
    train = settings.train
    return divide_dataset(
        dataset,
        validation=train.validation,
        target=train.target,
        silver=train.silver,
        pixels=train.validation_pixels,
    )


def prepare(
    dataset: Path, settings: RunConfig, *, memory: float | None = None
) -> tuple[RunConfig, TrainingData, Normalization, dict[str, str]]:
    """Find, divide and read a dataset, see `prepare_divided`; without `memory`, into the `room` there is."""
    memory = room(settings.train) if memory is None else memory
    return prepare_divided(divide(dataset, settings), settings, memory=memory)


def prepare_divided(
    divided: Divided, settings: RunConfig, *, memory: float
) -> tuple[RunConfig, TrainingData, Normalization, dict[str, str]]:
    """Read images, into `memory` in bytes if it holds them, and complete the settings with what they hold.

    Returns also how images are normalised, and why, if that was left open.
    """
    train = settings.train
    before = "z-score" if "train.normalization" in train.auto else train.normalization
    data = read_divided(divided, NORMALIZATIONS[before], memory=memory)
    settings, reasons = choose_normalization(settings, data)
    normalization = NORMALIZATIONS[settings.train.normalization]
    if settings.train.normalization != before:
        del data  # memory may not hold the images twice
        data = read_divided(divided, normalization, memory=memory)
    return fit_to_data(settings, data), data, normalization, reasons


def room(train: TrainConfig) -> float:
    """Bytes that images may take in this process, which shares the memory with the others on its machine."""
    return train.memory * machine_bytes() / local_size()


def _experiment(dataset: Path, folder: Path, settings: RunConfig, *, device: str, began: float) -> Experiment:
    """Read a dataset for a run in a folder; its minutes began to count at a time of `time.monotonic`."""
    fabric = make_fabric(device, settings.train.precision)
    # Either all processes hold the images or none, or some would wait for files that others do not write.
    config, data, normalization, reasons = prepare(dataset, settings, memory=least(fabric, room(settings.train)))
    return Experiment(config, data, normalization, folder, fabric, began, reasons)


def describe(dataset: Path, settings: RunConfig, *, device: str = "auto") -> Iterator[str]:
    """Say what a dataset holds, and what training would do and take, line by line."""
    began = time.monotonic()
    check_settings(settings)
    experiment = _experiment(dataset, Path(), settings, device=device, began=began)
    data = experiment.data
    yield f"{dataset}: {len(data.train)} images to train on, {len(data.validation)} to validate on"
    yield from (f"note: {note}" for note in (*data.notes, *shared_images(data)))
    yield f"images: {data.channels} channels, up to {' x '.join(map(str, data.largest))} px"
    yield coverage(data) if data.kind == "images" else f"labels: {data.kind}, {data.classes} classes; {coverage(data)}"
    for name, reason in experiment.settle().items():
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
    yield f"  settling: {part(plan.settling_seconds)}, for statistics, calibration and rules of objects"
    yield f"memory: about {plan.memory / 2**30:.2f} GiB {'on the GPU' if device == 'cuda' else 'for the process'}"


def chosen(config: RunConfig, name: str, reason: str) -> str:
    """Say what a setting is, and why."""
    section, _, field = name.partition(".")
    return f"{name} = {getattr(getattr(config, section), field)}: {reason}"


def coverage(data: TrainingData) -> str:
    """How much of the training pixels each class holds, in words; or what images are to be drawn."""
    if data.kind == "images":
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

    Several processes may do this together, see `biounet.processes`; the first one speaks and writes.

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
        if experiment.leads:
            announce(experiment.data)
        stopped_by = train_one(experiment, resume=resume, tensorboard=tensorboard, command=command)
    model = out / "model.safetensors"
    if stopped_by:
        if experiment.leads:
            say(f"the best model so far is {model}; go on with: {command}")
        leave(stopped_by)  # so that nothing is begun that needs the model of a whole run
    if experiment.leads:
        say(f"done: {model}, {out / 'report.html'}")
    return model


def again(dataset: Path, out: Path, *, device: str = "auto", tensorboard: bool = False) -> str:
    """Command that goes on with a run as it was started, `torchrun` left out."""
    words = ["biounet", "train", str(dataset), "--out", str(out), "--resume"]
    words += [] if device == "auto" else ["--device", device]
    words += ["--devices", str(devices())] if devices() > 1 else []
    return shlex.join([*words, "--tensorboard"] if tensorboard else words)


def announce(data: TrainingData) -> None:
    """Say what there is to learn from."""
    for note in (*data.notes, *shared_images(data)):
        say(f"note: {note}")
    say(f"training on {len(data.train)} images, validating on {len(data.validation)}; {coverage(data)}")


def train_one(experiment: Experiment, *, resume: bool, tensorboard: bool, command: str) -> int:
    """Settle what is left open, say why, and train; return 0 at the end of the run, else the signal that stopped it.

    `command` is the one that goes on with it.
    """
    if experiment.leads:
        experiment.check_folder(resume=resume)
    for name, reason in experiment.settle().items():
        if experiment.leads:
            say(chosen(experiment.config, name, reason))
    return follow(experiment, resume=resume, tensorboard=tensorboard, again=command)
