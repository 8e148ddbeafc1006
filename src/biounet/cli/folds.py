"""What `biounet train --folds K` does: K runs, each validated on images that only the others learn from."""

import csv
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

from biounet.atomic import replacing
from biounet.cli.progress import say
from biounet.cli.stopping import leave, stop_when_told
from biounet.cli.train import again, announce, divide, prepare_divided, room, train_one
from biounet.config import RunConfig
from biounet.divided import Divided
from biounet.errors import LabelError, TrainingError
from biounet.experiment import Experiment
from biounet.folders import folds
from biounet.items import ItemReader
from biounet.normalize import Normalization
from biounet.ondemand import OnDemand
from biounet.patches import UNLABELLED
from biounet.processes import agree, connected, least, make_fabric
from biounet.report import load_log
from biounet.report.runlog import best_row
from biounet.runfolder import EARLY, check_new
from biounet.statefile import hold
from biounet.training_data import TrainingData, read_divided

__all__ = ["SUMMARY", "fold_data", "of_one_fold", "read_folds", "run_folds"]

SUMMARY = "folds.csv"

Rows = list[dict[str, str]]


def of_one_fold(settings: RunConfig, count: int) -> RunConfig:
    """Settings of one of so many runs: its share of the minutes, and no images held out but those of its fold."""
    minutes = settings.train.minutes
    return settings.updated({"train.validation": 0.0, "train.minutes": minutes and minutes / count})


def fold_data(
    divided: Divided,
    data: TrainingData,
    normalization: Normalization,
    count: int,
    *,
    memory: float = math.inf,
    pixels: float = math.inf,
) -> Iterator[TrainingData]:
    """Divide images anew, so that each is held out once; neighbours in a stack stay together.

    Images to draw are normalised by the statistics of those that the fold learns from.

    Parameters
    ----------
    divided : Divided
        What `data` were read from, with nothing held out.
    data : TrainingData
        If memory holds them, folds share them; else each fold reads its own, and none holds those of another.
    normalization : Normalization
        The one that `data` were read with.
    count : int
    memory : bytes
        That the images of a fold may take, see `biounet.training_data.load_training_data`.
    pixels : int
        Of those held out so many are taken, see `biounet.ondemand.choose_validated`.

    Raises
    ------
    LabelError
        If a fold has no labels to learn from.
    """
    splits = folds(divided.dataset, count)
    labelled = {survey.name for survey in data.surveys if survey.counts[1:].any()}
    if any(labelled <= {pair.name for pair in split.validation} for split in splits):
        raise LabelError(UNLABELLED)
    parts = (divided.anew(split, pixels=pixels) for split in splits)
    if data.kind == "images" or isinstance(data.train, OnDemand):
        return (read_divided(part, normalization, memory=memory) for part in parts)
    reader = ItemReader(normalization, data.target)
    return (_of_fold(part, data, reader) for part in parts)


def _of_fold(part: Divided, data: TrainingData, reader: ItemReader) -> TrainingData:
    """Images of one fold, of all in memory; parts of those held out are read where these are too large."""
    here = {item.name: item for item in data.train}
    train = [here[pair.name] for pair in part.train]
    validation = [here[pair.name] if pair.name in here else reader.read(part.other, pair) for pair in part.held_out]
    return replace(data, train=train, validation=validation, notes=part.notes)


def read_folds(
    dataset: Path, settings: RunConfig, count: int, *, memory: float
) -> tuple[RunConfig, Iterator[TrainingData], Normalization, dict[str, str]]:
    """Read a dataset and divide it, and complete the settings as `biounet.cli.train.prepare` does."""
    divided = divide(dataset, settings)
    config, data, normalization, reasons = prepare_divided(divided, settings, memory=memory)
    pixels = config.train.validation_pixels
    return config, fold_data(divided, data, normalization, count, memory=memory, pixels=pixels), normalization, reasons


def run_folds(
    dataset: Path,
    out: Path,
    settings: RunConfig,
    *,
    count: int | None,
    device: str = "auto",
    resume: bool = False,
    tensorboard: bool = False,
) -> None:
    """Train once per fold, and say how well all do.

    Parameters
    ----------
    dataset : Path
    out : Path
        ``fold-0``, ``fold-1``, ... are complete runs; ``folds.csv`` has a row for each.
    settings : RunConfig
        Of one fold, see `of_one_fold`.
    count : int
        None: what the summary says, to resume.
    device : auto, cpu, cuda or cuda:N
    resume : bool
        Go on where it stopped; folds that are done stay as they are.
    tensorboard : bool
        Write curves for TensorBoard, too.

    Raises
    ------
    KeyboardInterrupt, SystemExit
        If Ctrl-C has stopped a run, or the process was told to end; what there is of it is written.
    """
    began, command = time.monotonic(), again(dataset, out, device=device, tensorboard=tensorboard)
    rows = open_summary(out, count, resume=resume)
    with stop_when_told(), connected():
        fabric = make_fabric(device, settings.train.precision)
        memory, leads = least(fabric, room(settings.train)), fabric.global_rank == 0
        config, parts, normalization, reasons = read_folds(dataset, settings, len(rows), memory=memory)
        with hold(out) if leads else nullcontext():
            for fold, row in enumerate(rows):
                if leads:
                    say(f"fold {fold} of {len(rows)}")
                    write_summary(out, rows)
                reasons["train.validation"] = f"no share of the images, but fold {fold} of {len(rows)} is held out"
                folder = out / f"fold-{fold}"
                experiment = Experiment(config, next(parts), normalization, folder, fabric, began, reasons)
                stopped_by = _train_fold(experiment, done=bool(row["score"]), tensorboard=tensorboard, command=command)
                if stopped_by:
                    leave(stopped_by)
                row |= {"images": str(len(experiment.data.validation)), **best_scores(folder)}
                config, reasons, began = experiment.config, dict(experiment.reasons), time.monotonic()
                del experiment  # with the images held out, and what is predicted of them, before others are read
        if leads:
            write_summary(out, rows)
            tell_summary(rows)
            say(f"done: {out / SUMMARY}")


def _train_fold(experiment: Experiment, *, done: bool, tensorboard: bool, command: str) -> int:
    """Train one fold, unless that is done; return the signal that has stopped it, or 0."""
    begun = bool(agree(experiment.fabric, (experiment.folder / "config.toml").exists()))
    if experiment.leads:
        announce(experiment.data)
    if done:
        if experiment.leads:
            experiment.check_folder(resume=True)
        return 0
    stopped_by = train_one(experiment, resume=begun, tensorboard=tensorboard, command=command)
    if stopped_by and experiment.leads:
        say(f"go on with: {command}")
    return stopped_by


def open_summary(out: Path, count: int | None, *, resume: bool) -> Rows:
    """Rows of a new summary, or of the one to resume."""
    if not resume:
        check_new(out, early=(*EARLY, SUMMARY, *(f"fold-0/{name}" for name in EARLY)))
        return [{"fold": str(fold), "images": "", "score": ""} for fold in range(count or 0)]
    with (out / SUMMARY).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    if count is not None and count != len(rows):
        raise TrainingError(f"{out} was begun with {len(rows)} folds, not {count}; go on without --folds")
    return rows


def best_scores(folder: Path) -> dict[str, str]:
    """Step and scores of the model that a run has kept."""
    best = best_row(load_log(folder / "log.csv")) or {}
    others = ("seconds", "learning_rate", "waiting", "best")
    return {name: str(value) for name, value in best.items() if name not in others}


def write_summary(out: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write a row for each fold; those that are not done have no scores."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(out / SUMMARY, overwrite=True) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=names, restval="")
        writer.writeheader()
        writer.writerows(rows)


def tell_summary(rows: Sequence[Mapping[str, str]]) -> None:
    """Say mean and spread of the scores over the folds."""
    for name in ("score", "log_loss", "mae"):
        if name not in rows[0]:
            continue
        values = [float(row[name]) for row in rows]
        said = " ".join(f"{value:.4f}" for value in values)
        say(f"{name}: mean {fmean(values):.4f}, standard deviation {stdev(values):.4f} over the folds ({said})")
