"""What padded networks of any layers need of their input: reach, followed backwards layer by layer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from biounet.geometry.network import Geometry

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
    >>> Step(3, padding=1).needed(5, 5), Step(2, stride=2).needed(5, 5)
    ((4, 6), (10, 11))
    >>> Step(4, stride=2, up=True).needed(5, 5)     # 5 = 2 * 1 + 3 = 2 * 2 + 1
    (1, 2)
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    up: bool = False

    def needed(self, first: int, last: int) -> tuple[int, int]:
        """Return the input pixels that the output pixels first..last use."""
        if self.up:
            return -((self.kernel - 1 - self.padding - first) // self.stride), (last + self.padding) // self.stride
        return first * self.stride - self.padding, last * self.stride - self.padding + self.kernel - 1


def trunk_geometry(paths: Sequence[Sequence[Step]], *, grid: int, padded: bool, axes: int = 2) -> Geometry:
    """What a network needs whose layers keep the size of the image by padding.

    Parameters
    ----------
    paths : ways from the input to the output
        The layers on each, in the order of computation: one way for every skip, and the one through the bottom.
    grid : pixels
        Product of the strides; the same along every axis.
    padded : bool
        Whether the network delivers everything, or has cut the margin off itself.

    Examples
    --------
    >>> trunk_geometry([[Step(3, padding=1)] * 2], grid=1, padded=True).margin
    (2, 2)
    """
    reach = 0
    for pixel in range(grid):
        for path in paths:
            first = last = pixel
            for step in reversed(path):
                first, last = step.needed(first, last)
            reach = max(reach, pixel - first, last - pixel)
    margin = math.ceil(reach / grid) * grid
    return Geometry((grid,) * axes, (margin,) * axes, (0,) * axes, padded)
