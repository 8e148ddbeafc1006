"""Model files that say what cannot be: each number of the settings, and each tensor, damaged in turn."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

NUMBERS = (math.nan, math.inf, -math.inf, -1, 0, 1e308, -1e308, 1e-308, 1e38, 1e30, 2**63, 10**30, 10**400, 3000)
OTHERS = ("x", "", None, True, [], {}, [1, "x"], "[" * 1000, [[[]]])
WEIGHTS = (math.nan, math.inf, -math.inf, 1e38, -1e38, 1e12, 1e9)


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and card of a model file."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["biounet"])


def write(path: Path, tensors: dict[str, torch.Tensor], card: Any) -> None:
    """Write a model file, whatever it says."""
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, {"biounet": json.dumps(card)})


def damages(tensors: dict[str, torch.Tensor], card: dict[str, Any]) -> list[tuple[str, dict[str, torch.Tensor], Any]]:
    """All damages, each with its name: of every setting, then of every tensor."""
    settings = {name: value for name, value in card.items() if name != "training"}
    found = [
        (f"{'.'.join(map(str, keys))}={value!r:.40}", tensors, _changed(card, keys, value))
        for keys in _leaves(settings)
        for value in (*NUMBERS, *OTHERS)
    ]
    for name, tensor in tensors.items():
        for value in WEIGHTS if tensor.is_floating_point() else ():
            one = tensor.clone()
            one.view(-1)[-1] = value
            found.append((f"{name} holds {value}", {**tensors, name: one}, card))
        strange = {
            "is of float64, 1e300": torch.full_like(tensor, 1e300, dtype=torch.float64),
            "is of integers": torch.full_like(tensor, 2**62, dtype=torch.int64),
            "is longer": torch.cat([tensor.flatten(), tensor.flatten()]),
            "is empty": tensor.flatten()[:0],
            "is of other axes": tensor[None],
        }
        found += [(f"{name} {what}", {**tensors, name: other}, card) for what, other in strange.items()]
        found.append((f"{name} is missing", {key: value for key, value in tensors.items() if key != name}, card))
        found.append(
            (f"{name} has another name", {f"x{key}" if key == name else key: v for key, v in tensors.items()}, card)
        )
    return found


def _leaves(value: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of all values in nested settings, those that hold others too."""
    if keys:
        yield keys
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from _leaves(each, (*keys, key))


def _changed(card: dict[str, Any], keys: tuple[Any, ...], value: Any) -> Any:
    """A copy of the settings with one value in place of another."""
    copy = json.loads(json.dumps(card))
    at = copy
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    return copy
