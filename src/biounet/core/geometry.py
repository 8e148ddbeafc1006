"""The context that a network needs around its output, and the grid on which its tiles begin."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from biounet.core.errors import ShapeError

__all__ = ["Geometry", "Span", "hull"]


Span = tuple[int, int]
"""First and last pixel along an axis."""


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
    >>> paper = Geometry(grid=(16, 16), margin=(92, 92), remainder=(12, 12), padded=False)
    >>> paper.input_size((388, 388)), paper.output_size((572, 572))
    ((572, 572), (388, 388))
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

        >>> padded = Geometry(grid=(2, 2), margin=(10, 10), remainder=(0, 0), padded=True)
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


def hull(*spans: Span) -> Span:
    """All pixels from the first to the last of some spans.

    >>> hull((0, 3), (2, 5))
    (0, 5)
    """
    return min(first for first, _ in spans), max(last for _, last in spans)
