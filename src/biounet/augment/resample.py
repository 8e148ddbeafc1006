"""Resample images along a field of displacements: exact for labels, on any device, with true surroundings."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from biounet.errors import ShapeError

__all__ = ["mirrored", "warp"]

Outside = float | Literal["mirror"]


def warp(
    image: Tensor,
    field: Tensor,
    *,
    order: int = 1,
    outside: Outside = "mirror",
    origin: Sequence[int] | None = None,
) -> Tensor:
    """Take each pixel x of the result from x + field(x) of the image.

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
    _check(image, field, order, outside)
    dims, size = field.shape[0], field.shape[1:]
    dtype = image.dtype if image.is_floating_point() or order == 0 else torch.float32
    positions = field.to(image.device, torch.float32, copy=True)
    coordinates = [torch.arange(pixels, dtype=torch.float32, device=image.device) for pixels in size]
    for position, coordinate in zip(positions, torch.meshgrid(coordinates, indexing="ij"), strict=True):
        position += coordinate
    take = _linear if order == 1 else _nearest
    result = take(image.reshape(-1, *image.shape[-dims:]), positions, origin or (0,) * dims, outside)
    return result.reshape(*image.shape[:-dims], *size).to(dtype)


def mirrored(index: Tensor, size: int) -> Tensor:
    """Which pixel shows where an index lies beyond an axis of `size` pixels, as `numpy.pad` ``"reflect"``.

    >>> mirrored(torch.tensor([-2, -1, 0, 1, 2, 3, 4]), 3)
    tensor([2, 1, 0, 1, 2, 1, 0])
    """
    period = max(2 * (size - 1), 1)
    index = index.remainder(period)
    return torch.minimum(index, period - index)


def _check(image: Tensor, field: Tensor, order: int, outside: Outside) -> None:
    """Refuse what `warp` cannot do."""
    dims = field.shape[0]
    if order not in (0, 1):
        raise ValueError(f"order must be 0 (nearest) or 1 (linear), got {order}")
    if field.ndim != dims + 1 or image.ndim < dims or not all(image.shape[-dims:]) or not field.numel():
        shapes = f"field {tuple(field.shape)} and image {tuple(image.shape)}"
        raise ShapeError(f"a field (D, ...) of D axes bends the last D axes of an image, got {shapes}")
    if order == 0 and outside != "mirror" and outside < 0 and not image.dtype.is_signed:
        raise ValueError(f"{outside} outside does not fit labels of {image.dtype}; convert them to int64")


def _nearest(image: Tensor, positions: Tensor, origin: Sequence[int], outside: Outside) -> Tensor:
    """Take the pixel nearest to each position, (C, *image) to (C, pixels)."""
    whole = positions.add_(0.5).floor_()
    window, corner = _window(image, whole, origin, outside, margin=0)
    if window[0].numel() > 2**24:
        whole = whole.double()  # float32 counts exactly up to 2**24
    index = whole[0].sub_(corner[0])
    for axis in range(1, len(corner)):
        index.mul_(window.shape[1 + axis]).add_(whole[axis].sub_(corner[axis]))
    index = index.flatten().long()
    result = image.new_empty(len(image), len(index))
    for channel, target in zip(window, result, strict=True):
        torch.index_select(channel.flatten(), 0, index, out=target)
    return result


def _linear(image: Tensor, positions: Tensor, origin: Sequence[int], outside: Outside) -> Tensor:
    """Blend the 2**D pixels around each position, (C, *image) to (C, *positions).

    `grid_sample` wants positions between -1 and 1 and is exact only if sizes are powers of two. So it is
    told that the window is that large; what lies beyond the true window is never read.
    """
    image = image.to(torch.promote_types(image.dtype, torch.float32))
    # One pixel more on each side, should rounding bring a position just past a whole number.
    window, corner = _window(image, positions, origin, outside, margin=1)
    sizes = [_power_of_two(size) for size in window.shape[1:]]
    claimed = window.as_strided((1, len(window), *sizes), (0, *window.stride()))
    grid = torch.empty_like(positions)
    for axis, (first, size) in enumerate(zip(corner, sizes, strict=True)):
        target = grid[-1 - axis]  # x comes first
        torch.mul(positions[axis], 2 / size, out=target).add_((1 - 2 * first) / size - 1)
    return grid_sample(claimed, grid.movedim(0, -1)[None].to(image.dtype), align_corners=False)[0]


def _window(
    image: Tensor, positions: Tensor, origin: Sequence[int], outside: Outside, *, margin: int
) -> tuple[Tensor, list[int]]:
    """Cut the part of the image that the positions need, mirrored or filled beyond the image; and its first pixel.

    The memory behind it is as large as if its sizes were powers of two.
    """
    flat = positions.flatten(1)
    low, high = torch.stack([flat.amin(1), flat.amax(1)]).tolist()
    if not all(map(math.isfinite, low + high)):
        raise ValueError("the field must be finite, got NaN or infinity; draw it anew")
    corner = [math.floor(bound) - margin for bound in low]
    stop = [math.floor(bound) + 2 * margin + 1 for bound in high]
    pieces = [image]
    for axis, start in enumerate(origin):
        pieces = _reach(_joined(pieces, axis), 1 + axis, start + corner[axis], start + stop[axis], outside)
    sizes = [last - first for first, last in zip(corner, stop, strict=True)]
    strides = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    beyond = sum((_power_of_two(size) - size) * stride for size, stride in zip(sizes, strides, strict=True))
    memory = image.new_empty(len(image) * math.prod(sizes) + beyond)
    window = memory[: memory.numel() - beyond].view(len(image), *sizes)
    return torch.cat(pieces, dim=-1, out=window), corner


def _joined(pieces: list[Tensor], axis: int) -> Tensor:
    """Join along an axis, without a copy where there is nothing to join."""
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=axis)


def _reach(image: Tensor, axis: int, start: int, stop: int, outside: Outside) -> list[Tensor]:
    """Pixels from start to stop along one axis: those before, in and after the image."""
    size = image.shape[axis]
    first, last = (min(max(bound, 0), size) for bound in (start, stop))
    pieces = [
        _beyond(image, axis, range(start, min(stop, 0)), outside),
        image.narrow(axis, first, last - first),
        _beyond(image, axis, range(max(start, size), stop), outside),
    ]
    return [piece for piece in pieces if piece.shape[axis]]


def _beyond(image: Tensor, axis: int, pixels: range, outside: Outside) -> Tensor:
    """Take pixels that lie beyond the image along one axis."""
    size = image.shape[axis]
    if outside != "mirror":
        shape = list(image.shape)
        shape[axis] = len(pixels)
        return image.new_full(shape, outside)
    index = torch.tensor(pixels, dtype=torch.int64, device=image.device)
    return image.index_select(axis, mirrored(index, size))


def _power_of_two(size: int) -> int:
    """The smallest power of two that is no less."""
    return 1 << (size - 1).bit_length()
