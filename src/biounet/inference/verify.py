"""The promise that results do not depend on tiles, checked on the user's own model and image."""

from itertools import product

import numpy as np

from biounet.core.boxes import Box
from biounet.inference.job import OpenJob, Task
from biounet.inference.tiles import plan_tiles

__all__ = ["largest_difference"]


def largest_difference(job: OpenJob) -> float:
    """Predict sample tiles a second time, cut elsewhere; return by how much a probability differs at most.

    Parameters
    ----------
    job : OpenJob
        The second tiling has tiles of about two thirds of the size. Its first, middle and last tile are
        compared with those tiles of the job that they meet.
    """
    tiles = job.tiles
    smaller = [max(grid, step * 2 // 3) for grid, step in zip(tiles.geometry.grid, tiles.step, strict=True)]
    second = plan_tiles(tiles.shape, smaller, tiles.geometry)
    every = list(np.ndindex(second.counts))
    task = next(iter(job.tasks(0)))
    return max(
        _difference(job, task, Box(start, _end(start, second.step)))
        for start in {second.tile(index).output.start for index in (every[0], every[len(every) // 2], every[-1])}
    )


def _difference(job: OpenJob, task: Task, box: Box) -> float:
    """Compare a region with the tiles of the job that it meets."""
    got = job.probabilities(task, box)
    starts = [
        range(start // step * step, min(stop, size), step)
        for start, stop, step, size in zip(box.start, box.stop, job.tiles.step, job.tiles.shape, strict=True)
    ]
    worst = 0.0
    for start in product(*starts):
        tile = Box(start, _end(start, job.tiles.step))
        low = tuple(map(max, tile.start, box.start))
        common = Box(low, tuple(map(min, tile.stop, box.stop, job.tiles.shape)))
        expected = job.probabilities(task, tile)[(slice(None), *common.relative_to(tile.start).slices)]
        other = got[(slice(None), *common.relative_to(box.start).slices)]
        worst = max(worst, float(np.abs(expected - other).max()))
    return worst


def _end(start: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
    """Where a tile ends that is not cut at the edge of the image."""
    return tuple(zero + size for zero, size in zip(start, step, strict=True))
