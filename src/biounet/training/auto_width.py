"""What a time budget pays for: the widest network that makes enough updates on this machine, then larger batches."""

import math
import time
from collections.abc import Collection, Sequence

import torch
from lightning_fabric import Fabric
from torch.autograd.graph import saved_tensors_hooks

from biounet.config import RunConfig
from biounet.config.tasks import TASKS
from biounet.core.errors import TrainingError
from biounet.core.memory import machine_bytes
from biounet.data.patches import Batch
from biounet.models import build
from biounet.training.distributed import all_reduce_min, alone, broadcast, local_size
from biounet.training.step import State, train_step

__all__ = ["LARGEST_BATCH", "WIDTHS", "choose_batch", "choose_width", "fit_minutes", "seconds_per_step"]


WIDTHS = (16, 32, 48, 64)
"""From what is good enough for most images to the width of the paper; 24 channels would take as long as 32."""

ENOUGH, BATCH = 2500, 2**17
"""Updates below which a wider network is worse than a longer training, of batches of so many pixels; of smaller ones it
is as many more. See docs/recipes.md, "How long"."""

LARGEST_BATCH = 16
"""Patches of a batch, beyond which minutes are not spent on more."""

SHARE = 0.25
"""Of the memory of a machine without a GPU, what feature maps of a larger batch may take; images may take half."""


def fit_minutes(
    config: RunConfig, auto: Collection[str], size: Sequence[int], *, fabric: Fabric
) -> tuple[RunConfig, dict[str, str]]:
    """Settle what follows from ``train.minutes``: the width, and where the widest is no match for them, the batch.

    Parameters
    ----------
    config : RunConfig
        With ``train.minutes``.
    auto : settings that are not given by hand
    size : pixels per axis of the network's input
    fabric : Fabric
        Of the run, so that what is measured is what will be done.

    Returns
    -------
    RunConfig
    dict
        For each setting that was chosen the reason, for people.
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
    """Updates that are enough, of batches as in the settings."""
    return ENOUGH * max(1.0, BATCH * config.model.coarse**2 / (config.train.batch * math.prod(size)))


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
        if all_reduce_min(fabric, -seconds) == -math.inf:
            return math.inf
    return broadcast(fabric, _measured(config, size, share, fabric))


def _measured(config: RunConfig, size: Sequence[int], share: int, fabric: Fabric) -> float:
    """Time of an update in this process, which does its share of the batch; infinite if that has no room."""
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
    config, size, fabric : as of `fit_minutes`

    Returns
    -------
    RunConfig
        Its width is no longer in ``train.auto``.
    str
        The reason, for people.
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
            return wider, f"the least; {_pace(config, needed)}; {wanted}"
        chosen, reason = wider, _pace(config, needed)
    return chosen, reason


def choose_batch(config: RunConfig, size: Sequence[int], *, fabric: Fabric) -> tuple[RunConfig, str]:
    """Double the batch as long as it has room, and the minutes hold as many updates as are enough of the present one.

    Parameters
    ----------
    config, size, fabric : as of `fit_minutes`

    Returns
    -------
    RunConfig
    str
        The reason, for people; nothing if the batch stays what it is.
    """
    chosen, reason, enough = config, "", _enough(config, size)
    largest = min(LARGEST_BATCH, _room(config, size, fabric))
    while 2 * chosen.train.batch <= largest:
        larger = chosen.updated({"train.batch": 2 * chosen.train.batch})
        needed = seconds_per_step(larger, size, fabric=fabric)
        if _updates(config, needed) < enough:
            break
        chosen, reason = larger, f"{_pace(config, needed)}, and {enough:.0f} are enough"
    return chosen, reason


def _updates(config: RunConfig, needed: float) -> float:
    """How many the minutes hold, of so many seconds each."""
    assert config.train.minutes is not None
    return 60 * config.train.minutes / needed


def _pace(config: RunConfig, needed: float) -> str:
    """Say how many steps the minutes hold."""
    return f"{needed:.2f} s a step, so {_updates(config, needed):.0f} steps in {config.train.minutes:g} minutes"


def _room(config: RunConfig, size: Sequence[int], fabric: Fabric) -> float:
    """Patches that the processors hold together; a GPU says by itself what it does not hold."""
    if fabric.device.type != "cpu":
        return math.inf
    own = SHARE * machine_bytes() / local_size() // _bytes_per_patch(config, size)
    return fabric.world_size * all_reduce_min(fabric, own)


def _bytes_per_patch(config: RunConfig, size: Sequence[int]) -> int:
    """What is kept of a patch until its gradient is computed: feature maps, for the most part."""
    kept = dict[int, int]()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor.detach()

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = build(config.model).eval()(torch.zeros(1, config.model.in_channels, *size))
    assert scores.grad_fn is not None  # it holds them, so that none is where another one was
    return sum(kept.values())
