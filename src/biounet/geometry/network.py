"""Sizes in and out of a network, and the context that it needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from biounet.errors import ShapeError

__all__ = ["Geometry", "nearest_sizes", "unet_geometry", "valid_output_size"]


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
