"""The U-Net family: one table from names to networks."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import nn

from biounet.config import ModelConfig
from biounet.errors import ConfigError
from biounet.models.blocks import draw_weights
from biounet.models.unet import UNet

__all__ = ["MODELS", "build"]

MODELS: Mapping[str, Callable[[ModelConfig], nn.Module]] = MappingProxyType(
    {
        "unet": UNet,
    }
)
"""Every entry makes a Module with a `geometry` that maps (N, C, *spatial) to (N, classes, *spatial)."""


def build(config: ModelConfig, *, seed: int = 0) -> nn.Module:
    """Build a network and draw its weights.

    Parameters
    ----------
    config : ModelConfig
    seed : int
        Equal seeds give equal weights; the global generator of torch is neither used nor moved.

    Returns
    -------
    torch.nn.Module
        With the attribute ``geometry`` (`biounet.geometry.Geometry`): sizes, context and pooling grid.

    Raises
    ------
    ConfigError
        If `MODELS` has no such name.

    Examples
    --------
    >>> build(ModelConfig(name="unet")).geometry.margin
    (92, 92)
    """
    if config.name not in MODELS:
        raise ConfigError(f"model must be one of {', '.join(MODELS)}, got {config.name!r}")
    with torch.random.fork_rng(devices=[]):  # torch draws every layer once as it is made
        net = MODELS[config.name](config)
    draw_weights(net, torch.Generator().manual_seed(seed))
    return net
