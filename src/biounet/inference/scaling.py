"""Scaled prediction: a network sees objects in the size that it learnt, and its result has the pixels of the image.

A tile is scaled, predicted and scaled back. Weights of pixels follow from their place in the image, and tiles begin
where pixels of the image and of the scaled image coincide, so that what a pixel gets does not depend on the tile.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box, Reader
from biounet.core.geometry import Geometry
from biounet.inference.cost import Cost
from biounet.inference.overlap_tile import Floats, TilePredictor
from biounet.inference.tiles import read_mirrored

__all__ = ["Scale", "ScaledNet", "ScaledReader", "resample"]


ROWS = 32
"""Rows of a scaled image that are made at a time, since each may be the mean of many of the image."""

CLOSE = 0.01
"""Largest relative difference between the factor that is wanted and the ratio of pixels that is taken for it."""


@dataclass(frozen=True)
class Scale:
    """A ratio of pixels: `network` pixels of the scaled image are as long as `image` pixels of the image.

    Parameters
    ----------
    network, image : pixels along each axis

    Examples
    --------
    >>> Scale.near(0.5, grid=16), Scale.near(3.3, grid=16)
    (Scale(network=16, image=32), Scale(network=96, image=29))
    """

    network: int
    image: int

    @classmethod
    def near(cls, factor: float, *, grid: int) -> "Scale":
        """The ratio of least numbers that is close to a factor, for networks whose tiles begin on a grid.

        Parameters
        ----------
        factor : no unit
            Length of an object in the scaled image, divided by that in the image.
        grid : pixels
        """
        ratios = (cls(count * grid, max(1, round(count * grid / factor))) for count in range(1, 101))
        return next(ratio for ratio in ratios if abs(float(ratio) / factor - 1) <= CLOSE)

    def __float__(self) -> float:
        return self.network / self.image

    @property
    def inverse(self) -> "Scale":
        """The way back."""
        return Scale(self.image, self.network)


def resample(array: Floats, scale: Scale, axis: int, *, start: int, size: int, first: int) -> Floats:
    """Pixels of a scaled image along one axis, from pixels of the image.

    Parameters
    ----------
    array : any axes, float32
    scale : Scale
    axis : int
    start, size : pixels of the scaled image
        Which of its pixels are wanted.
    first : pixel of the image that is the first one of `array`

    Returns
    -------
    float32
        Each pixel is a mean with weights that fall linearly with the distance of the centres (a triangle), as wide as
        two pixels of the image or of the scaled image, whichever are longer.

    Examples
    --------
    >>> row = np.array([1, 3, 5, 7], np.float32)
    >>> resample(row, Scale(2, 1), 0, start=1, size=6, first=0)
    array([1.5, 2.5, 3.5, 4.5, 5.5, 6.5], dtype=float32)
    """
    before, weights = _taps(scale, start, size)
    result: Floats | None = None
    for tap, weight in enumerate(weights):
        part = np.take(array, before + (tap - first), axis=axis)
        part *= weight.reshape(-1, *(1,) * (array.ndim - 1 - axis % array.ndim))
        result = part if result is None else np.add(result, part, out=result)
    assert result is not None
    return result


def _taps(scale: Scale, start: int, size: int) -> tuple[NDArray[np.int64], Floats]:
    """First pixel of the image that each pixel of the scaled image is a mean of, and the weights (taps, size)."""
    reach = _reach(scale)
    twice = (
        2 * np.arange(start, start + size) + 1
    ) * scale.image - scale.network  # of 2 network pixels: place of the centre
    whole, part = np.divmod(twice, 2 * scale.network)
    from_centre = np.arange(1 - reach, reach + 1)[:, None] - part / (2 * scale.network)
    weights = np.maximum(0, 1 - np.abs(from_centre) / max(1, scale.image / scale.network))
    return whole + 1 - reach, (weights / weights.sum(0)).astype(np.float32)


def _reach(scale: Scale) -> int:
    """Pixels of the image on each side of a centre that have a weight."""
    return math.ceil(max(1, scale.image / scale.network))


@dataclass(frozen=True)
class ScaledReader:
    """An image, seen scaled, as a `biounet.core.boxes.Reader`; nothing is read or scaled before it is wanted.

    Examples
    --------
    >>> from biounet.core.boxes import ArrayReader
    >>> half = ScaledReader(ArrayReader(np.array([[1.0, 3, 5, 7, 9, 11]])), Scale(1, 2))
    >>> half.shape, half.read(Box((0, 1), (1, 2)))
    ((1, 3), array([[6.]], dtype=float32))
    """

    image: Reader
    scale: Scale

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis, channels first."""
        channels, *sizes = self.image.shape
        return (channels, *(max(1, round(size * float(self.scale))) for size in sizes))

    def read(self, box: Box) -> Floats:
        """Return the pixels of a region, of all channels; the image is read some rows at a time."""
        *before, _, columns = zip(box.start, box.stop, strict=True)
        ends = ((at, min(at + ROWS, box.stop[-2])) for at in range(box.start[-2], box.stop[-2], ROWS))
        return np.concatenate([self._rows(Box(*zip(*before, rows, columns, strict=True))) for rows in ends], axis=-2)

    def _rows(self, box: Box) -> Floats:
        """The pixels of some rows."""
        sides = list(zip(box.start[1:], box.shape[1:], strict=True))
        firsts = [_taps(self.scale, start, size)[0] for start, size in sides]
        start, stop = (
            tuple(int(first[at]) + more for first in firsts) for at, more in ((0, 0), (-1, 2 * _reach(self.scale)))
        )
        pixels: Floats = read_mirrored(self.image, Box(start, stop)).astype(np.float32)
        for axis, (begin, size) in enumerate(sides):
            pixels = resample(pixels, self.scale, axis + 1, start=begin, size=size, first=start[axis])
        return pixels


class ScaledNet:
    """A network on a scaled image, whose result is scaled back; a `biounet.inference.overlap_tile.TilePredictor`.

    Parameters
    ----------
    net : TilePredictor
    scale : Scale
        Its network pixels are a multiple of the grid of `net` along each axis.
    classes : channels of the result

    Examples
    --------
    >>> import torch
    >>> from biounet.config import ModelConfig
    >>> from biounet.inference.overlap_tile import TileNet
    >>> from biounet.models import build
    >>> net = TileNet(build(ModelConfig(width=2, depth=2)), device=torch.device("cpu"), precision=torch.float32)
    >>> half = ScaledNet(net, Scale.near(0.5, grid=4), classes=2)
    >>> half.geometry.grid, half(np.zeros((1, 1, *half.geometry.input_size((64, 96))), np.float32), (64, 96)).shape
    ((8, 8), (1, 2, 64, 96))
    """

    def __init__(self, net: TilePredictor, scale: Scale, *, classes: int) -> None:
        self._net, self._scale, self._classes = net, scale, classes
        self.dims, self.device, self.precision, self.copies = net.dims, net.device, net.precision, net.copies
        back = _reach(scale.inverse)
        # What is scaled back reaches over the tile, by whole grids so that poolings stay in phase.
        self._over = tuple(math.ceil(back / grid) * grid for grid in net.geometry.grid)
        grid = (scale.image,) * net.dims
        margin = tuple(self._margin(axis) for axis in range(net.dims))
        self.geometry = Geometry(grid, margin, tuple(2 * more % scale.image for more in margin), padded=False)

    def _inner(self, output: Sequence[int]) -> tuple[int, ...]:
        """Output of the network for a tile, in pixels of the scaled image."""
        sizes = (size * self._scale.network // self._scale.image for size in output)
        return tuple(size + 2 * over for size, over in zip(sizes, self._over, strict=True))

    def _margin(self, axis: int) -> int:
        """Pixels of the image that a tile needs on each side."""
        output = self._inner((self._scale.image,) * self.dims)
        start = -self._over[axis] - self._net.geometry.margin[axis]
        size = self._net.geometry.input_size(output)[axis]
        before, _ = _taps(self._scale, start, size)
        last = int(before[-1]) + 2 * _reach(self._scale)  # exclusive
        return max(-int(before[0]), last - self._scale.image)

    def __call__(self, inputs: Floats, output: Sequence[int]) -> Floats:
        """Return probabilities, or images, (N, classes, *output) of a batch of tiles (N, copies * C, *spatial)."""
        inner = self._inner(output)
        scaled = inputs
        for axis, size in enumerate(self._net.geometry.input_size(inner)):
            start = -self._over[axis] - self._net.geometry.margin[axis]
            scaled = resample(scaled, self._scale, axis + 2, start=start, size=size, first=-self.geometry.margin[axis])
        result = self._net(scaled, inner)
        for axis, size in enumerate(output):
            result = resample(result, self._scale.inverse, axis + 2, start=0, size=size, first=-self._over[axis])
        return result

    def cost(self, output: Sequence[int], *, channels: int, batch: int = 1) -> Cost:
        """Memory and arithmetic of a batch, counted without computing it."""
        inner = self._inner(output)
        inside = self._net.cost(inner, channels=channels, batch=batch)
        read = self.geometry.input_size(output), self._net.geometry.input_size(inner)
        # The array that an axis is scaled of, the sum, and the part that is added to it.
        arrays = (
            3
            * 4
            * batch
            * max(channels * max(map(math.prod, read)), self._classes * max(map(math.prod, (inner, output))))
        )
        return Cost(inside.bytes + arrays, inside.operations)
