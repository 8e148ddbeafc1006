"""What a time budget pays for: the widest network that still makes enough updates on this machine."""

import time
from collections.abc import Sequence

import torch
from lightning_fabric import Fabric

from biounet.config import RunConfig
from biounet.losses import IMAGE_LOSSES
from biounet.patches import Batch
from biounet.processes import agree
from biounet.update import State, train_step

__all__ = ["WIDTHS", "choose_width", "seconds_per_step"]

WIDTHS = (16, 32, 48, 64)
"""From what is good enough for most images to the width of the paper; 24 channels would take as long as 32."""

ENOUGH = 2500
"""Updates below which a wider network is worse than a longer training; measured, see docs/recipes.md."""


def seconds_per_step(config: RunConfig, size: Sequence[int], *, fabric: Fabric) -> float:
    """Time of one update, the shorter of two after one to warm up.

    Parameters
    ----------
    config : RunConfig
    size : pixels per axis of the network's input
    fabric : Fabric

    Returns
    -------
    float, seconds
    """
    state = State.begin(config, fabric.device)
    share = len(range(fabric.global_rank, config.train.batch, fabric.world_size))
    images = torch.zeros(share, config.model.in_channels, *size, device=fabric.device)
    with torch.no_grad():
        spatial = state.net.eval()(images[:1]).shape[2:]
    if config.train.loss in IMAGE_LOSSES:
        labels = torch.zeros(share, config.model.classes, *spatial, device=fabric.device)
    else:
        labels = torch.zeros(share, *spatial, dtype=torch.int64, device=fabric.device)
    state.join(fabric)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        train_step(state, Batch(images, labels, None), config.train, fabric=fabric, progress=0.5).item()
        times.append(time.perf_counter() - began)
    return agree(fabric, min(times[1:]))


def choose_width(config: RunConfig, size: Sequence[int], *, fabric: Fabric) -> tuple[RunConfig, str]:
    """Give the network the greatest of `WIDTHS` with which the minutes hold `ENOUGH` updates.

    Parameters
    ----------
    config : RunConfig
        With ``train.minutes``; its width is no longer ``train.auto`` in the result.
    size : pixels per axis of the network's input
    fabric : Fabric
        Of the run, so that what is measured is what will be done.

    Returns
    -------
    RunConfig
    str
        The reason, for people.
    """
    assert config.train.minutes is not None
    seconds, chosen, reason = 60 * config.train.minutes, config, ""
    for width in WIDTHS:
        wider = config.updated({"model.width": width})
        needed = seconds_per_step(wider, size, fabric=fabric)
        if reason and seconds / needed < ENOUGH:
            break
        chosen = wider
        reason = f"{needed:.2f} s a step, so {seconds / needed:.0f} steps in {config.train.minutes:g} minutes"
    return chosen, reason
