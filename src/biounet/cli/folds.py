"""What `biounet train --folds K` does: K runs, each validated on images that only the others learn from."""

import csv
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import fmean, stdev

from biounet.cli.progress import say
from biounet.cli.signals import leave, stop_when_told
from biounet.cli.train import again, announce, train_one
from biounet.config import RunConfig
from biounet.core.atomic_files import replacing
from biounet.core.errors import TrainingError
from biounet.report import load_log
from biounet.report.log import best_row
from biounet.training.checkpoint import hold
from biounet.training.cross_validation import read_folds
from biounet.training.distributed import all_reduce_min, broadcast, connected, make_fabric
from biounet.training.prepare import room
from biounet.training.run import TrainingRun
from biounet.training.run_folder import EARLY, check_new

__all__ = ["SUMMARY", "run_folds"]


SUMMARY = "folds.csv"

Rows = list[dict[str, str]]


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
        memory, is_main_process = all_reduce_min(fabric, room(settings.train)), fabric.global_rank == 0
        config, parts, normalization, reasons = read_folds(dataset, settings, len(rows), memory=memory)
        with hold(out) if is_main_process else nullcontext():
            for fold, row in enumerate(rows):
                if is_main_process:
                    say(f"fold {fold} of {len(rows)}")
                    write_summary(out, rows)
                reasons["train.validation"] = f"no share of the images, but fold {fold} of {len(rows)} is held out"
                folder = out / f"fold-{fold}"
                experiment = TrainingRun(config, next(parts), normalization, folder, fabric, began, reasons)
                stopped_by = _train_fold(experiment, done=bool(row["score"]), tensorboard=tensorboard, command=command)
                if stopped_by:
                    leave(stopped_by)
                row |= {"images": str(len(experiment.data.validation)), **best_scores(folder)}
                config, reasons, began = experiment.config, dict(experiment.reasons), time.monotonic()
                del experiment  # with the images held out, and what is predicted of them, before others are read
        if is_main_process:
            write_summary(out, rows)
            tell_summary(rows)
            say(f"done: {out / SUMMARY}")


def _train_fold(experiment: TrainingRun, *, done: bool, tensorboard: bool, command: str) -> int:
    """Train one fold, unless that is done; return the signal that has stopped it, or 0."""
    begun = bool(broadcast(experiment.fabric, (experiment.folder / "config.toml").exists()))
    if experiment.is_main_process:
        announce(experiment.data)
    if done:
        if experiment.is_main_process:
            experiment.check_folder(resume=True)
        return 0
    stopped_by = train_one(experiment, resume=begun, tensorboard=tensorboard, command=command)
    if stopped_by and experiment.is_main_process:
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
