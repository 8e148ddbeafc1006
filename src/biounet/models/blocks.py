"""Building blocks that the architectures of the family are composed of."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = ["CONV", "NORM", "POOL", "WIDEN", "ConvBlock", "crop_center", "draw_weights"]

Layer = Callable[..., nn.Module]
CONV: Mapping[int, Layer] = {2: nn.Conv2d, 3: nn.Conv3d}
WIDEN: Mapping[int, Layer] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOL: Mapping[int, Layer] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
NORM: Mapping[int, Layer] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class ConvBlock(nn.Sequential):
    """Two 3x3 convolutions, each followed by ReLU, with batch normalisation between if asked for.

    Parameters
    ----------
    before, after : channels
    dims : 2 or 3
    padded : whether the output keeps the size of the input
    norm : whether to normalise over the batch

    Examples
    --------
    >>> ConvBlock(1, 64, dims=2, padded=False, norm=False)(torch.zeros(1, 1, 10, 12)).shape
    torch.Size([1, 64, 6, 8])
    """

    reach = 2  # pixels that the two convolutions look to each side

    def __init__(self, before: int, after: int, *, dims: int, padded: bool, norm: bool) -> None:
        layers: list[nn.Module] = []
        for channels in (before, after):
            # A bias before batch normalisation would be subtracted again.
            layers.append(CONV[dims](channels, after, 3, padding=1 if padded else 0, bias=not norm))
            if norm:
                layers.append(NORM[dims](after))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


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
        image = image.narrow(axis, (image.shape[axis] - wanted) // 2, wanted)
    return image


def draw_weights(net: nn.Module, generator: torch.Generator) -> None:
    """Draw all convolution weights from N(0, sqrt(2 / N)), N the incoming nodes; set biases to 0.

    Notes
    -----
    Source: Ronneberger et al. 2015, section 3 (after He et al. 2015), where a 3x3 convolution with
    64 channels before it has N = 9 * 64 = 576. An up-convolution whose stride is its size sends each
    input pixel to its own output pixels, so each output node has N = the channels before it.
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
