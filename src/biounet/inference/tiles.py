"""Tiles: the pieces of an image that a network predicts at once, and the mirrored pixels around the image."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box, Reader
from biounet.core.errors import ConfigError, ImageError, ShapeError
from biounet.core.geometry import Geometry
from biounet.core.words import shortened

__all__ = ["Tile", "TilePlan", "check_tile", "mirrored_indices", "plan_tiles", "read_mirrored", "tile_sides"]


def tile_sides(tile: object, dims: int) -> tuple[int, ...] | None:
    """Pixels per spatial axis of the largest tile that somebody has asked for.

    Parameters
    ----------
    tile : one number, or one per axis; None: nobody has asked
    dims : number of spatial axes

    Raises
    ------
    ConfigError
        If it is no whole number of at least 1, or another number of them.

    Examples
    --------
    >>> tile_sides(64, 2), tile_sides((8, 64, 64), 3), tile_sides(None, 2)
    ((64, 64), (8, 64, 64), None)
    """
    if tile is None:
        return None
    sizes: tuple[Any, ...] = tuple(tile) if isinstance(tile, list | tuple) else (tile,) * dims
    if len(sizes) != dims or not all(_is_count(size) for size in sizes):
        raise ConfigError(
            f"tile must be a whole number of pixels, at least 1, or {dims} of them, got {shortened(tile)}"
        )
    return tuple(int(size) for size in sizes)


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 1


@dataclass(frozen=True)
class Tile:
    """One tile of an image.

    Parameters
    ----------
    index : position in the grid of tiles
    input : region that the network reads; it may reach outside the image
    output : region that the network delivers, inside the image
    """

    index: tuple[int, ...]
    input: Box
    output: Box


@dataclass(frozen=True)
class TilePlan:
    """A grid of tiles: all have one input shape, and their outputs fill the image without overlap.

    Parameters
    ----------
    shape : pixels per spatial axis of the image
    step : pixels per spatial axis that the network delivers for a tile; at the edge of the image fewer are kept
    geometry : of the network
    """

    shape: tuple[int, ...]
    step: tuple[int, ...]
    geometry: Geometry

    @property
    def counts(self) -> tuple[int, ...]:
        """Tiles per axis."""
        return tuple(math.ceil(size / step) for size, step in zip(self.shape, self.step, strict=True))

    def __len__(self) -> int:
        return math.prod(self.counts)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Pixels per axis that go through the network for one tile."""
        return self.geometry.input_size(self.step)

    @property
    def redundancy(self) -> float:
        """Pixels that go through the network for one pixel delivered."""
        return len(self) * math.prod(self.input_shape) / math.prod(self.shape)

    def tile(self, index: Sequence[int]) -> Tile:
        """Return the tile at a position of the grid of tiles."""
        start = tuple(at * step for at, step in zip(index, self.step, strict=True))
        stop = tuple(min(zero + step, size) for zero, step, size in zip(start, self.step, self.shape, strict=True))
        before = tuple(zero - margin for zero, margin in zip(start, self.geometry.margin, strict=True))
        after = tuple(zero + size for zero, size in zip(before, self.input_shape, strict=True))
        return Tile(tuple(index), Box(before, after), Box(start, stop))

    def __iter__(self) -> Iterator[Tile]:
        return (self.tile(index) for index in product(*(range(count) for count in self.counts)))


def plan_tiles(
    shape: Sequence[int], output: Sequence[int], geometry: Geometry, *, align: Sequence[int] | None = None
) -> TilePlan:
    """A grid of tiles that deliver at most about `output` pixels per axis.

    Parameters
    ----------
    shape : pixels per spatial axis of the image
    output : pixels per spatial axis
        The largest tile wanted. It is brought to the grid of the network, at least once the grid, and
        evened out, so that the last tile is not a sliver.
    align : pixels per spatial axis
        Where tiles this large are wanted and more than one is needed along an axis, they begin at multiples of it.

    Returns
    -------
    TilePlan
        Iterating over it gives `Tile` after `Tile` in row-major order.

    Examples
    --------
    >>> from biounet.models.receptive_field import unet_geometry
    >>> geometry = unet_geometry(((2, 2),) * 4, padded=False)
    >>> [tile.output.shape for tile in plan_tiles((512, 512), (300, 512), geometry)]
    [(256, 512), (256, 512)]
    >>> plan_tiles((1000, 200), (700, 700), geometry, align=(128, 128)).step
    (512, 208)
    """
    if len(shape) != len(geometry.grid):
        raise ShapeError(f"the network takes {len(geometry.grid)} spatial axes, the image has {len(shape)}: {shape}")
    step = []
    for size, wanted, grid, unit in zip(shape, output, geometry.grid, align or geometry.grid, strict=True):
        unit = math.lcm(unit, grid)
        if size <= wanted or wanted < unit:
            unit = grid
        count = 1 if size <= wanted else math.ceil(size / max(unit, wanted // unit * unit))
        step.append(math.ceil(size / count / unit) * unit)
    return TilePlan(tuple(shape), tuple(step), geometry)


def mirrored_indices(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Indices of the pixels start..stop of an axis, where the image is mirrored at its edges without end.

    The edge pixel itself is not repeated.

    Examples
    --------
    >>> mirrored_indices(-2, 6, 4)
    array([2, 1, 0, 1, 2, 3, 2, 1])
    """
    period = max(2 * (size - 1), 1)
    wave = np.arange(start, stop, dtype=np.intp) % period
    return np.minimum(wave, period - wave) if size > 1 else np.zeros_like(wave)


def read_mirrored(reader: Reader, box: Box) -> NDArray[Any]:
    """Pixels of a region that may reach outside the image, where the mirrored image is read.

    Parameters
    ----------
    reader : Reader, axes C(Z)YX
    box : spatial axes only

    Returns
    -------
    (C, *box.shape) in the type of the reader

    Examples
    --------
    >>> from biounet.core.boxes import ArrayReader
    >>> read_mirrored(ArrayReader(np.array([[1, 2, 3]])), Box((-1,), (4,)))
    array([[2, 1, 2, 3, 2]])
    """
    spatial = reader.shape[1:]
    indices = [
        mirrored_indices(start, stop, size) for start, stop, size in zip(box.start, box.stop, spatial, strict=True)
    ]
    source = Box(
        (0, *(int(index.min()) for index in indices)),
        (reader.shape[0], *(int(index.max()) + 1 for index in indices)),
    )
    array = reader.read(source)
    for axis, (index, first) in enumerate(zip(indices, source.start[1:], strict=True), start=1):
        if index[0] != first or len(index) != array.shape[axis]:
            array = np.take(array, index - first, axis=axis)
    return array


def check_tile(result: NDArray[np.float32], box: Box, *, position: Sequence[tuple[str, int]] = ()) -> None:
    """Refusal of what a network gives for a tile, if it is NaN or infinite anywhere.

    Parameters
    ----------
    result : (classes, *spatial), probabilities or an image
    box : place of the tile in its frame
    position : place of the frame in the image, as in `biounet.io.frames.Frame`

    Raises
    ------
    ImageError
        It names the place; the caller adds the image.

    Examples
    --------
    >>> check_tile(np.array([[[0.5, np.nan]]], np.float32), Box((0, 64), (1, 66)), position=(("T", 3),))
    Traceback (most recent call last):
    biounet.core.errors.ImageError: the network gives NaN or infinity at T 3, Y 0 to 1, X 64 to 66; try --precision float32, or train the model again
    """  # noqa: E501
    if np.isfinite(result.min()) and np.isfinite(result.max()):  # NaN is both; no other array is made
        return
    axes = zip("ZYX"[-len(box.start) :], box.start, box.stop, strict=True)
    place = [f"{axis} {at}" for axis, at in position] + [f"{axis} {start} to {stop}" for axis, start, stop in axes]
    raise ImageError(
        f"the network gives NaN or infinity at {', '.join(place)}; try --precision float32, or train the model again"
    )
