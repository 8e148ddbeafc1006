"""Check, on the user's own model and image, that results do not depend on how an image is cut into tiles."""

from dataclasses import replace
from itertools import product

import numpy as np

from biounet.core.boxes import Box
from biounet.inference.job import Job, TileTask
from biounet.inference.overlap_tile import Floats
from biounet.inference.tiles import Tile, TilePlan, plan_tiles

__all__ = ["largest_difference"]


def largest_difference(job: Job) -> float:
    """Largest difference of a probability between two tilings, on sample tiles of the first frame.

    Parameters
    ----------
    job : Job
        The second tiling has tiles of about two thirds of the size. Its first, middle and last tile are
        compared with the tiles of the job that they meet.
    """
    tiles = job.tiles
    smaller = [max(grid, step * 2 // 3) for grid, step in zip(tiles.geometry.grid, tiles.step, strict=True)]
    second = plan_tiles(tiles.shape, smaller, tiles.geometry)
    task = next(iter(job.tasks(0)))
    numbers = {0, len(second) // 2, len(second) - 1}
    return max(_difference(job, task, second, second.tile(_index(number, second.counts))) for number in numbers)


def _index(number: int, counts: tuple[int, ...]) -> tuple[int, ...]:
    """Position of a tile in the grid, by its number in row-major order."""
    return tuple(int(at) for at in np.unravel_index(number, counts))


def _difference(job: Job, task: TileTask, second: TilePlan, tile: Tile) -> float:
    """Largest difference between a tile of the second tiling and the tiles of the job that it meets."""
    got, box, worst = _predict(job, replace(task, tile=tile), second), tile.output, 0.0
    sides = zip(box.start, box.stop, job.tiles.step, strict=True)
    for index in product(*(range(start // step, -(-stop // step)) for start, stop, step in sides)):
        other = job.tiles.tile(index)
        common = Box(
            tuple(map(max, other.output.start, box.start)),
            tuple(map(min, other.output.stop, box.stop)),
        )
        expected = _predict(job, replace(task, tile=other), job.tiles)
        difference = expected[_inside(common, other)] - got[_inside(common, tile)]
        worst = max(worst, float(np.abs(difference).max()))
    return worst


def _predict(job: Job, task: TileTask, tiles: TilePlan) -> Floats:
    """Probabilities (classes, *step) of a tile."""
    probabilities: Floats = job.net(job.read(task)[np.newaxis], tiles.step)[0]
    return probabilities


def _inside(box: Box, tile: Tile) -> tuple[slice, ...]:
    """Region as an index of the probabilities of a tile."""
    return (slice(None), *box.relative_to(tile.output.start).slices)
