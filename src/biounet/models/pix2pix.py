"""pix2pix (Isola, Zhu, Zhou and Efros 2017): a U-Net that draws images, and the discriminator that it learns from."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.geometry import Span, hull
from biounet.models.blocks import CONV, NORM, WIDEN, need_padding
from biounet.models.receptive_field import above_linear, traced_geometry

__all__ = ["PatchGAN", "Pix2Pix"]


LEAK = 0.2  # slope of the ReLU of the encoder and of the discriminator for negative numbers


class Pix2Pix(nn.Module):
    """Generator of pix2pix: a U-Net of 4x4 convolutions of stride 2, and transposed ones on the way up.

    Parameters
    ----------
    config : ModelConfig
        The generator of the paper, for images of 256 x 256 or more, is ``ModelConfig(name="pix2pix",
        in_channels=3, classes=3, width=64, max_width=512, depth=8, padding="same", norm="batch")``. ``depth``
        is the number of strides; ``classes`` the number of output channels.

    Notes
    -----
    Source: Isola et al. 2017, section 6.1.1. Differs: no tanh at the end, since our images are not scaled to
    [-1, 1] and logits of classes have no bounds; batch statistics and drop-out are frozen in prediction,
    where the paper computes them anew for every image, so that a result depends neither on the tile nor
    on chance. Where nothing is pooled along an axis (a factor of 1), convolutions are 3 wide.

    Examples
    --------
    >>> net = Pix2Pix(ModelConfig(name="pix2pix", width=4, depth=3, classes=3, padding="same"))
    >>> net(torch.zeros(1, 1, 16, 24)).shape
    torch.Size([1, 3, 16, 24])
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        need_padding(config)
        dims, norm = config.dims, config.norm == "batch"
        widths, poolings = (config.in_channels, *config.channels[: config.depth]), config.poolings
        layers = list(zip(pairwise(widths), poolings, strict=True))
        ends = (0, config.depth - 1)  # the first sees the image, the last may see a single pixel: no statistics
        self.down = nn.ModuleList(
            _resize(CONV[dims], before, after, factors, dims, norm=norm and level not in ends, bias=not norm)
            for level, ((before, after), factors) in enumerate(layers)
        )
        self.up = nn.ModuleList(  # all but the innermost see a skip too
            _resize(
                WIDEN[dims],
                after if level == ends[1] else 2 * after,
                before if level else config.classes,
                factors,
                dims,
                norm=norm and level > 0,
                bias=not (norm and level),
            )
            for level, ((before, after), factors) in reversed(list(enumerate(layers)))
        )
        self.leak = nn.LeakyReLU(LEAK)
        self.dropout = nn.Dropout(config.dropout)
        self.geometry = traced_geometry(poolings, _needs)

    def forward(self, image: Tensor) -> Tensor:
        """Return an image (N, classes, *spatial) of an image (N, C, *spatial)."""
        skips = [self.down[0](image)]  # 4x4 convolution, half the pixels per axis
        for down in list(self.down)[1:]:
            skips.append(down(self.leak(skips[-1])))
        x: Tensor = skips.pop()
        for number, up in enumerate(self.up):
            x = up(x.relu())  # 4x4 transposed convolution, twice the pixels per axis
            if skips:
                x = torch.cat([self.dropout(x) if number < 3 else x, skips.pop()], dim=1)
        return x


class PatchGAN(nn.Module):
    """Discriminator of pix2pix: says patch by patch whether an image is the true counterpart of another, or drawn.

    Parameters
    ----------
    in_channels : of the image and its counterpart together
    dims : 2 or 3
    width : channels after the first convolution
    depth : int
        Number of strides; 3 gives patches of 70 pixels.

    Notes
    -----
    Source: Isola et al. 2017, sections 3.2.2 and 6.1.2. No sigmoid: logits are for
    `torch.nn.functional.binary_cross_entropy_with_logits`.

    Examples
    --------
    >>> PatchGAN(6)(torch.zeros(1, 3, 256, 256), torch.zeros(1, 3, 256, 256)).shape
    torch.Size([1, 1, 30, 30])
    """

    def __init__(self, in_channels: int, *, dims: int = 2, width: int = 64, depth: int = 3) -> None:
        super().__init__()
        widths = [width * 2 ** min(level, 3) for level in range(depth + 1)]
        strides = [2] * depth + [1]
        layers: list[nn.Module] = []
        for before, after, stride in zip([in_channels, *widths], widths, strides, strict=False):
            first = not layers
            layers.append(CONV[dims](before, after, 4, stride=stride, padding=1, bias=first))
            layers += [nn.LeakyReLU(LEAK)] if first else [NORM[dims](after), nn.LeakyReLU(LEAK)]
        self.layers = nn.Sequential(*layers, CONV[dims](widths[-1], 1, 4, padding=1))

    def forward(self, image: Tensor, counterpart: Tensor) -> Tensor:
        """Return one logit (N, 1, *patches) per patch of two images (N, C, *spatial): above 0 means true."""
        return self.layers(torch.cat([image, counterpart], dim=1))  # type: ignore[no-any-return]


def _resize(
    layer: Callable[..., nn.Module],
    before: int,
    after: int,
    factors: Sequence[int],
    dims: int,
    *,
    norm: bool,
    bias: bool,
) -> nn.Sequential:
    """Convolution to or from half the size, with batch normalisation if asked for."""
    size = tuple(2 + factor for factor in factors)
    convolution = layer(before, after, size, stride=tuple(factors), padding=1, bias=bias)
    return nn.Sequential(convolution, *([NORM[dims](after)] if norm else []))


def _needs(factors: Sequence[int], span: Span) -> Span:
    """Input pixels that 4x4 convolutions of stride 2 use on the way down and up, along one axis."""
    if not factors:
        return span
    factor, rest = factors[0], factors[1:]
    wide = 1 if factor == 1 else 0
    below = above_linear((span[0] - wide, span[1] + wide), factor)  # up: as linear interpolation, or 3 wide
    inner = hull(below, _needs(rest, below)) if rest else below
    return inner[0] * factor - 1, inner[1] * factor + factor  # down: a pixel more on each side
