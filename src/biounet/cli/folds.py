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
from biounet.cli.train import again, announce, prepare, train_one
from biounet.config import RunConfig
from biounet.errors import LabelError, TrainingError
from biounet.experiment import Experiment
from biounet.folders import Split, find_dataset, folds
from biounet.ondemand import limit_pixels
from biounet.patches import UNLABELLED
from biounet.processes import agree, connected, make_fabric
from biounet.report import load_log
from biounet.report.runlog import best_row
from biounet.runfolder import EARLY, check_new
from biounet.statefile import hold
from biounet.training_data import TrainingData, load_training_data

__all__ = ["SUMMARY", "fold_data", "of_one_fold", "run_folds"]

SUMMARY = "folds.csv"

Rows = list[dict[str, str]]


def of_one_fold(settings: RunConfig, count: int) -> RunConfig:
    """Settings of one of so many runs: its share of the minutes, and no images held out but those of its fold."""
    minutes = settings.train.minutes
    return settings.updated({"train.validation": 0.0, "train.minutes": minutes and minutes / count})


def fold_data(
    dataset: Path, data: TrainingData, count: int, *, silver: bool = False, pixels: float = math.inf
) -> Iterator[TrainingData]:
    """Divide images, so that each is held out once; neighbours in a stack stay together.

    Images to draw are normalised by the statistics of those that the fold learns from.

    Parameters
    ----------
    dataset : Path
        What `data` were read from, with nothing held out.
    data : TrainingData
    count : int
    silver : bool
        As `data` were read.
    pixels : int
        Of those held out so many are taken, see `biounet.ondemand.limit_pixels`.

    Raises
    ------
    LabelError
        If a fold has no labels to learn from.
    """
    divided = list(folds(find_dataset(dataset, silver=silver), count))
    labelled = {survey.name for survey in data.surveys if survey.counts[1:].any()}
    if any(labelled <= {pair.name for pair in split.validation} for split in divided):
        raise LabelError(UNLABELLED)
    return (_of_fold(dataset, data, split, silver, pixels) for split in divided)


def _of_fold(dataset: Path, data: TrainingData, split: Split, silver: bool, pixels: float) -> TrainingData:
    """Images of one fold; read anew where the statistics of those to learn from count."""
    if data.normalization is not None:
        return load_training_data(
            dataset, data.normalization, validation=split, target=data.target, silver=silver, pixels=pixels
        )
    held, (validated, said) = {pair.name for pair in split.validation}, limit_pixels(split.validation, most=pixels)
    chosen = {pair.name for pair in validated}
    train = [item for item in data.train if item.name not in held]
    validation = [item for item in data.train if item.name in chosen]
    return replace(data, train=train, validation=validation, notes=(*data.notes, *split.notes, *said))


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
    KeyboardInterrupt
        If Ctrl-C has stopped a run; what there is of it is written.
    """
    began = time.monotonic()
    rows = open_summary(out, count, resume=resume)
    config, data, normalization, reasons = prepare(dataset, settings, memory=math.inf)  # all folds share the images
    parts = fold_data(dataset, data, len(rows), silver=config.train.silver, pixels=config.train.validation_pixels)
    with connected():
        fabric = make_fabric(device, config.train.precision)
        leads = fabric.global_rank == 0
        with hold(out) if leads else nullcontext():
            for fold, part in enumerate(parts):
                folder = out / f"fold-{fold}"
                reasons["train.validation"] = f"no share of the images, but fold {fold} of {len(rows)} is held out"
                experiment = Experiment(config, part, normalization, folder, fabric, began, reasons)
                begun = bool(agree(fabric, (folder / "config.toml").exists()))
                if leads:
                    say(f"fold {fold} of {len(rows)}")
                    announce(part)
                    write_summary(out, rows)
                if rows[fold]["score"]:
                    if leads:
                        experiment.check_folder(resume=True)
                elif not train_one(experiment, resume=begun, tensorboard=tensorboard, command=again(dataset, out)):
                    if leads:
                        say(f"go on with: {again(dataset, out)}")
                    raise KeyboardInterrupt
                config, reasons, began = experiment.config, dict(experiment.reasons), time.monotonic()
                rows[fold] |= {"images": str(len(part.validation)), **best_scores(folder)}
        if leads:
            write_summary(out, rows)
            tell_summary(rows)
            say(f"done: {out / SUMMARY}")


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
