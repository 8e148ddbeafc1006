"""Boxes, tiles and sizes: which input pixels a network needs for which output pixels.

The overlap-tile strategy (Ronneberger et al. 2015, figure 2) in three ideas:

* A network says what it needs in a `Geometry`: a ``margin`` of context on every side, and a ``grid``,
  the product of its poolings, on which tile origins must lie to meet the same phase of every pooling.
* Outside the image stands its mirror image, so a pixel has one value wherever a tile begins.
* So every pixel is computed from the same numbers however the image is cut.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from biounet.errors import ShapeError

__all__ = [
    "ArrayReader",
    "ArrayWriter",
    "Box",
    "Geometry",
    "Reader",
    "Tile",
    "TilePlan",
    "Writer",
    "mirrored_indices",
    "nearest_sizes",
    "plan_tiles",
    "read_mirrored",
    "unet_geometry",
    "valid_output_size",
]


@dataclass(frozen=True)
class Box:
    """A rectangular region: ``start`` included, ``stop`` excluded, one number per axis.

    Examples
    --------
    >>> Box((0, 10), (4, 30)).shape
    (4, 20)
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        """The region as an index of an array."""
        return tuple(slice(start, stop) for start, stop in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    def relative_to(self, origin: Sequence[int]) -> Self:
        """Return the same region in coordinates that begin at `origin`.

        >>> Box((5,), (9,)).relative_to((4,))
        Box(start=(1,), stop=(5,))
        """
        return type(self)(
            tuple(start - zero for start, zero in zip(self.start, origin, strict=True)),
            tuple(stop - zero for stop, zero in zip(self.stop, origin, strict=True)),
        )


class Reader(Protocol):
    """An image that is read by region: axes C(Z)YX."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis, channels first."""

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region inside the image."""


class Writer(Protocol):
    """An image that is written by region: axes C(Z)YX."""

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels of a region."""


@dataclass(frozen=True)
class ArrayReader:
    """An array in memory as a `Reader`."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis, channels first."""
        return self.array.shape

    def read(self, box: Box) -> NDArray[Any]:
        """Return a view of a region."""
        return self.array[box.slices]


@dataclass(frozen=True)
class ArrayWriter:
    """An array in memory as a `Writer`."""

    array: NDArray[Any]

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels of a region."""
        self.array[box.slices] = array


@dataclass(frozen=True)
class Geometry:
    """What a network needs of its input, one number per spatial axis.

    Parameters
    ----------
    grid : pixels
        Product of the poolings. Tiles begin at multiples of it.
    margin : pixels
        Context on each side of the output that the network needs to compute it exactly: what unpadded
        convolutions take away, or the reach of padded ones, rounded up to the grid.
    remainder : pixels
        Input sizes are ``remainder`` modulo ``grid``.
    padded : bool
        The network gives back the size of its input, so that the margin must be cut off.

    Examples
    --------
    >>> paper = unet_geometry(((2, 2),) * 4, padded=False)
    >>> paper.input_size((388, 388))
    (572, 572)
    """

    grid: tuple[int, ...]
    margin: tuple[int, ...]
    remainder: tuple[int, ...]
    padded: bool

    def input_size(self, output: Sequence[int]) -> tuple[int, ...]:
        """Return the smallest input from which at least `output` exact pixels per axis come."""
        return tuple(
            size + 2 * margin + (remainder - size - 2 * margin) % grid
            for size, grid, margin, remainder in zip(output, self.grid, self.margin, self.remainder, strict=True)
        )

    def output_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return the exact pixels per axis that an input of `size` gives.

        Raises
        ------
        ShapeError
            If the network does not take this size, or nothing is left of it.
        """
        for pixels, grid, margin, remainder in zip(size, self.grid, self.margin, self.remainder, strict=True):
            if pixels <= 2 * margin or (pixels - remainder) % grid:
                least = self.input_size((1,) * len(self.grid))
                raise ShapeError(
                    f"the network takes {remainder} + a multiple of {grid} px, at least {least}, got {tuple(size)}"
                )
        return tuple(pixels - 2 * margin for pixels, margin in zip(size, self.margin, strict=True))


def unet_geometry(
    poolings: Sequence[Sequence[int]], *, padded: bool, reach: int = 2, in_phase: bool = False
) -> Geometry:
    """What a U-Net needs of its input.

    Parameters
    ----------
    poolings : factors per level and axis, outermost level first
    padded : bool
        Whether convolutions keep the size ("same") or not ("valid").
    reach : pixels
        How far one block of convolutions looks: 2 for two 3x3 convolutions.
    in_phase : bool
        For unpadded networks: widen the margin until their poolings meet the pixels in the groups in which
        those of a padded network would, so that both compute the same.

    Notes
    -----
    Padded: the reach of one output pixel is followed backwards through the network, for every phase of
    the poolings, and the widest is taken. Unpadded: what the convolutions take away is exactly what
    must be there. Both are confirmed on the networks themselves by the tests.

    Examples
    --------
    >>> unet_geometry(((2, 2),) * 4, padded=False).margin       # (572 - 388) / 2
    (92, 92)
    """
    axes = [_axis_geometry([level[axis] for level in poolings], padded, reach) for axis in range(len(poolings[0]))]
    grid, margin, remainder = (tuple(axis[part] for axis in axes) for part in range(3))
    if in_phase and not padded:
        margin = tuple(
            have + (_lost_before_poolings([level[axis] for level in poolings], reach) - have) % grid[axis]
            for axis, have in enumerate(margin)
        )
    return Geometry(grid, margin, remainder, padded)


def _axis_geometry(factors: list[int], padded: bool, reach: int) -> tuple[int, int, int]:
    """Grid, margin and remainder of one axis."""
    grid = math.prod(factors)
    if not padded:
        taken = 2 * reach  # in pixels of the level at hand: the bottom first, then level by level outwards
        remainder = 0
        for factor in reversed(factors):
            taken = factor * taken + 4 * reach
            remainder = factor * remainder + 2 * reach
        return grid, taken // 2, remainder % grid
    widest = 0
    for pixel in range(grid):
        first, last = _needed(factors, reach, pixel, pixel)
        widest = max(widest, pixel - first, last - pixel)
    return grid, math.ceil(widest / grid) * grid, 0


def _lost_before_poolings(factors: list[int], reach: int) -> int:
    """Pixels before the first that the innermost pooling of an unpadded U-Net still sees."""
    return sum(reach * math.prod(factors[:level]) for level in range(len(factors)))


def _needed(factors: list[int], reach: int, first: int, last: int) -> tuple[int, int]:
    """Input pixels that a padded U-Net uses for the output pixels first..last."""
    if not factors:
        return first - reach, last + reach
    factor, first, last = factors[0], first - reach, last + reach
    below_first, below_last = _needed(factors[1:], reach, first // factor, last // factor)
    first, last = min(first, below_first * factor), max(last, below_last * factor + factor - 1)
    return first - reach, last + reach


def valid_output_size(size: int, *, depth: int = 4) -> int:
    """Pixels left per axis after an unpadded U-Net with `depth` poolings.

    Raises
    ------
    ShapeError
        If a pooling meets an odd number of pixels, or nothing is left.

    Examples
    --------
    >>> valid_output_size(572)          # Ronneberger et al. 2015, figure 1
    388
    """
    geometry = unet_geometry(((2,),) * depth, padded=False)
    try:
        return geometry.output_size((size,))[0]
    except ShapeError:
        below, above = nearest_sizes(size, depth=depth)
        raise ShapeError(
            f"{size} px does not fit a U-Net of depth {depth}; the nearest sizes are {below} and {above}"
        ) from None


def nearest_sizes(size: int, *, depth: int = 4) -> tuple[int, int]:
    """Sizes that an unpadded U-Net takes, nearest to `size`: not above it, and not below it.

    Where `size` is below the least, both are the least; where it fits, both are `size`.

    Examples
    --------
    >>> nearest_sizes(570)
    (556, 572)
    >>> nearest_sizes(572)
    (572, 572)
    """
    geometry = unet_geometry(((2,),) * depth, padded=False)
    least = geometry.input_size((1,))[0]
    above = max(least, size + (geometry.remainder[0] - size) % geometry.grid[0])
    below = above if above == size else max(least, above - geometry.grid[0])
    return below, above


@dataclass(frozen=True)
class Tile:
    """One piece of work: the input region (it may reach outside the image) and the region delivered."""

    input: Box
    output: Box


@dataclass(frozen=True)
class TilePlan:
    """How an image is cut: all tiles have one input shape, and their outputs fill the image without overlap."""

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
        return Tile(Box(before, after), Box(start, stop))

    def __iter__(self) -> Iterator[Tile]:
        return (self.tile(index) for index in product(*(range(count) for count in self.counts)))


def plan_tiles(
    shape: Sequence[int], output: Sequence[int], geometry: Geometry, *, align: Sequence[int] | None = None
) -> TilePlan:
    """Cut an image into tiles that deliver at most about `output` pixels per axis.

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
    """Where the pixels start..stop of an axis come from, if the image is mirrored at its edges without end.

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
    """Read a region of all channels that may reach outside the image, where its mirror image stands.

    Parameters
    ----------
    reader : Reader, axes C(Z)YX
    box : spatial axes only

    Returns
    -------
    (C, *box.shape) in the type of the reader

    Examples
    --------
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
