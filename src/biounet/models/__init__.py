"""The table of architectures, and the functions that build a network from its configuration."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import torch
from torch import nn

from biounet.config import ModelConfig
from biounet.config.tasks import Task
from biounet.core.errors import ConfigError
from biounet.core.geometry import Geometry
from biounet.models.attention import attention_unet
from biounet.models.blocks import draw_weights
from biounet.models.cascade import CascadeUNet
from biounet.models.dense import dense_unet
from biounet.models.downsampled import Downsampled
from biounet.models.fcn import FCN
from biounet.models.inception import inception_unet
from biounet.models.pix2pix import Pix2Pix
from biounet.models.receptive_field import nearest_sizes, valid_output_size
from biounet.models.recurrent import recurrent_residual_unet
from biounet.models.residual import residual_unet
from biounet.models.sliding_window import sliding_window
from biounet.models.ternausnet import TernausNet
from biounet.models.unet import UNet, unet3d
from biounet.models.unetpp import UNetPlusPlus

__all__ = [
    "MODELS",
    "OF_CLASSES",
    "build",
    "check_task",
    "geometry_of",
    "nearest_sizes",
    "shapes_of",
    "valid_output_size",
]

MODELS: Mapping[str, Callable[[ModelConfig], nn.Module]] = MappingProxyType(
    {
        "unet": UNet,
        "unet++": UNetPlusPlus,
        "attention-unet": attention_unet,
        "residual-unet": residual_unet,
        "recurrent-residual-unet": recurrent_residual_unet,
        "dense-unet": dense_unet,
        "inception-unet": inception_unet,
        "unet3d": unet3d,
        "cascade-unet": CascadeUNet,
        "pix2pix": Pix2Pix,
        "ternausnet": TernausNet,
        "sliding-window": sliding_window,
        "fcn-32s": partial(FCN, stride=32),
        "fcn-16s": partial(FCN, stride=16),
        "fcn-8s": partial(FCN, stride=8),
    }
)
"""Name of an architecture -> function of a `ModelConfig` that makes a Module with a `geometry`.

It maps an image (N, C, *spatial) to logits, or to a predicted image, (N, classes, *spatial)."""

OF_CLASSES = frozenset({"cascade-unet", "sliding-window"})
"""Architectures that cannot draw images: the cascade hands on probabilities, the window classifies its middle pixel."""


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
        With the attribute ``geometry`` (`biounet.core.geometry.Geometry`): sizes, context and pooling grid.

    Raises
    ------
    ConfigError
        If `MODELS` has no such name.

    Examples
    --------
    >>> build(ModelConfig(name="unet")).geometry.margin
    (92, 92)
    """
    net = _make(config)
    draw_weights(net, torch.Generator().manual_seed(seed))
    return net


def geometry_of(config: ModelConfig) -> Geometry:
    """Receptive field, pooling grid and input sizes of a network, without memory for its weights.

    Raises
    ------
    ConfigError
        If there is no such network.

    Examples
    --------
    >>> geometry_of(ModelConfig(name="fcn-8s")).grid, geometry_of(ModelConfig(name="sliding-window")).margin
    ((32, 32), (47, 47))
    """
    with torch.device("meta"):
        geometry = _make(config).geometry
    assert isinstance(geometry, Geometry)
    return geometry


def shapes_of(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each weight of a network by its name, as in its model file, without memory for the weights.

    Raises
    ------
    ConfigError
        If there is no such network.

    Examples
    --------
    >>> shapes_of(ModelConfig(width=2**16, max_width=2**16))["head.weight"]
    (2, 65536, 1, 1)
    """
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in _make(config).state_dict().items()}


def _make(config: ModelConfig) -> nn.Module:
    """The network of a configuration, before its weights are drawn."""
    if config.name not in MODELS:
        raise ConfigError(f"model must be one of {', '.join(MODELS)}, got {config.name!r}")
    with torch.random.fork_rng(devices=[]):  # torch draws every layer once as it is made
        net = MODELS[config.name](config)
        return Downsampled(net, config.coarse) if config.coarse > 1 else net


def check_task(name: str, task: Task) -> None:
    """Refuse an architecture that cannot learn the task.

    Raises
    ------
    ConfigError
        If the target is an image, and it is one of `OF_CLASSES`.
    """
    if not task.has_labels and name in OF_CLASSES:
        raise ConfigError(f"{name} learns classes, the targets are images; try --model unet or pix2pix")
