"""Resampling of images by a displacement field, on any device; labels are never blended."""

import math
from collections.abc import Sequence
from functools import cached_property, reduce
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from biounet.core.errors import ShapeError

__all__ = ["Positions", "mirrored", "warp"]


Outside = float | Literal["mirror"]


class Reach(NamedTuple):
    """Positions (D, ...) in pixels, and their bounds along each axis."""

    positions: Tensor
    low: list[float]
    high: list[float]


class Positions:
    """Source positions in an image for all pixels of a result, computed once for image, labels and weights.

    Parameters
    ----------
    field, origin : as for `warp`
    shape : pixels per spatial axis of the image
    device : of the arrays

    Raises
    ------
    ShapeError
        If field and shape do not have the same number of spatial axes, or an axis is empty.
    ValueError
        If the field is not finite.
    """

    def __init__(
        self, field: Tensor, shape: Sequence[int], *, origin: Sequence[int] | None = None, device: torch.device
    ) -> None:
        dims, self._size = field.shape[0], field.shape[1:]
        if not dims == len(self._size) == len(shape) or not all(shape) or not field.numel():
            shapes = f"field {tuple(field.shape)} and image {tuple(shape)}"
            raise ShapeError(f"a field (D, ...) of D axes bends the last D axes of an image, got {shapes}")
        self._shape, self._origin = shape, origin or (0,) * dims
        positions = field.to(device, torch.float32, copy=True)
        for axis, (line, pixels) in enumerate(zip(positions, self._size, strict=True)):
            along = torch.arange(pixels, dtype=torch.float32, device=device)
            line.add_(along.view(-1, *(1,) * (dims - 1 - axis)))
        flat = positions.flatten(1)
        low, high = torch.stack([flat.amin(1), flat.amax(1)]).tolist()
        if not all(map(math.isfinite, low + high)):
            raise ValueError("the field must be finite, got NaN or infinity; draw it anew")
        self._true = Reach(positions, low, high)

    def nearest(self, image: Tensor, outside: Outside) -> Tensor:
        """Take the pixel nearest to each position, (C, *shape) to (C, *size)."""
        if outside != "mirror" and outside < 0 and not image.dtype.is_signed:
            raise ValueError(f"{outside} outside does not fit labels of {image.dtype}; convert them to int64")
        positions, low, high = self._mirrored
        first, last = math.floor(low[0]), min(math.floor(high[0]) + 1, self._bounds[0][1])
        rows = image.narrow(1, first + self._origin[0], last - first + 1).flatten(1)  # no copy, as a rule
        whole = (positions + 0.5).floor_()
        if rows.shape[1] > 2**24:
            whole = whole.double()  # float32 counts exactly up to 2**24
        index = whole[0] - first
        for axis in range(1, len(whole)):
            index.mul_(self._shape[axis]).add_(whole[axis] + self._origin[axis])
        index = index.flatten().long()
        result = image.new_empty(len(image), len(index))
        for channel, target in zip(rows, result, strict=True):
            torch.index_select(channel, 0, index, out=target)
        if outside != "mirror" and self._mirrored is not self._true:
            result[:, self._beyond.flatten()] = outside
        return result.view(-1, *self._size)

    def linear(self, images: Sequence[Tensor], outside: Outside) -> list[Tensor]:
        """Blend the 2**D pixels around each position, in several images at once, (C, *shape) to (C, *size).

        `grid_sample` takes positions between -1 and 1, and is exact only if sizes are powers of two. So the window is
        declared that large; pixels beyond the true window are never read.
        """
        reach = self._mirrored if outside == "mirror" else self._true
        window, corner = self._window(images, reach, 0.0 if outside == "mirror" else outside)
        sizes = [_power_of_two(size) for size in window.shape[1:]]
        claimed = window.as_strided((1, len(window), *sizes), (0, *window.stride()))
        grid = torch.empty_like(reach.positions)
        axes = zip(reach.positions, reversed(grid.unbind()), corner, sizes, strict=True)  # in a grid x comes first
        for line, target, first, size in axes:
            torch.mul(line, 2 / size, out=target).add_((1 - 2 * first) / size - 1)
        blended = grid_sample(claimed, grid.movedim(0, -1)[None].to(window.dtype), align_corners=False)[0]
        parts = torch.split(blended, [len(image) for image in images])
        dtypes = [image.dtype if image.is_floating_point() else torch.float32 for image in images]
        return [part.to(dtype) for part, dtype in zip(parts, dtypes, strict=True)]

    @cached_property
    def _bounds(self) -> list[tuple[int, int]]:
        """First and last pixel of the image along each axis, as offsets from the first pixel of the field."""
        return [(-start, size - 1 - start) for start, size in zip(self._origin, self._shape, strict=True)]

    @cached_property
    def _mirrored(self) -> Reach:
        """The same positions within the image; those beyond are mirrored at the outermost pixels."""
        true = self._true
        axes = zip(true.positions, true.low, true.high, self._bounds, strict=True)
        lines, *bounds = zip(*(_fold(*axis) for axis in axes), strict=True)
        low, high = map(list, bounds)
        return true if low == true.low and high == true.high else Reach(torch.stack(lines), low, high)

    @property
    def _beyond(self) -> Tensor:
        """Mask of the positions whose nearest pixel lies beyond the image."""
        whole = (self._true.positions + 0.5).floor_()
        lines = zip(whole, self._bounds, strict=True)
        return torch.stack([(line < first) | (line > last) for line, (first, last) in lines]).any(0)

    def _window(self, images: Sequence[Tensor], reach: Reach, beyond: float) -> tuple[Tensor, list[int]]:
        """Window of the images that linear interpolation reads, filled beyond their edges; and its first pixel.

        The memory behind it is as large as if its sizes were powers of two.
        """
        corner = [math.floor(bound) for bound in reach.low]
        # Beside the pixel after the position one more, with weight 0, should rounding bring it to a whole number.
        sizes = [math.floor(bound) + 3 - first for bound, first in zip(reach.high, corner, strict=True)]
        strides = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
        claimed = sum((_power_of_two(size) - size) * stride for size, stride in zip(sizes, strides, strict=True))
        channels = [len(image) for image in images]
        pixels = sum(channels) * math.prod(sizes)
        dtype = reduce(torch.promote_types, [image.dtype for image in images], torch.float32)
        window = images[0].new_empty(pixels + claimed, dtype=dtype)[:pixels].view(-1, *sizes)
        source, target = [slice(None)], [slice(None)]
        for first, size, (least, most) in zip(corner, sizes, self._bounds, strict=True):
            begin = max(first, least)
            end = max(begin, min(first + size, most + 1))
            source.append(slice(begin - least, end - least))
            target.append(slice(begin - first, end - first))
        inside = window[tuple(target)]
        if inside.shape != window.shape:
            window.fill_(beyond)
        for part, image in zip(torch.split(inside, channels), images, strict=True):
            part.copy_(image[tuple(source)])
        return window, corner


def warp(
    image: Tensor,
    field: Tensor,
    *,
    order: int = 1,
    outside: Outside = "mirror",
    origin: Sequence[int] | None = None,
) -> Tensor:
    """Warp an image by a displacement field: pixel x of the result is the image at x + field(x).

    Parameters
    ----------
    image : (..., Y, X) or (..., Z, Y, X)
        Any axes before the spatial ones (samples, channels) are warped alike. Any device.
    field : (D, y, x) or (D, z, y, x), pixels
        Its size is the size of the result.
    order : 0 or 1
        0 takes the nearest pixel, exact for any dtype: labels are never blended. 1 interpolates
        linearly; integers become float32.
    outside : "mirror" or a number
        What lies beyond the image: its reflection about the outermost pixels (`numpy.pad`
        ``"reflect"``), or that number everywhere.
    origin : pixels, one integer per axis
        Where in the image the first pixel of the field lies, as for a patch that is cut from a large
        image with its true surroundings. May lie outside. None: at the first pixel.

    Returns
    -------
    (..., y, x) or (..., z, y, x)
        A field of whole numbers moves pixels bit for bit.

    Raises
    ------
    ShapeError
        If field and image do not have the same number of spatial axes, or an axis is empty.
    ValueError
        If `order` is not 0 or 1, the field is not finite, or `outside` does not fit the dtype.

    Examples
    --------
    >>> row = torch.tensor([[10, 20, 30]])
    >>> one_left = torch.stack([torch.zeros(1, 3), torch.ones(1, 3)])
    >>> warp(row, one_left, order=0), warp(row, one_left / 2, order=1)
    (tensor([[20, 30, 20]]), tensor([[15., 25., 25.]]))
    """
    if order not in (0, 1):
        raise ValueError(f"order must be 0 (nearest) or 1 (linear), got {order}")
    dims = field.shape[0]
    shape = image.shape[-dims:]
    positions = Positions(field, shape, origin=origin, device=image.device)
    flat = image.reshape(-1, *shape)
    result = positions.linear([flat], outside)[0] if order else positions.nearest(flat, outside)
    return result.view(*image.shape[:-dims], *field.shape[1:])


def mirrored(index: Tensor, size: int) -> Tensor:
    """Indices mirrored into an axis of `size` pixels, as by `numpy.pad` with ``"reflect"``.

    >>> mirrored(torch.tensor([-2, -1, 0, 1, 2, 3, 4]), 3)
    tensor([2, 1, 0, 1, 2, 1, 0])
    """
    period = max(2 * (size - 1), 1)
    index = index.remainder(period)
    return torch.minimum(index, period - index)


def _fold(line: Tensor, low: float, high: float, ends: tuple[int, int]) -> tuple[Tensor, float, float]:
    """Positions between `low` and `high`, mirrored at the outermost pixels until none lies beyond, and their bounds."""
    first, last = ends
    if first == last:
        return torch.full_like(line, first), first, last
    while low < first or high > last:
        if low < first:
            line = (line - first).abs_().add_(first)
            low, high = first, max(high, 2 * first - low)
        else:
            line = (last - line).abs_().sub_(last).neg_()
            low, high = min(low, 2 * last - high), last
    return line, low, high


def _power_of_two(size: int) -> int:
    """The smallest power of two that is at least the given number."""
    return 1 << (size - 1).bit_length()
