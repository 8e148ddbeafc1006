"""The command `biounet train --folds K`: K runs, each validated on images that only the others learn from."""

import csv
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal

from pydantic import NonNegativeInt

from biounet.cli.progress import say
from biounet.cli.signals import stop_when_told
from biounet.cli.train import Terminal, again
from biounet.config import RunConfig
from biounet.core.atomic_files import replacing
from biounet.core.csv_file import read_csv
from biounet.core.errors import TrainingError
from biounet.core.output_lock import holding
from biounet.core.places import check_output
from biounet.core.text_file import Record, TextFile
from biounet.report import load_log
from biounet.report.log import best_row
from biounet.report.run_report import RunReport
from biounet.training.announcements import announce
from biounet.training.cross_validation import read_folds
from biounet.training.distributed import all_reduce_min, broadcast, connected, make_fabric
from biounet.training.monitor import train_run
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
    """Train once per fold, and say the mean and the spread of the scores.

    Parameters
    ----------
    dataset : Path
    out : Path
        ``fold-0``, ``fold-1``, ... are complete runs; ``folds.csv`` has a row for each.
    settings : RunConfig
        Of one fold, see `of_one_fold`.
    count : int
        None, to resume: as many as the summary has.
    device : auto, cpu, cuda or cuda:N
    resume : bool
        Go on where it stopped; folds that are done stay as they are.
    tensorboard : bool
        Write curves for TensorBoard, too.

    Raises
    ------
    KeyboardInterrupt, SystemExit
        If Ctrl-C has stopped a run, or the process was told to end; state and best model so far are written.
    """
    began, terminal = time.monotonic(), Terminal(again(dataset, out, device=device, tensorboard=tensorboard))
    rows = open_summary(out, count, resume=resume)
    with stop_when_told(), connected():
        fabric = make_fabric(device, settings.train.precision)
        memory, is_main_process = all_reduce_min(fabric, room(settings.train)), fabric.global_rank == 0
        with holding((), folder=out) if is_main_process else nullcontext():
            config, parts, normalization, reasons = read_folds(dataset, settings, len(rows), memory=memory)
            for fold, row in enumerate(rows):
                if is_main_process:
                    say(f"fold {fold} of {len(rows)}")
                    write_summary(out, rows)
                reasons["train.validation"] = f"no share of the images, but fold {fold} of {len(rows)} is held out"
                folder = out / f"fold-{fold}"
                run = TrainingRun(config, next(parts), normalization, folder, fabric, began, reasons)
                if _train_fold(run, terminal, done=bool(row["score"]), tensorboard=tensorboard):
                    terminal.leave()
                row |= {"images": str(len(run.data.validation)), **best_scores(folder)}
                config, reasons, began = run.config, dict(run.reasons), time.monotonic()
                del run  # with the held-out images and their probabilities, before others are read
        if is_main_process:
            write_summary(out, rows)
            tell_summary(rows)
            say(f"done: {out / SUMMARY}")


def _train_fold(run: TrainingRun, terminal: Terminal, *, done: bool, tensorboard: bool) -> str:
    """Train one fold, unless it is done; return why the run was stopped, or nothing."""
    begun = bool(broadcast(run.fabric, (run.folder / "config.toml").exists()))
    if done:
        if run.is_main_process:
            announce(run.data, say)
            run.check_folder(resume=True)
        return ""
    why = train_run(run, terminal, resume=begun, tensorboard=tensorboard, write_report=RunReport())
    if why and run.is_main_process:
        say(f"go on with: {terminal.again}")
    return why


def open_summary(out: Path, count: int | None, *, resume: bool) -> Rows:
    """Rows of a new summary, or of the one to resume."""
    check_output(out)
    if not resume:
        check_new(out, early=(*EARLY, SUMMARY, *(f"fold-0/{name}" for name in EARLY)))
        return [{"fold": str(fold), "images": "", "score": ""} for fold in range(count or 0)]
    rows = read_summary(out / SUMMARY)
    if count is not None and count != len(rows):
        raise TrainingError(f"{out} was begun with {len(rows)} folds, not {count}; go on without --folds")
    return rows


class FoldRow(Record, extra="allow"):
    """Row of a summary; further columns are step and scores, empty where a fold is not done."""

    __pydantic_extra__: dict[str, float | Literal[""]]
    fold: NonNegativeInt
    images: NonNegativeInt | Literal[""]
    score: float | Literal[""]


def read_summary(path: Path) -> Rows:
    """Rows of a summary, one per fold.

    Raises
    ------
    TrainingError
        If it is missing or torn, or lacks a fold.
    """
    file = TextFile(str(path), TrainingError, "there are no folds to go on with, so train into another --out")
    rows = read_csv(path, FoldRow, file)
    if [row.fold for _, row in rows] != list(range(len(rows))) or len(rows) < 2:
        raise file.refused(f"a row is wanted for each fold, 0, 1, ..., got {[row.fold for _, row in rows]}")
    return [{name: str(value) for name, value in row.model_dump().items()} for _, row in rows]


def best_scores(folder: Path) -> dict[str, str]:
    """Step and scores of the model that a run has kept."""
    best = best_row(load_log(folder / "log.csv")) or {}
    others = ("seconds", "learning_rate", "waiting", "best")
    return {name: str(value) for name, value in best.items() if name not in others}


def write_summary(out: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write a row for each fold; a fold that is not done has no scores."""
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
