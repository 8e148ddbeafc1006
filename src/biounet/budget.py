"""What a time budget pays for: the widest network that still makes enough updates on this machine."""

import math
import time
from collections.abc import Sequence

import torch
from lightning_fabric import Fabric

from biounet.config import RunConfig
from biounet.errors import TrainingError
from biounet.losses import IMAGE_LOSSES
from biounet.patches import Batch
from biounet.processes import agree, alone, least
from biounet.update import State, train_step

__all__ = ["WIDTHS", "choose_width", "seconds_per_step"]

WIDTHS = (16, 32, 48, 64)
"""From what is good enough for most images to the width of the paper; 24 channels would take as long as 32."""

ENOUGH, BATCH = 2500, 2**17
"""Updates below which a wider network is worse than a longer training, of batches of so many pixels; of smaller ones it
is as many more. See docs/recipes.md, "How long"."""


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
        Infinite if a device does not hold its part of a batch in one piece.
    """
    share = len(range(fabric.global_rank, config.train.batch, fabric.world_size))
    if fabric.world_size > 1:  # first by themselves: one that is out of memory would let the others wait for ever
        seconds = _measured(config, size, share, alone(fabric, config.train.precision))
        if least(fabric, -seconds) == -math.inf:
            return math.inf
    return agree(fabric, _measured(config, size, share, fabric))


def _measured(config: RunConfig, size: Sequence[int], share: int, fabric: Fabric) -> float:
    """Time of an update in this process, which does its share of the batch; infinite if that has no room."""
    times = []
    try:
        state = State.begin(config, fabric.device)
        images = torch.zeros(share, config.model.in_channels, *size, device=fabric.device)
        with torch.no_grad():
            spatial = state.net.eval()(images[:1]).shape[2:]
        if config.train.loss in IMAGE_LOSSES:
            labels = torch.zeros(share, config.model.classes, *spatial, device=fabric.device)
        else:
            labels = torch.zeros(share, *spatial, dtype=torch.int64, device=fabric.device)
        state.join(fabric)
        for _ in range(3):
            began = time.perf_counter()
            train_step(state, Batch(images, labels, None), config.train, fabric=fabric, progress=0.5).item()
            times.append(time.perf_counter() - began)
    except (torch.OutOfMemoryError, TrainingError) as error:
        if fabric.world_size > 1 or not isinstance(error.__cause__ or error, torch.OutOfMemoryError):
            raise
        return math.inf
    return min(times[1:]) if state.pieces == 1 else math.inf


def choose_width(config: RunConfig, size: Sequence[int], *, fabric: Fabric) -> tuple[RunConfig, str]:
    """Give the network the greatest of `WIDTHS` that has room, and with which the minutes hold enough updates.

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
    enough = ENOUGH * max(1.0, BATCH * config.model.coarse**2 / (config.train.batch * math.prod(size)))
    for width in WIDTHS:
        wider = config.updated({"model.width": width})
        needed = seconds_per_step(wider, size, fabric=fabric)
        if math.isinf(needed):
            if reason:
                return chosen, f"{reason}; the GPU has no room for {width}"
            return wider, "the least; the GPU does not hold even a batch of these in one piece"
        if reason and seconds / needed < enough:
            break
        chosen = wider
        reason = f"{needed:.2f} s a step, so {seconds / needed:.0f} steps in {config.train.minutes:g} minutes"
    return chosen, reason
