"""Folder of a training run: whether a run may begin or go on in it, leftovers of killed processes, and its log."""

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from biounet.config import RunConfig
from biounet.config.toml import with_values
from biounet.core.atomic_files import remove_parts, replacing, sayable
from biounet.core.errors import OutputError, TrainingError
from biounet.data.hashes import HASHES, check_same_data, save_hashes
from biounet.training.checkpoint import LOCK, hold

__all__ = ["EARLY", "add_row", "begin_folder", "check_folder", "check_new", "clear_parts", "cut_log", "lengthen"]


SETTINGS = "config.toml"
LOG = "log.csv"
STATES = "last"
EARLY = (LOCK, f"{STATES}/{HASHES}")
"""Files that are written before the settings: a run that was killed by then has not begun."""


def check_new(folder: Path, *, early: Collection[str] = EARLY) -> None:
    """Check of a new run: the folder is empty, but for files of a run that was killed before its settings were written.

    Parameters
    ----------
    folder : Path
    early : names of files, relative to the folder, that may be there

    Raises
    ------
    OutputError
    """
    files = (path for path in folder.rglob("*") if not path.is_dir() and ".part" not in path.suffixes)
    if any(path.relative_to(folder).as_posix() not in early for path in files):
        raise OutputError(f"{folder} is not empty; choose another --out, or go on with --resume")


def check_folder(folder: Path, config: RunConfig, hashes: Mapping[str, str], *, resume: bool) -> None:
    """Check of a folder: it holds no other run, or, to resume, a run of the same settings and data; nothing is written.

    Parameters
    ----------
    folder : Path
    config : RunConfig
        Settings of the run that is to begin or to go on.
    hashes : as of `biounet.data.hashes.image_hashes`
    resume : bool

    Raises
    ------
    OutputError
        If the folder is a file, or is not empty and the run is not to be resumed.
    TrainingError
        If another process trains into it; or there is nothing to resume, or data or settings have changed, other than
        to more steps or more minutes.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise OutputError(f"{there} is a file, and no folder; choose another --out")
    if (folder / LOCK).exists():
        with hold(folder):
            pass
    if not resume:
        check_new(folder)
        return
    settings = folder / SETTINGS
    if not settings.is_file():
        raise TrainingError(f"{folder} holds no run to resume; train without --resume")
    before = RunConfig.from_toml(settings.read_text(), source=str(settings))
    changed = before.differences(config)
    if changed and not _is_longer(before, config, changed):
        raise TrainingError(f"{folder} was begun with other settings ({', '.join(changed)}); use its own")
    check_same_data(folder / STATES, hashes)


def _is_longer(before: RunConfig, config: RunConfig, changed: Sequence[str]) -> bool:
    """Whether a run is to go on as it was begun, only for longer; shorter is an error.

    Raises
    ------
    TrainingError
        If its budget is of another kind, or less than the one that it was begun with.
    """
    if not set(changed) <= {"train.steps", "train.minutes"}:
        return False
    for name, had, wanted in (
        ("steps", before.train.steps, config.train.steps),
        ("minutes", before.train.minutes, config.train.minutes),
    ):
        if had is not None and (wanted is None or wanted < had):
            raise TrainingError(
                f"the run was begun with --{name} {had:g}; go on with --resume alone, or with a greater --{name}"
            )
    return True


def lengthen(folder: Path, config: RunConfig) -> None:
    """Write the budget of a run that goes on for longer than it was begun with; reasons of settings stay."""
    path = folder / SETTINGS
    text = path.read_text()
    if RunConfig.from_toml(text, source=str(path)) != config:
        budget = {"train.steps": config.train.steps, "train.minutes": config.train.minutes}
        known = {name: value for name, value in budget.items() if value is not None}
        with replacing(path, overwrite=True) as temporary:
            temporary.write_text(with_values(text, known))


def begin_folder(folder: Path, config: RunConfig, reasons: Mapping[str, str], hashes: Mapping[str, str]) -> None:
    """Write the settings and data hashes of a run; the settings last, since they mark a run that can be resumed."""
    save_hashes(folder / STATES, hashes)
    with replacing(folder / SETTINGS) as temporary:
        temporary.write_text(config.to_toml(reasons=reasons))


def clear_parts(folder: Path) -> None:
    """Remove half-written files of killed processes; the folder must be locked by this process."""
    for name in (SETTINGS, LOG, "model.safetensors", "report.html"):
        remove_parts(folder / name)
    for name in (HASHES, "step-*.safetensors"):
        remove_parts(folder / STATES / name)


def add_row(folder: Path, row: Mapping[str, float]) -> None:
    """Append a row to the log; the first time, with a heading. Columns that a later row lacks become nan."""
    path = folder / LOG
    with sayable(path), path.open("a+", newline="") as stream:
        stream.seek(0)
        columns = next(csv.reader(stream), None)
        writer = csv.DictWriter(stream, fieldnames=columns or list(row), restval="nan")
        if columns is None:
            writer.writeheader()
        writer.writerow(row)


def cut_log(folder: Path, *, step: int) -> None:
    r"""Remove rows after a step from the log, since a run that goes on from there writes them anew, and a torn row.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "log.csv").write_text("step,loss\n2,0.5\n4,0.25\n6,0.1")
    >>> cut_log(folder, step=2)
    >>> (folder / "log.csv").read_text()
    'step,loss\n2,0.5\n'
    """
    path = folder / LOG
    if not path.exists():
        return
    with path.open(newline="", errors="replace") as stream:
        heading, *rows = [*stream] or [""]
    steps = [row.partition(",")[0] for row in rows]
    whole = [(row, int(made)) for row, made in zip(rows, steps, strict=True) if row.endswith("\n") and made.isdecimal()]
    rows_before = [row for row, made in whole if made <= step]
    if not rows_before or not heading.startswith("step,"):
        path.unlink()  # the first row brings its heading
    elif rows_before != rows:
        with replacing(path, overwrite=True) as temporary:
            temporary.write_text("".join([heading, *rows_before]), newline="")
