"""Settings: frozen, checked at birth, unknown keys refused; read from and written to TOML.

A run is described by one `RunConfig` with a section for each concern. ``--set train.loss=dice``
on the command line, a ``config.toml`` and Python code all go through the same checks.
"""

from biounet.config.presets import PRESETS
from biounet.config.settings import AugmentConfig, ModelConfig, Settings, TileConfig, TrainConfig
from biounet.config.toml import RunConfig, toml_value
from biounet.core.labels import IGNORE

__all__ = [
    "IGNORE",
    "PRESETS",
    "AugmentConfig",
    "ModelConfig",
    "RunConfig",
    "Settings",
    "TileConfig",
    "TrainConfig",
    "toml_value",
]
