"""Memory plans: tiles with which prediction stays inside a memory budget, and the time that they will take."""

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

__all__ = ["SLACK_BYTES", "Plan", "Stopwatch", "plan_prediction", "warm_up"]


ALIGN = {2: 64, 3: 16}
"""Sides of large tiles are multiples of this number of pixels, so that tiles divide evenly into chunks."""

LONGEST_CHUNK = {2: 512, 3: 64}
"""Longest side of a chunk, per dimension."""

LARGEST = {2: 1536, 3: 256}
"""Longest side of a tile, per dimension. Longer ones are not quicker: they fit worse into the caches of processors."""

SLACK_BYTES = 160 * 2**20
SLACK_SHARE = 0.08
"""Memory of allocators and libraries beside feature maps, as measured by benchmarks/memory.py."""

GPU_SHARE = 1.3
"""Memory on a GPU per byte of feature maps: convolutions need a workspace."""

SAMPLE_SECONDS = 0.1
"""Least seconds of a tile by which the speed of a machine is measured: small tiles are slower per operation."""


@dataclass(frozen=True)
class Plan:
    """Tiles for images of one shape, with the memory and time that they are expected to take.

    Parameters
    ----------
    tiles : TilePlan
    batch : tiles sent through the network together
    frames : images of this shape
    bytes : most memory that will be held
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
        seconds = f"about {_duration(self.seconds)}, " if self.seconds else ""
        return (
            f"{_times(self.tiles.shape)} px{f' x {self.frames}' if self.frames > 1 else ''}: "
            f"{number} tile{'s' * (number > 1)} of {_times(self.tiles.step)} px, {_times(self.tiles.input_shape)} read "
            f"(redundancy {self.tiles.redundancy:.2f}); {seconds}"
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
    """The least redundant tiles that stay inside a memory budget.

    Parameters
    ----------
    net : TilePredictor
        Its feature maps are counted for each candidate, see `biounet.inference.cost`.
    shape : (C, *spatial) of each image
    classes : int
    itemsize : bytes per pixel and channel of the input
    held : bytes
        Memory of the process beside tiles: see `warm_up`; and a region of objects, if any.
    budget : bytes
        For all memory of the process, and as much on the GPU.
    frames : number of images of this shape
    tile : pixels
        Largest tile; by default it is chosen.
    batch : tiles sent through the network together

    Raises
    ------
    MemoryBudgetError
        If the smallest tile, or the tile that was asked for, needs more than the budget; the message says how much.
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
    """Memory of the process or of the GPU, whichever is more, in bytes."""
    if net.device.type == "cuda":
        return max(held + buffers + SLACK_BYTES, int(features * GPU_SHARE))
    return held + int((buffers + features) * (1 + SLACK_SHARE)) + SLACK_BYTES


def _affordable(net: TilePredictor, budget: int) -> int:
    """The budget, or what is free on the GPU if that is less."""
    return min(budget, int(torch.cuda.mem_get_info(net.device)[0] / GPU_SHARE)) if net.device.type == "cuda" else budget


def warm_up(net: TilePredictor, channels: int) -> int:
    """Memory of the process, in bytes, after the smallest tile has been predicted and all libraries are loaded.

    To be called before larger tiles are predicted: their memory is given back only in part, but used again.
    """
    _predict_noise(net, channels, net.geometry.grid)
    net.cost(net.geometry.grid, channels=channels)
    return resident_bytes()


class Stopwatch:
    """Seconds that a network takes on this machine, measured on tiles of noise.

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
        """Plan with its seconds. No tile of noise is larger than the tiles of the plan, so the memory is enough."""
        sample = self._net.geometry.grid
        while self._seconds(sample) < SAMPLE_SECONDS and (larger := _doubled(sample, plan.tiles.step)) != sample:
            sample = larger
        operations = self._net.cost(sample, channels=self._channels).operations
        return replace(plan, seconds=plan.operations * self._seconds(sample) / operations)

    def _seconds(self, output: tuple[int, ...]) -> float:
        """Seconds of a tile; the quicker of two is the less disturbed."""
        if output not in self._taken:
            self._taken[output] = min(_predict_noise(self._net, self._channels, output) for _ in range(2))
        return self._taken[output]


def _doubled(sizes: tuple[int, ...], most: tuple[int, ...]) -> tuple[int, ...]:
    """Twice the sizes, where they stay within `most`."""
    return tuple(2 * size if 2 * size <= limit else size for size, limit in zip(sizes, most, strict=True))


def _predict_noise(net: TilePredictor, channels: int, output: tuple[int, ...]) -> float:
    """Seconds that a tile takes."""
    shape = (1, channels * net.copies, *net.geometry.input_size(output))
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    began = time.perf_counter()
    net(noise, output)
    return time.perf_counter() - began


def _at_least(size: int) -> str:
    """Budget that is enough for a number of bytes, as text."""
    return f"{math.ceil(size * 1.02 / 2**20)}MiB"


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(str(size) for size in sizes)


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
