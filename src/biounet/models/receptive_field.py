"""Receptive fields and input sizes of networks, followed backwards through their layers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from biounet.core.errors import ShapeError
from biounet.core.geometry import Geometry, Span, hull

__all__ = [
    "Needs",
    "Step",
    "above_linear",
    "around",
    "nearest_sizes",
    "pooled",
    "traced_geometry",
    "trunk_geometry",
    "unet_geometry",
    "unet_needs",
    "unpooled",
    "valid_output_size",
]


Needs = Callable[[Sequence[int], Span], Span]
"""Pooling factors along an axis, and a span of output pixels -> span of the input pixels that they depend on."""


def unet_geometry(
    poolings: Sequence[Sequence[int]], *, padded: bool, reach: int = 2, in_phase: bool = False
) -> Geometry:
    """Receptive field and input sizes of a U-Net.

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
    """Receptive field of a padded network, by following each output pixel backwards through its layers.

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
    """Input span of convolutions that use `reach` pixels on each side."""
    return span[0] - reach, span[1] + reach


def pooled(span: Span, factor: int) -> Span:
    """Input span of a pooling.

    >>> pooled((1, 2), 2)
    (2, 5)
    """
    return span[0] * factor, span[1] * factor + factor - 1


def unpooled(span: Span, factor: int) -> Span:
    """Input span of an up-convolution whose stride is its kernel size, or of nearest-neighbour upsampling.

    >>> unpooled((1, 2), 2)
    (0, 1)
    """
    return span[0] // factor, span[1] // factor


def above_linear(span: Span, factor: int) -> Span:
    """Input span of linear interpolation to `factor` (1 or 2) times the size: one pixel more on the nearer side.

    The transposed convolution of size 4 and stride 2 uses the same.

    >>> above_linear((1, 1), 2), above_linear((2, 2), 2)
    ((0, 1), (0, 1))
    """
    return (span[0] - factor + 1) // factor, (span[1] + factor - 1) // factor


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
    """Input span of a padded U-Net for a span of output pixels, along one axis.

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


@dataclass(frozen=True)
class Step:
    """A convolution, pooling or transposed convolution along one axis.

    Parameters
    ----------
    kernel : pixels
    stride : pixels of the finer side per pixel of the coarser
    padding : pixels that the layer puts before its input; a negative number crops
    up : bool
        A transposed convolution: its output is the finer side, and `padding` is what it takes away there.

    Examples
    --------
    >>> Step(3, padding=1).needed((5, 5)), Step(2, stride=2).needed((5, 5))
    ((4, 6), (10, 11))
    >>> Step(4, stride=2, up=True).needed((5, 5))     # 5 = 2 * 1 + 3 = 2 * 2 + 1
    (1, 2)
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    up: bool = False

    def needed(self, span: Span) -> Span:
        """Return the first and last input pixel that the output pixels of a span use."""
        first, last = span
        if self.up:
            return -((self.kernel - 1 - self.padding - first) // self.stride), (last + self.padding) // self.stride
        return first * self.stride - self.padding, last * self.stride - self.padding + self.kernel - 1


def trunk_geometry(paths: Sequence[Sequence[Step]], *, poolings: int) -> Geometry:
    """Receptive field of a network of padded layers and skips, such as a VGG with an expanding path.

    Parameters
    ----------
    paths : paths from the input to the output
        The layers of each in the order of computation: one path per skip, and one through the bottom.
    poolings : number of poolings by 2

    Examples
    --------
    >>> trunk_geometry([[Step(3, padding=1)] * 2], poolings=0).margin
    (2, 2)
    """

    def needs(factors: Sequence[int], span: Span) -> Span:
        return hull(*(_walk_back(path, span) for path in paths))

    return traced_geometry(((2, 2),) * poolings or ((1, 1),), needs)


def _walk_back(path: Sequence[Step], span: Span) -> Span:
    """Input span of a chain of layers for a span of output pixels."""
    for step in reversed(path):
        span = step.needed(span)
    return span


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
    """Sizes next to `size` that an unpadded U-Net takes: the nearest not above, and the nearest not below.

    Both are `size` if it fits, and the smallest size that fits if `size` is below it.

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
