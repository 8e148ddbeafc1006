"""U-Net (Ronneberger, Fischer and Brox 2015), in 2D and 3D, valid and same."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.geometry import Geometry, unet_geometry
from biounet.models.blocks import CONV, POOL, WIDEN, ConvBlock, crop_center

__all__ = ["UNet"]


class UNet(nn.Module):
    """A contracting path that sees what is there, an expanding path that says where, and skips between.

    Parameters
    ----------
    config : ModelConfig
        ``padding="valid"`` is the network of the paper: unpadded convolutions, so that the output is the
        part of the image whose full context was in the input. ``"same"`` keeps the size.
    block : (before, after, dims=, padded=, norm=) -> Module
        What stands at each level; two 3x3 convolutions with ReLU in the paper.

    Notes
    -----
    Source: Ronneberger et al. 2015, figure 1. The figure shows no ReLU after the up-convolutions; the
    network that its authors published has it, and only with it do feature maps keep unit variance, so we
    have it too. Drop-out stands where the published network has it: on the last contracting level and
    on the bottom.

    Examples
    --------
    >>> net = UNet(ModelConfig())
    >>> sum(weight.numel() for weight in net.parameters())
    31030658
    >>> net(torch.zeros(1, 1, 188, 188)).shape
    torch.Size([1, 2, 4, 4])
    """

    def __init__(self, config: ModelConfig, *, block: Callable[..., nn.Module] = ConvBlock) -> None:
        super().__init__()
        padded, dims, widths = config.padding == "same", config.dims, config.channels
        options = {"dims": dims, "padded": padded, "norm": config.norm == "batch"}
        before = (config.in_channels, *widths)
        self.geometry: Geometry = unet_geometry(config.poolings, padded=padded)

        self.contracting = nn.ModuleList(block(*pair, **options) for pair in zip(before, widths[:-1], strict=False))
        self.pools = nn.ModuleList(POOL[dims](factors) for factors in config.poolings)
        self.bottom = block(*widths[-2:], **options)
        self.dropout = nn.Dropout(config.dropout)
        upwards = list(zip(widths[:0:-1], widths[-2::-1], config.poolings[::-1], strict=True))
        self.widening = nn.ModuleList(
            nn.Sequential(WIDEN[dims](below, width, factors, stride=factors), nn.ReLU(inplace=True))
            for below, width, factors in upwards
        )
        self.expanding = nn.ModuleList(block(2 * width, width, **options) for _, width, _ in upwards)
        self.head = CONV[dims](widths[0], config.classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return class scores (N, classes, *spatial), before the soft-max, of an image (N, C, *spatial)."""
        skips, x = [], image
        for contract, pool in zip(self.contracting, self.pools, strict=True):
            x = contract(x)  # two 3x3 convolutions, ReLU
            if contract is self.contracting[-1]:
                x = self.dropout(x)
            skips.append(x)
            x = pool(x)  # half the pixels per axis
        x = self.dropout(self.bottom(x))
        for widen, expand in zip(self.widening, self.expanding, strict=True):
            x = widen(x)  # 2x2 up-convolution, half the channels
            x = expand(torch.cat([crop_center(skips.pop(), x.shape[2:]), x], dim=1))
        return self.head(x)  # type: ignore[no-any-return]  # 1x1 convolution to class scores
