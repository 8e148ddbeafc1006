"""Weights of a trained network for one of other channels or classes: what fits is taken, the rest adapted or drawn."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.models import shapes_of

__all__ = ["DATA", "Transfer", "plan_transfer", "transfer"]


DATA = ("dims", "in_channels", "classes")
"""Fields of a `ModelConfig` that follow from images and labels; all others are the architecture."""


@dataclass(frozen=True)
class Transfer:
    """Names of the weights of a network, by where they come from."""

    taken: tuple[str, ...]
    """As they are."""
    adapted: tuple[str, ...]
    """Of the first layer, where images have other channels."""
    drawn: tuple[str, ...]
    """At random: of the output layer, where classes or targets differ, and what depends on channels elsewhere."""


def plan_transfer(source: ModelConfig, wanted: ModelConfig, *, new_head: bool = False) -> Transfer:
    """Weights that a network takes from another of the same architecture, found by their shapes.

    Parameters
    ----------
    source : ModelConfig
        Of the trained network.
    wanted : ModelConfig
        Of the network to begin.
    new_head : bool
        Draw the output layer anew also where the number of classes is the same, since they mean something else.

    Raises
    ------
    ConfigError
        If the networks differ in more than channels and classes; it names the settings.

    Examples
    --------
    >>> grey, colour = ModelConfig(width=4, depth=1), ModelConfig(width=4, depth=1, in_channels=3)
    >>> plan_transfer(grey, colour).adapted
    ('contracting.0.0.weight',)
    >>> plan_transfer(grey, ModelConfig(width=4, depth=1, classes=5)).drawn
    ('head.weight', 'head.bias')
    """
    _check_architecture(source, wanted)
    before, after = shapes_of(source), shapes_of(wanted)
    more_classes = shapes_of(source.model_copy(update={"classes": source.classes + 1}))
    heads = {name for name in before if before[name] != more_classes[name]}
    redrawn = heads if new_head or source.classes != wanted.classes else set[str]()
    taken = tuple(name for name in after if before[name] == after[name] and name not in redrawn)
    others = [name for name in after if name not in taken]
    adapted = tuple(
        name
        for name in others
        if name not in heads
        and len(after[name]) > 1
        and after[name][1] == wanted.in_channels
        and before[name] == (after[name][0], source.in_channels, *after[name][2:])
    )
    return Transfer(taken, adapted, tuple(name for name in others if name not in adapted))


def transfer(net: nn.Module, weights: Mapping[str, Tensor], plan: Transfer) -> None:
    """Give a network the weights of another.

    Images of n channels become images of m: the weights of the first layer are summed over the n channels and divided
    by m. So a grey image gives what it gave before, repeated in m channels or in the n of the trained network.

    Parameters
    ----------
    net : Module
        Changed in place.
    weights : name -> Tensor
        Of the trained network.
    plan : Transfer
        As `plan_transfer` makes it.
    """
    own = net.state_dict()
    with torch.no_grad():
        for name in plan.taken:
            own[name].copy_(weights[name])
        for name in plan.adapted:
            summed = weights[name].float().sum(dim=1, keepdim=True) / own[name].shape[1]
            own[name].copy_(summed.expand_as(own[name]))


def _check_architecture(source: ModelConfig, wanted: ModelConfig) -> None:
    """Refuse networks that differ in more than channels and classes."""
    for field in ModelConfig.model_fields:
        if field in ("in_channels", "classes", "dropout", "deep_supervision", "pretrained"):  # no weight depends on it
            continue
        have, want = getattr(source, field), getattr(wanted, field)
        if have != want:
            raise ConfigError(
                f"model.{field} is {have} in the model to begin with, and {want} in the settings; leave model.{field} "
                "out, or train without --from"
            )
