"""Checkpoints of a training run: tensors as safetensors, numbers as JSON in the header. No pickle."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import NonNegativeInt, PositiveInt
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from biounet.core.atomic_files import replacing, sayable
from biounet.core.errors import TrainingError
from biounet.core.json_file import parse_json
from biounet.core.text_file import Record, TextFile

__all__ = ["LOCK", "Progress", "hold", "load_state", "save_state"]


if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


LOCK = ".lock"
"""File in the folder of a run that is locked while a process trains into it."""

KEPT = 2
"""Checkpoints that stay: the second in case the last one was torn by the file system."""


class Progress(Record):
    """How far a run has come: what a checkpoint holds beside tensors."""

    step: NonNegativeInt
    seconds: float
    gone: float = 0.0
    """Seconds before the first step; in old checkpoints the schedule began with the minutes."""
    best: float
    pieces: PositiveInt


def save_state(folder: Path, step: int, tensors: Mapping[str, Tensor], progress: "Progress") -> None:
    """Write the checkpoint after `step` updates; older checkpoints are removed once it is in place.

    Parameters
    ----------
    folder : Path
        ``last/`` of a run.
    step : int
    tensors : name -> Tensor
    progress : Progress

    Raises
    ------
    OutputError
        If it cannot be written; the checkpoint before is still there.
    """
    with replacing(folder / f"step-{step:08d}.safetensors", overwrite=True) as temporary:
        temporary.write_bytes(
            save(
                {name: value.contiguous() for name, value in tensors.items()},
                {"run": json.dumps(progress.model_dump())},
            )
        )
    for old in _states(folder)[:-KEPT]:
        old.unlink()


def load_state(folder: Path) -> tuple[dict[str, Tensor], Progress] | None:
    """Tensors and progress of the latest checkpoint that is whole; None if there is no checkpoint.

    Raises
    ------
    TrainingError
        If there are checkpoints and none is whole.
    """
    states = _states(folder)
    for path in reversed(states):
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
                text = (file.metadata() or {}).get("run", "")
            return tensors, parse_json(text, Progress, TextFile(str(path), TrainingError, "take an older one"))
        except (SafetensorError, OSError, TrainingError):
            continue
    if states:
        raise TrainingError(f"no checkpoint in {folder} can be read; train without --resume, into a new folder")
    return None


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"))


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Lock of a folder, held by this process while the block runs.

    The system releases the lock when the process ends, however it ends, so that no lock is ever stale.

    Raises
    ------
    TrainingError
        If another process holds the lock.
    OutputError
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with hold(folder), hold(folder):
    ...     pass
    Traceback (most recent call last):
    ...
    biounet.core.errors.TrainingError: another training runs in ...
    """
    with sayable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    with file:
        try:
            _lock(file)
        except OSError as error:
            raise TrainingError(
                f"another training runs in {folder} now; wait for its end, or choose another --out"
            ) from error
        yield


def _lock(file: IO[str]) -> None:
    """Lock a file, or raise an OSError if another process has done so."""
    if sys.platform == "win32":
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
