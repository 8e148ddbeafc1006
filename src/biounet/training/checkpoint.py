"""Checkpoints of a training run: tensors as safetensors, numbers as JSON in the header. No pickle."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from biounet.core.atomic_files import replacing
from biounet.core.errors import TrainingError
from biounet.core.json_file import parse_json
from biounet.core.text_file import Record, TextFile

__all__ = ["Progress", "load_state", "remove_old", "save_state"]


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
    losses: NonNegativeInt = 0
    """Number of losses since the last row of the log, of which the next one has the mean."""
    loss_sum: float = 0.0


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
    remove_old(folder)


def remove_old(folder: Path) -> None:
    """Remove older checkpoints than the last two, of which a killed process may have left one."""
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
