"""Folder of a training run: whether a run may begin or go on in it, leftovers of killed processes, and its log."""

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from biounet.config import RunConfig
from biounet.core.atomic_files import remove_parts, replacing, sayable
from biounet.core.csv_file import read_heading
from biounet.core.errors import OutputError, TrainingError
from biounet.core.output_lock import is_lock
from biounet.core.places import check_output
from biounet.core.text_file import TextFile
from biounet.core.words import shortened
from biounet.data.hashes import HASHES, check_same_data, save_hashes
from biounet.training.checkpoint import remove_old

__all__ = [
    "EARLY",
    "add_row",
    "begin_folder",
    "check_folder",
    "check_new",
    "check_place",
    "clear_parts",
    "cut_log",
    "lengthen",
]


SETTINGS = "config.toml"
LOG = "log.csv"
STATES = "last"
EARLY = (f"{STATES}/{HASHES}",)
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
    found = (path for path in folder.rglob("*") if not path.is_dir())
    files = (path for path in found if ".part" not in path.suffixes and not is_lock(path))
    if any(path.relative_to(folder).as_posix() not in early for path in files):
        raise OutputError(f"{folder} is not empty; choose another --out, or go on with --resume")


def check_place(folder: Path, *, resume: bool) -> None:
    """Check of a folder before any image is read: it can be written to, and no run is in it that is not resumed.

    Parameters
    ----------
    folder : Path
    resume : bool

    Raises
    ------
    OutputError
        If the folder is a file or cannot be written to, or is not empty and the run is not to be resumed.
    """
    check_output(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file, and no folder; choose another --out")
    if not resume:
        check_new(folder)


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
        If there is nothing to resume, or data or settings have changed, other than to more steps or more minutes.
    """
    check_place(folder, resume=resume)
    if not resume:
        return
    settings = folder / SETTINGS
    if not settings.is_file():
        raise TrainingError(f"{folder} holds no run to resume; train without --resume")
    before = RunConfig.read(settings)
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
        for name, value in (("steps", config.train.steps), ("minutes", config.train.minutes)):
            text = re.sub(rf"^{name} = [^ #\n]+", f"{name} = {value}", text, flags=re.MULTILINE)
        with replacing(path, overwrite=True) as temporary:
            temporary.write_text(text)


def begin_folder(folder: Path, config: RunConfig, reasons: Mapping[str, str], hashes: Mapping[str, str]) -> None:
    """Write the settings and data hashes of a run; the settings last, since they mark a run that can be resumed."""
    save_hashes(folder / STATES, hashes)
    with replacing(folder / SETTINGS) as temporary:
        temporary.write_text(config.to_toml(reasons=reasons), encoding="utf-8")


def clear_parts(folder: Path) -> None:
    """Remove half-written files and old checkpoints of killed processes; the folder must be locked by this process."""
    remove_parts(folder / name for name in (SETTINGS, LOG, "model.safetensors", "report.html"))
    remove_parts((), folder=folder / STATES)
    remove_old(folder / STATES)


def add_row(folder: Path, row: Mapping[str, float]) -> None:
    """Append a row to the log; the first time, with a heading. Columns that a later row lacks become nan."""
    path = folder / LOG
    columns = read_heading(path, log_file(path)) if path.exists() else ()
    if columns and not set(row) <= set(columns):
        other = ", ".join(sorted(set(row) - set(columns)))
        raise log_file(path).refused(f"there is no column {shortened(other)}", line=1)
    with sayable(path), path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=columns or list(row), restval="nan")
        if not columns:
            writer.writeheader()
        writer.writerow(row)


def log_file(path: Path) -> TextFile:
    """The log of a run, as messages speak of it."""
    return TextFile(str(path), TrainingError, "delete it, and go on with --resume", most=2**26)


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
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        heading, *rows = [*stream] or [""]
    steps = [row.partition(",")[0] for row in rows]
    pairs = zip(rows, steps, strict=True)
    whole = [(row, int(made)) for row, made in pairs if row.endswith("\n") and made.isdecimal() and len(made) < 20]
    rows_before = [row for row, made in whole if made <= step]
    if not rows_before or not heading.startswith("step,"):
        path.unlink()  # the first row brings its heading
    elif rows_before != rows:
        with replacing(path, overwrite=True) as temporary:
            temporary.write_text("".join([heading, *rows_before]), newline="")
