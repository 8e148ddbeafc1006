"""What padded networks of any layers need of their input: reach, followed backwards layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass

from biounet.geometry.network import Geometry, Span, hull, traced_geometry

__all__ = ["Step", "trunk_geometry"]


@dataclass(frozen=True)
class Step:
    """One layer as seen along one axis.

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
    """What a network needs whose layers keep the size of an image by padding.

    Parameters
    ----------
    paths : ways from the input to the output
        The layers on each, in the order of computation: one way for every skip, and the one through the bottom.
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
    """Input pixels that the output pixels of a span use along one way."""
    for step in reversed(path):
        span = step.needed(span)
    return span
