"""The state of a training run on disk: tensors as safetensors, all else as JSON in its header. No pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from biounet.atomic import replacing
from biounet.errors import TrainingError

__all__ = ["load_state", "save_state"]

KEPT = 2  # states; the one before the last is there in case the last was torn by the file system


def save_state(folder: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write the state after `step` updates; older states are removed once it is in place.

    Parameters
    ----------
    folder : Path
        ``last/`` of a run.
    step : int
    tensors : name -> Tensor
    facts : what JSON can hold

    Raises
    ------
    OutputError
        If it cannot be written; the state before is still there.
    """
    with replacing(folder / f"step-{step:08d}.safetensors", overwrite=True) as temporary:
        temporary.write_bytes(
            save({name: value.contiguous() for name, value in tensors.items()}, {"run": json.dumps(facts)})
        )
    for old in _states(folder)[:-KEPT]:
        old.unlink()


def load_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the latest state that is whole.

    Raises
    ------
    TrainingError
        If there is none.
    """
    for path in reversed(_states(folder)):
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
                return tensors, json.loads(file.metadata()["run"])
        except (SafetensorError, OSError):
            continue
    raise TrainingError(f"{folder} holds no state to resume; train without --resume, into a new folder")


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"))
