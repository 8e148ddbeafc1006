"""Settings of a run: frozen, validated on construction, unknown keys refused; read from and written to TOML.

One `RunConfig` describes a run, with groups of settings for the network, augmentation and training.
``--set train.loss=dice`` on the command line, a ``config.toml`` and Python code all go through the same checks.
"""

from biounet.config.presets import PRESETS
from biounet.config.settings import ARCHITECTURES, AugmentConfig, ModelConfig, Settings, TileConfig, TrainConfig
from biounet.config.toml import RunConfig
from biounet.core.labels import IGNORE
from biounet.core.toml_file import toml_value

__all__ = [
    "ARCHITECTURES",
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
