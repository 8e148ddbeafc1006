"""Building blocks of the U-Net and its variants.

``block(before, after, dims=, padded=, norm=)`` makes a block. Its attribute ``reach`` is the number of pixels that it
uses on each side of an output pixel.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError

__all__ = [
    "CONV",
    "NORM",
    "POOL",
    "WIDEN",
    "ConvBlock",
    "UpConvolution",
    "Upsampling",
    "activate",
    "convolve",
    "crop_center",
    "draw_weights",
    "join",
    "need_padding",
]


Layer = Callable[..., nn.Module]
CONV: Mapping[int, Layer] = {2: nn.Conv2d, 3: nn.Conv3d}
WIDEN: Mapping[int, Layer] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOL: Mapping[int, Layer] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
NORM: Mapping[int, Layer] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def convolve(before: int, after: int, size: int, *, dims: int, norm: bool, padded: bool = True) -> list[nn.Module]:
    """Convolution, batch normalisation if asked for, ReLU."""
    # A bias before batch normalisation would be subtracted again.
    convolution = CONV[dims](before, after, size, padding=size // 2 if padded else 0, bias=not norm)
    return [convolution, *activate(after, dims=dims, norm=norm)]


def activate(channels: int, *, dims: int, norm: bool, inplace: bool = True) -> list[nn.Module]:
    """Batch normalisation if asked for, ReLU."""
    return [NORM[dims](channels), nn.ReLU(inplace=True)] if norm else [nn.ReLU(inplace=inplace)]


class ConvBlock(nn.Sequential):
    """Two 3x3 convolutions, each followed by ReLU, with batch normalisation between if asked for.

    Parameters
    ----------
    before, after : channels
    dims : 2 or 3
    padded : whether the output keeps the size of the input
    norm : whether to normalise over the batch
    between : channels between the convolutions; as many as after them if not given

    Examples
    --------
    >>> ConvBlock(1, 64, dims=2, padded=False, norm=False)(torch.zeros(1, 1, 10, 12)).shape
    torch.Size([1, 64, 6, 8])
    """

    reach = 2  # pixels that the two convolutions look to each side

    def __init__(
        self, before: int, after: int, *, dims: int, padded: bool, norm: bool, between: int | None = None
    ) -> None:
        between = after if between is None else between
        super().__init__(
            *convolve(before, between, 3, dims=dims, padded=padded, norm=norm),
            *convolve(between, after, 3, dims=dims, padded=padded, norm=norm),
        )


class UpConvolution(nn.Sequential):
    """Up-convolution whose stride is its kernel size, followed by ReLU; output blocks do not overlap.

    Parameters
    ----------
    below, width : channels of the level below, and of this level
    factors : per axis
    dims : 2 or 3
    keep : whether to keep the channels of the level below, and leave out the bias (Cicek et al. 2016)
    """

    linear = False  # no interpolation between pixels

    def __init__(self, below: int, width: int, factors: Sequence[int], *, dims: int, keep: bool = False) -> None:
        self.channels = below if keep else width
        size = tuple(factors)
        super().__init__(WIDEN[dims](below, self.channels, size, stride=size, bias=not keep), nn.ReLU(inplace=True))


class Upsampling(nn.Upsample):
    """Interpolation of feature maps to a larger size, without weights.

    Parameters
    ----------
    below, width, factors, dims : as for `UpConvolution`
    linear : whether to interpolate linearly between pixels, or to repeat them
    """

    def __init__(self, below: int, width: int, factors: Sequence[int], *, dims: int, linear: bool = False) -> None:
        mode = {2: "bilinear", 3: "trilinear"}[dims] if linear else "nearest"
        super().__init__(scale_factor=tuple(map(float, factors)), mode=mode)
        self.channels = below
        self.linear = linear


def crop_center(image: Tensor, size: Sequence[int]) -> Tensor:
    """Cut the middle out of all spatial axes.

    Parameters
    ----------
    image : (N, C, *spatial)
    size : pixels per spatial axis, not more than the image has

    Examples
    --------
    >>> crop_center(torch.arange(6.0).view(1, 1, 1, 6), (1, 2))
    tensor([[[[2., 3.]]]])
    """
    for axis, wanted in enumerate(size, start=2):
        if image.shape[axis] != wanted:  # the gradient of a part is a copy, and it loses the memory order
            image = image.narrow(axis, (image.shape[axis] - wanted) // 2, wanted)
    return image


def join(*maps: Tensor) -> Tensor:
    """Feature maps (N, C, *spatial) joined along their channels, as by `torch.cat`.

    Gradients of `torch.cat` are parts of one array, with gaps between their pixels. On these the gradient of ReLU
    takes up to five times as long, so they are copied while training.

    Examples
    --------
    >>> join(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 5, 4, 4])
    """
    if any(part.requires_grad for part in maps):
        return _Joined.apply(*maps)  # type: ignore[no-any-return, no-untyped-call]
    return torch.cat(maps, dim=1)


class _Joined(torch.autograd.Function):
    """Concatenation along the channels whose gradients are copies."""

    @staticmethod
    def forward(context: Any, *maps: Tensor) -> Tensor:
        context.channels = [part.shape[1] for part in maps]
        return torch.cat(maps, dim=1)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return tuple(part.clone() for part in torch.split(gradient, context.channels, dim=1))


def need_padding(config: ModelConfig) -> None:
    """Refuse unpadded convolutions for an architecture whose paper has none.

    Raises
    ------
    ConfigError
        If ``config.padding`` is not ``same``.
    """
    if config.padding != "same":
        raise ConfigError(f"{config.name} pads its convolutions: set model.padding to 'same', got {config.padding!r}")


def draw_weights(net: nn.Module, generator: torch.Generator) -> None:
    """Draw all convolution weights from N(0, sqrt(2 / N)), N the incoming nodes; set biases to 0.

    Notes
    -----
    Source: Ronneberger et al. 2015, section 3 (after He et al. 2015), where a 3x3 convolution with
    64 channels before it has N = 9 * 64 = 576. An up-convolution whose stride is its size sends each
    input pixel to its own output pixels, so each output node has N = the channels before it.
    The 2 makes up for the ReLU before a convolution. Where none is, as on the way past a residual, it would
    double feature maps from block to block: what a block names in ``unrectified`` has sqrt(1 / N).
    """
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            incoming = layer.in_channels * math.prod(layer.kernel_size)
        elif isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d):
            overlap = math.prod(size / step for size, step in zip(layer.kernel_size, layer.stride, strict=True))
            incoming = round(layer.in_channels * overlap)
        else:
            continue
        nn.init.normal_(layer.weight, std=math.sqrt(2 / incoming), generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    for block in net.modules():
        for name in getattr(block, "unrectified", ()):
            for weight in getattr(block, name).parameters():
                weight.data.mul_(math.sqrt(1 / 2))
