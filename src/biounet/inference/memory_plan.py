"""How images are cut so that prediction stays inside a memory budget, and what that will take."""

import math
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch

from biounet.core.errors import MemoryBudgetError
from biounet.core.memory import format_bytes, resident_bytes
from biounet.inference.overlap_tile import TilePredictor
from biounet.inference.tiles import TilePlan, plan_tiles

__all__ = ["Plan", "Stopwatch", "plan_prediction", "warm_up"]


ALIGN = {2: 64, 3: 16}
"""Sides of large tiles are multiples of this, so that they divide evenly into chunks."""

LONGEST_CHUNK = {2: 512, 3: 64}

LARGEST = {2: 1536, 3: 256}
"""Tiles with longer sides are not quicker: what they save at their borders they lose in the processor's caches."""

SLACK_BYTES = 160 * 2**20
SLACK_SHARE = 0.08
"""What allocators and libraries hold beyond feature maps: as measured by benchmarks/memory.py."""

GPU_SHARE = 1.3
"""The same on a GPU, where convolutions need a workspace."""

SAMPLE_SECONDS = 0.1
"""What a tile takes by which the speed of a machine is measured: smaller ones are slower per operation."""


@dataclass(frozen=True)
class Plan:
    """How the images of one shape are cut, and what that is expected to take.

    Parameters
    ----------
    tiles : TilePlan
    batch : tiles sent through the network together
    frames : images of this shape
    bytes : most memory that the process will hold
    operations : of arithmetic, altogether
    seconds : of computing, see `Stopwatch`
    """

    tiles: TilePlan
    batch: int
    frames: int
    bytes: int
    operations: int
    seconds: float = 0.0

    @property
    def chunk(self) -> tuple[int, ...]:
        """Pixels per spatial axis of chunks, such that each lies in one tile."""
        longest = LONGEST_CHUNK[len(self.tiles.step)]
        return tuple(
            _part(step, longest, even=tiles > 1) for step, tiles in zip(self.tiles.step, self.tiles.counts, strict=True)
        )

    def __str__(self) -> str:
        number = len(self.tiles) * self.frames
        return (
            f"{_times(self.tiles.shape)} px{f' x {self.frames}' if self.frames > 1 else ''}: "
            f"{number} tile{'s' * (number > 1)} of {_times(self.tiles.step)} px, {_times(self.tiles.input_shape)} read "
            f"(redundancy {self.tiles.redundancy:.2f}); about {_duration(self.seconds)}, "
            f"at most {format_bytes(self.bytes)} of memory"
        )


def plan_prediction(
    net: TilePredictor,
    shape: Sequence[int],
    *,
    classes: int,
    itemsize: int,
    held: int,
    budget: int,
    frames: int = 1,
    tile: int | Sequence[int] | None = None,
    batch: int = 1,
) -> Plan:
    """Choose tiles: the least redundant ones that stay inside the budget.

    Parameters
    ----------
    net : TilePredictor
        Its feature maps are counted for each candidate, see `biounet.inference.cost`.
    shape : (C, *spatial) of each image
    classes : int
    itemsize : bytes per pixel and channel of the input
    held : bytes
        What the process holds beside tiles: see `warm_up`; and whole results, if any.
    budget : bytes
        For everything that the process holds, and as much on the GPU.
    frames : number of images of this shape
    tile : pixels
        Largest tile, if it should not be chosen.
    batch : tiles sent through the network together

    Raises
    ------
    MemoryBudgetError
        If the smallest tile needs more than the budget, or the tile that was asked for does; it says how much.
    ShapeError
        If the image does not have the axes of the network.
    """
    channels, *spatial = shape
    budget = _affordable(net, budget)

    def cut(side: int | Sequence[int]) -> TilePlan:
        sides = (side,) * net.dims if isinstance(side, int) else tuple(side)
        return plan_tiles(spatial, sides, net.geometry, align=(ALIGN[net.dims],) * net.dims)

    def price(tiles: TilePlan) -> Plan:
        cost = net.cost(tiles.step, channels=channels, batch=batch)
        read = batch * channels * math.prod(tiles.input_shape)
        delivered = batch * classes * math.prod(tiles.step)
        # While one batch is computed, the next is read and normalised, and the last is converted and written.
        buffers = read * (2 * itemsize + (4 if net.copies == 1 else 4 * (net.copies + 1))) + delivered * 4 * 2
        operations = math.ceil(len(tiles) * frames / batch) * cost.operations
        return Plan(tiles, batch, frames, _total(net, held, cost.bytes, buffers), operations)

    if tile is not None:
        wanted = price(cut(tile))
        if wanted.bytes > budget:
            raise MemoryBudgetError(
                f"tiles of {_times(wanted.tiles.step)} px need {_at_least(wanted.bytes)}, the budget is "
                f"{format_bytes(budget)}; give a smaller --tile or more --memory"
            )
        return wanted
    cuts = {tiles.step: tiles for tiles in map(cut, product(_sides(max(spatial), net), repeat=net.dims))}
    rising = sorted(cuts.values(), key=lambda tiles: math.prod(tiles.input_shape))
    fitting = bisect_left(rising, True, key=lambda tiles: price(tiles).bytes > budget)
    if not fitting:
        raise MemoryBudgetError(
            f"the smallest tile needs {_at_least(price(rising[0]).bytes)}, the budget is {format_bytes(budget)}; "
            "give more --memory"
        )
    # Not always the largest: its last row of tiles may hang far over the edge.
    frugal = sorted(rising[:fitting], key=lambda tiles: tiles.redundancy)
    return next(plan for plan in map(price, frugal) if plan.bytes <= budget)


def _sides(largest: int, net: TilePredictor) -> list[int]:
    """Sides of tiles worth a try, rising."""
    grid, align = max(net.geometry.grid), math.lcm(ALIGN[net.dims], *net.geometry.grid)
    return [*range(grid, align, grid), *range(align, min(largest + align, LARGEST[net.dims] + 1), align)]


def _part(step: int, longest: int, *, even: bool) -> int:
    """Divide a length into equal parts of about `longest` at most; the last may be shorter unless `even`."""
    parts = math.ceil(step / longest)
    while even and step % parts:
        parts += 1
    return math.ceil(step / parts)


def _total(net: TilePredictor, held: int, features: int, buffers: int) -> int:
    """Bytes that the process will hold, or the GPU, whichever is more."""
    if net.device.type == "cuda":
        return max(held + buffers + SLACK_BYTES, int(features * GPU_SHARE))
    return held + int((buffers + features) * (1 + SLACK_SHARE)) + SLACK_BYTES


def _affordable(net: TilePredictor, budget: int) -> int:
    """The budget, or what is free on the GPU if that is less."""
    return min(budget, int(torch.cuda.mem_get_info(net.device)[0] / GPU_SHARE)) if net.device.type == "cuda" else budget


def warm_up(net: TilePredictor, channels: int) -> int:
    """Predict the smallest tile, so that libraries load what they need; return what the process holds then.

    Memory of larger tiles is given back only in part, but used again: this is to be measured before them.

    Returns
    -------
    bytes
    """
    _predict_noise(net, channels, net.geometry.grid)
    net.cost(net.geometry.grid, channels=channels)
    return resident_bytes()


class Stopwatch:
    """How long a network takes on this machine, by tiles of noise.

    Parameters
    ----------
    net : TilePredictor
    channels : int
    """

    def __init__(self, net: TilePredictor, channels: int) -> None:
        self._net = net
        self._channels = channels
        self._taken: dict[tuple[int, ...], float] = {}

    def time(self, plan: Plan) -> Plan:
        """Add the seconds to a plan. No tile is larger than those of the plan, so that its memory is enough."""
        sample = self._net.geometry.grid
        while self._seconds(sample) < SAMPLE_SECONDS and (larger := _doubled(sample, plan.tiles.step)) != sample:
            sample = larger
        operations = self._net.cost(sample, channels=self._channels).operations
        return replace(plan, seconds=plan.operations * self._seconds(sample) / operations)

    def _seconds(self, output: tuple[int, ...]) -> float:
        """What a tile takes; the quicker of two is the less disturbed."""
        if output not in self._taken:
            self._taken[output] = min(_predict_noise(self._net, self._channels, output) for _ in range(2))
        return self._taken[output]


def _doubled(sizes: tuple[int, ...], most: tuple[int, ...]) -> tuple[int, ...]:
    """Twice the sizes, where that is not too much."""
    return tuple(2 * size if 2 * size <= limit else size for size, limit in zip(sizes, most, strict=True))


def _predict_noise(net: TilePredictor, channels: int, output: tuple[int, ...]) -> float:
    """Seconds that a tile takes."""
    shape = (1, channels * net.copies, *net.geometry.input_size(output))
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    began = time.perf_counter()
    net(noise, output)
    return time.perf_counter() - began


def _at_least(size: int) -> str:
    """A size that, given as a budget, is enough."""
    return f"{math.ceil(size * 1.02 / 2**20)}MiB"


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(str(size) for size in sizes)


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
