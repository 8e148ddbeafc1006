"""The context that a network needs, and the sizes that it takes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from biounet.errors import ShapeError

__all__ = [
    "Geometry",
    "Needs",
    "Span",
    "above_linear",
    "around",
    "hull",
    "pooled",
    "traced_geometry",
    "unet_geometry",
    "unet_needs",
    "unpooled",
]

Span = tuple[int, int]
"""First and last pixel along an axis."""
Needs = Callable[[Sequence[int], Span], Span]
"""Which input pixels a padded network uses for these output pixels, given its pooling factors along an axis."""


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
    views : per axis, a Span for each place in the grid; None where nobody followed them
        First and last input pixel that the output pixel at this place depends on, seen from it. Without a grid these
        are `margin` pixels away, and need not be given.

    Examples
    --------
    >>> paper = unet_geometry(((2, 2),) * 4, padded=False)
    >>> paper.input_size((388, 388)), paper.receptive_field
    ((572, 572), (204, 204))
    """

    grid: tuple[int, ...]
    margin: tuple[int, ...]
    remainder: tuple[int, ...]
    padded: bool
    views: tuple[tuple[Span, ...], ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.views is None and set(self.grid) == {1}:
            object.__setattr__(self, "views", tuple(((-margin, margin),) for margin in self.margin))

    @property
    def receptive_field(self) -> tuple[int, ...] | None:
        """Pixels from the first to the last of the longest view; None without views.

        Less than 2 margin + 1 where margins are rounded up to the grid, more where pixels stand beside the middle.
        """
        if self.views is None:
            return None
        return tuple(max(last - first + 1 for first, last in axis) for axis in self.views)

    def widened(self, reach: Sequence[int]) -> Self:
        """Return what is needed for as many pixels more on each side of the output; it stays in phase with the grid.

        A network may leave out what lies in its margin, so nothing of that serves for them.

        >>> padded = unet_geometry(((2, 2),), padded=True)
        >>> padded.margin, padded.widened((0, 3)).margin
        ((10, 10), (10, 14))
        """
        if not any(reach):
            return self
        sides = zip(self.margin, reach, self.grid, strict=True)
        return replace(self, margin=tuple(have + -(-more // grid) * grid for have, more, grid in sides), views=None)

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
    levels = len(poolings)
    same = traced_geometry(poolings, partial(unet_needs, contract=(reach,) * (levels + 1), expand=(reach,) * levels))
    if padded:
        return same
    axes = [_valid_axis(factors, reach) for factors in zip(*poolings, strict=True)]
    grid, margin, remainder = (tuple(axis[part] for axis in axes) for part in range(3))
    if in_phase:
        margin = tuple(
            have + (_lost_before_poolings(factors, reach) - have) % math.prod(factors)
            for have, factors in zip(margin, zip(*poolings, strict=True), strict=True)
        )
    # Without padding, pixels are those of the padded network at another place in the grid.
    return Geometry(grid, margin, remainder, padded, same.views)


def _valid_axis(factors: Sequence[int], reach: int) -> tuple[int, int, int]:
    """Grid, margin and remainder of one axis of an unpadded U-Net."""
    grid = math.prod(factors)
    taken = 2 * reach  # in pixels of the level at hand: the bottom first, then level by level outwards
    remainder = 0
    for factor in reversed(factors):
        taken = factor * taken + 4 * reach
        remainder = factor * remainder + 2 * reach
    return grid, taken // 2, remainder % grid


def _lost_before_poolings(factors: Sequence[int], reach: int) -> int:
    """Pixels before the first that the innermost pooling of an unpadded U-Net still sees."""
    return sum(reach * math.prod(factors[:level]) for level in range(len(factors)))


def traced_geometry(poolings: Sequence[Sequence[int]], needs: Needs) -> Geometry:
    """What a padded network needs of its input, if `needs` follows an output pixel backwards through it.

    Parameters
    ----------
    poolings : factors per level and axis, outermost level first
        Their product is the grid.
    needs : (factors along an axis, span of output pixels) -> span of input pixels
        Asked for every phase of the poolings; what reaches farthest to one side is the margin.

    Examples
    --------
    >>> found = traced_geometry(((2,),), lambda factors, span: around(span, 3))
    >>> found.margin, found.receptive_field       # the grid of 2 makes 3 into 4
    ((4,), (7,))
    """
    grid, margin, views = [], [], []
    for factors in zip(*poolings, strict=True):
        period = math.prod(factors)
        spans = [(pixel, needs(factors, (pixel, pixel))) for pixel in range(period)]
        seen = tuple((first - pixel, last - pixel) for pixel, (first, last) in spans)
        widest = max(max(-first, last) for first, last in seen)
        grid.append(period)
        margin.append(math.ceil(widest / period) * period)
        views.append(seen)
    return Geometry(tuple(grid), tuple(margin), (0,) * len(grid), True, tuple(views))


def around(span: Span, reach: int) -> Span:
    """Pixels that convolutions use which look `reach` pixels to each side."""
    return span[0] - reach, span[1] + reach


def pooled(span: Span, factor: int) -> Span:
    """Pixels that a pooling uses.

    >>> pooled((1, 2), 2)
    (2, 5)
    """
    return span[0] * factor, span[1] * factor + factor - 1


def unpooled(span: Span, factor: int) -> Span:
    """Pixels that an up-convolution uses whose stride is its size, or repetition of pixels.

    >>> unpooled((1, 2), 2)
    (0, 1)
    """
    return span[0] // factor, span[1] // factor


def above_linear(span: Span, factor: int) -> Span:
    """Pixels that linear interpolation to `factor` (1 or 2) times the size uses: one more on the nearer side.

    The transposed convolution of size 4 and stride 2 uses the same.

    >>> above_linear((1, 1), 2), above_linear((2, 2), 2)
    ((0, 1), (0, 1))
    """
    return (span[0] - factor + 1) // factor, (span[1] + factor - 1) // factor


def hull(*spans: Span) -> Span:
    """All pixels from the first to the last of some spans.

    >>> hull((0, 3), (2, 5))
    (0, 5)
    """
    return min(first for first, _ in spans), max(last for _, last in spans)


def unet_needs(
    factors: Sequence[int],
    span: Span,
    *,
    contract: Sequence[int],
    expand: Sequence[int],
    strided: bool = False,
    linear: bool = False,
    gated: Sequence[bool] = (),
) -> Span:
    """Input pixels that a padded U-Net uses for the output pixels of a span, along one axis.

    Parameters
    ----------
    factors : pooling factors, outermost level first
    span : first and last output pixel
    contract : pixels
        Reach of the blocks of the contracting path, outermost first, the bottom last.
    expand : pixels
        Reach of the blocks of the expanding path, outermost first.
    strided : bool
        The first convolution of a block takes the place of the pooling, and looks at one pixel more, before them.
    linear : bool
        Feature maps are interpolated linearly on the way up, not up-convolved.
    gated : per level, outermost first
        Whether the skip is gated by a signal of the level below, linearly interpolated.

    Examples
    --------
    >>> unet_needs((2,), (0, 0), contract=(2, 2), expand=(2,))      # -2..2; below -1..1; -3..3; above -6..7; -8..9
    (-8, 9)
    """
    if not factors:
        return around(span, contract[0])
    factor, span = factors[0], around(span, expand[0])
    below = above_linear(span, factor) if linear else unpooled(span, factor)
    if any(gated[:1]):
        gate = above_linear(span, factor)
        span, below = hull(span, pooled(gate, factor)), hull(below, gate)
    below = unet_needs(
        factors[1:], below, contract=contract[1:], expand=expand[1:], strided=strided, linear=linear, gated=gated[1:]
    )
    first, last = pooled(below, factor)
    if strided:
        first, last = first - 1, last + (factor == 1)
    return around(hull(span, (first, last)), contract[0])
