"""Width and batch that fit the minutes: the widest network that makes enough updates, then larger batches."""

import math
import time
from collections.abc import Collection, Sequence

import torch
from lightning_fabric import Fabric
from torch.autograd.graph import saved_tensors_hooks

from biounet.config import RunConfig
from biounet.config.tasks import TASKS
from biounet.core.errors import TrainingError
from biounet.core.memory import freed_memory_kept, machine_bytes
from biounet.data.patches import Batch
from biounet.models import build
from biounet.training.distributed import all_reduce_min, alone, broadcast, local_size
from biounet.training.step import State, train_step

__all__ = ["LARGEST_BATCH", "WIDTHS", "choose_batch", "choose_width", "fit_minutes", "seconds_per_step"]


WIDTHS = (16, 32, 48, 64)
"""Widths that are tried, up to that of the paper; 16 is enough for most images, 24 would take as long as 32."""

ENOUGH, BATCH = 2500, 2**17
"""Updates below which a wider network is worse than a longer training, and pixels of the batches for which they were
measured; smaller batches need proportionally more updates. See docs/recipes.md, "How long"."""

LARGEST_BATCH = 16
"""Patches of a batch at most."""

SHARE = 0.25
"""Share of the memory of a machine without a GPU that feature maps of a larger batch may take; images may take half."""


def fit_minutes(
    config: RunConfig, auto: Collection[str], size: Sequence[int], *, fabric: Fabric
) -> tuple[RunConfig, dict[str, str]]:
    """Settings that follow from ``train.minutes``: the width, and where the widest leaves time, the batch.

    Parameters
    ----------
    config : RunConfig
        With ``train.minutes``.
    auto : settings that are not given by hand
    size : pixels per axis of the network's input
    fabric : Fabric
        The one of the run, so that steps are measured under its conditions.

    Returns
    -------
    RunConfig
    dict
        Name of each setting that was chosen -> reason, for users.
    """
    reasons = {}
    by_hand = "model.width" not in auto
    if not by_hand:
        config, reasons["model.width"] = choose_width(config, size, fabric=fabric)
    if "train.batch" in auto and (by_hand or config.model.width == WIDTHS[-1]):
        larger, reason = choose_batch(config, size, fabric=fabric)
        if reason:
            config, reasons["train.batch"] = larger, reason
    return config, reasons


def _enough(config: RunConfig, size: Sequence[int]) -> float:
    """Updates that are enough, for the batches of the settings."""
    return ENOUGH * max(1.0, BATCH * config.model.coarse**2 / (config.train.batch * math.prod(size)))


def seconds_per_step(config: RunConfig, size: Sequence[int], *, fabric: Fabric) -> float:
    """Duration of one update: the shorter of two, after one to warm up.

    Parameters
    ----------
    config : RunConfig
    size : pixels per axis of the network's input
    fabric : Fabric

    Returns
    -------
    float, seconds
        Infinite if a device cannot hold its part of a batch in one piece.
    """
    share = len(range(fabric.global_rank, config.train.batch, fabric.world_size))
    if fabric.world_size > 1:  # first each alone: a process out of memory would let the others wait for ever
        seconds = _measured(config, size, share, alone(fabric, config.train.precision))
        if all_reduce_min(fabric, -seconds) == -math.inf:
            return math.inf
    return broadcast(fabric, _measured(config, size, share, fabric))


def _measured(config: RunConfig, size: Sequence[int], share: int, fabric: Fabric) -> float:
    """Duration of an update in this process with its share of the batch; infinite if memory is too short."""
    times = []
    try:
        state = State.begin(config, fabric.device)
        images = torch.zeros(share, config.model.in_channels, *size, device=fabric.device)
        with torch.no_grad():
            spatial = state.net.eval()(images[:1]).shape[2:]
        if config.train.loss in TASKS["images"].losses:
            labels = torch.zeros(share, config.model.classes, *spatial, device=fabric.device)
        else:
            labels = torch.zeros(share, *spatial, dtype=torch.int64, device=fabric.device)
        state.join(fabric)
        with freed_memory_kept():
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
    """Settings with the greatest of `WIDTHS` that fits into memory and makes enough updates in the minutes.

    Parameters
    ----------
    config, size, fabric : as of `fit_minutes`

    Returns
    -------
    RunConfig
        Its width is no longer in ``train.auto``.
    str
        The reason, for users.
    """
    chosen, reason, enough = config, "", _enough(config, size)
    for width in WIDTHS:
        wider = config.updated({"model.width": width})
        needed = seconds_per_step(wider, size, fabric=fabric)
        if math.isinf(needed):
            if reason:
                return chosen, f"{reason}; the GPU has no room for {width}"
            return wider, "the least; the GPU does not hold even a batch of these in one piece"
        if _updates(config, needed) < enough:
            if reason:
                break
            wanted = f"{enough:.0f} would be enough, in {enough * needed / 60:.0f} minutes"
            return wider, f"the least; {_describe_speed(config, needed)}; {wanted}"
        chosen, reason = wider, _describe_speed(config, needed)
    return chosen, reason


def choose_batch(config: RunConfig, size: Sequence[int], *, fabric: Fabric) -> tuple[RunConfig, str]:
    """Settings with a doubled batch, as often as it fits into memory and the minutes hold enough updates.

    Updates are enough if they are enough for the batch that was given.

    Parameters
    ----------
    config, size, fabric : as of `fit_minutes`

    Returns
    -------
    RunConfig
    str
        The reason, for users; empty if the batch stays as it is.
    """
    chosen, reason, enough = config, "", _enough(config, size)
    largest = min(LARGEST_BATCH, _room(config, size, fabric))
    while 2 * chosen.train.batch <= largest:
        larger = chosen.updated({"train.batch": 2 * chosen.train.batch})
        needed = seconds_per_step(larger, size, fabric=fabric)
        if _updates(config, needed) < enough:
            break
        chosen, reason = larger, f"{_describe_speed(config, needed)}, and {enough:.0f} are enough"
    return chosen, reason


def _updates(config: RunConfig, needed: float) -> float:
    """Number of updates in the minutes, if each takes `needed` seconds."""
    assert config.train.minutes is not None
    return 60 * config.train.minutes / needed


def _describe_speed(config: RunConfig, needed: float) -> str:
    """A sentence about the steps that the minutes hold."""
    return f"{needed:.2f} s a step, so {_updates(config, needed):.0f} steps in {config.train.minutes:g} minutes"


def _room(config: RunConfig, size: Sequence[int], fabric: Fabric) -> float:
    """Patches that the memory of all processes holds; infinite for a GPU, which reports itself when it is full."""
    if fabric.device.type != "cpu":
        return math.inf
    own = SHARE * machine_bytes() / local_size() // _bytes_per_patch(config, size)
    return fabric.world_size * all_reduce_min(fabric, own)


def _bytes_per_patch(config: RunConfig, size: Sequence[int]) -> int:
    """Bytes that are saved for the gradient of one patch: feature maps, for the most part."""
    saved = dict[int, int]()

    def save(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor.detach()

    with saved_tensors_hooks(save, lambda tensor: tensor):
        logits = build(config.model).eval()(torch.zeros(1, config.model.in_channels, *size))
    assert logits.grad_fn is not None  # the graph keeps the tensors alive, so that no address is used twice
    return sum(saved.values())
