"""Optimiser, learning rate, and running average of the weights."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from biounet.config import TrainConfig

__all__ = ["average_weights", "learning_rate", "make_optimizer"]


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Learning rate at a point of the run.

    Parameters
    ----------
    config : TrainConfig
    progress : in [0, 1], no unit
        Share of the run that is done: of its steps, or of its minutes.

    Returns
    -------
    float
        ``constant``: the same throughout. ``cosine``: from the peak down to 0 along half a cosine, after a
        linear warm-up. ``one-cycle``: up from 1/25 of the peak and down to 1/10,000 of it, both along half
        a cosine.

    Notes
    -----
    Source: Loshchilov and Hutter 2017 (cosine), Smith and Topin 2018 (one-cycle).

    Examples
    --------
    >>> config = TrainConfig(learning_rate=0.1, schedule="cosine", warmup=0.0)
    >>> [round(learning_rate(config, at), 3) for at in (0, 0.5, 1)]
    [0.1, 0.05, 0.0]
    """
    peak = config.learning_rate
    if config.schedule == "constant":
        return peak
    rising = progress < config.warmup
    if config.schedule == "cosine":
        if rising:
            return peak * progress / config.warmup
        return peak * _half_cosine((progress - config.warmup) / max(1 - config.warmup, 1e-9))
    first, last = peak / 25, peak / 1e4
    if rising:
        return peak + (first - peak) * _half_cosine(progress / config.warmup)
    return last + (peak - last) * _half_cosine((progress - config.warmup) / max(1 - config.warmup, 1e-9))


def _half_cosine(at: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return (1 + math.cos(math.pi * min(at, 1.0))) / 2


def make_optimizer(net: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Stochastic gradient descent as in the paper, or AdamW with the decay on weights of convolutions only.

    Examples
    --------
    >>> make_optimizer(nn.Linear(2, 1), TrainConfig()).defaults["momentum"]
    0.99
    """
    kernels = [weight for weight in net.parameters() if weight.ndim > 1]
    others = [weight for weight in net.parameters() if weight.ndim <= 1]  # biases, scales of the normalisation
    groups = [
        {"params": kernels, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


@torch.no_grad()
def average_weights(average: Mapping[str, Tensor], net: nn.Module, *, decay: float, step: int) -> None:
    """Move a running average of weights (and of normalisation statistics) towards those of a network.

    Parameters
    ----------
    average : name -> Tensor, changed in place
    net : Module
    decay : in [0, 1), no unit
        Share of the average that stays per step; less in the first steps, so that the random initial
        weights are soon forgotten.
    step : int, from 0

    Examples
    --------
    >>> net = nn.Linear(1, 1, bias=False)
    >>> average = {"weight": torch.zeros(1, 1)}
    >>> average_weights(average, net, decay=0.9, step=0)        # (1 + 0) / (10 + 0) stays
    >>> bool(torch.isclose(average["weight"], 0.9 * net.weight))
    True
    """
    stays = min(decay, (1 + step) / (10 + step))
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - stays)
        else:
            average[name].copy_(value)
