"""Presets: complete settings that a run can begin from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from biounet.config.settings import Chosen

__all__ = ["PRESETS"]


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Ronneberger et al. 2015 to the letter. Learning rate, number of steps and share of the drop-out
        # are not stated in the paper; the values here were customary at the time, see docs/recipes.md.
        "paper": {
            "augment": {"labels_outside": "mirror"},
            "train": {"target": "paper", "precision": "float32", "finalise": False},
        },
        # The best result for few images in little time, as measured in docs/recipes.md.
        "default": {
            "model": {"width": 16, "max_width": 512, "depth": 4, "padding": "same", "norm": "batch", "dropout": 0.2},
            "augment": {
                "scale": 1.25,
                "brightness": 0.3,
                "contrast": 1.5,
                "gamma": 1.3,
                "noise": 0.2,
                "blur": 1.0,
            },
            "train": {
                "batch": 2,
                "patch": 256,
                "auto": get_args(Chosen),
                "loss": "cross-entropy",
                "border_weight": 0.0,
                "class_balance": False,
                "by_size": 0.5,
                "optimizer": "adamw",
                "learning_rate": 3e-3,
                "weight_decay": 0.05,
                "schedule": "one-cycle",
                "clip": 1.0,
                "ema": 0.995,
            },
        },
    }
)
"""Name of a preset -> settings that differ from the defaults of the fields, which are those of the paper."""
