"""Geometry of a network: the margin around its output, and the grid on which its tiles begin."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from biounet.core.errors import ShapeError

__all__ = ["Geometry", "Span", "hull"]


Span = tuple[int, int]
"""First and last pixel along an axis."""


@dataclass(frozen=True)
class Geometry:
    """Margin, pooling grid and input sizes of a network, one number per spatial axis.

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
    views : per axis, a Span for each phase of the grid; None if unknown
        First and last input pixel that an output pixel at this phase depends on, as offsets from it. With a grid of
        1 they are `margin` pixels away, and need not be given.

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
        """Receptive field in pixels per axis, the largest over the phases of the grid; None without views.

        It is below 2 margin + 1 where margins are rounded up to the grid, and above where views are not centred.
        """
        if self.views is None:
            return None
        return tuple(max(last - first + 1 for first, last in axis) for axis in self.views)

    @property
    def least_input(self) -> tuple[int, ...]:
        """Size of the smallest input; of a padded network, one from which no exact pixel may come.

        >>> Geometry(grid=(16, 16), margin=(92, 92), remainder=(12, 12), padded=False).least_input
        (188, 188)
        """
        return self.grid if self.padded else self.input_size((1,) * len(self.grid))

    def widened(self, reach: Sequence[int]) -> Self:
        """Return the geometry for an output that is larger by `reach` pixels on each side, in phase with the grid.

        A network may leave out the pixels of its margin, so that the margin itself has no room for them.

        >>> padded = Geometry(grid=(2, 2), margin=(10, 10), remainder=(0, 0), padded=True)
        >>> padded.margin, padded.widened((0, 3)).margin
        ((10, 10), (10, 14))
        """
        if not any(reach):
            return self
        sides = zip(self.margin, reach, self.grid, strict=True)
        return replace(self, margin=tuple(have + -(-more // grid) * grid for have, more, grid in sides), views=None)

    def input_size(self, output: Sequence[int]) -> tuple[int, ...]:
        """Return the size of the smallest input that gives at least `output` exact pixels per axis."""
        return tuple(
            size + 2 * margin + (remainder - size - 2 * margin) % grid
            for size, grid, margin, remainder in zip(output, self.grid, self.margin, self.remainder, strict=True)
        )

    def output_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return the number of exact output pixels per axis for an input of `size`.

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
    """The smallest span that contains all given spans.

    >>> hull((0, 3), (2, 5))
    (0, 5)
    """
    return min(first for first, _ in spans), max(last for _, last in spans)
