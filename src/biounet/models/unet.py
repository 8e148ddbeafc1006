"""U-Net (Ronneberger, Fischer and Brox 2015), in 2D and 3D, valid and same."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.geometry import Geometry
from biounet.models.blocks import CONV, POOL, ConvBlock, UpConvolution, crop_center, join
from biounet.models.receptive_field import traced_geometry, unet_geometry, unet_needs

__all__ = ["OpenGate", "UNet", "unet3d"]


class UNet(nn.Module):
    """U-Net: a contracting path for context, an expanding path for localisation, and skips between them.

    Parameters
    ----------
    config : ModelConfig
        ``padding="valid"`` is the network of the paper: unpadded convolutions, so that the output is the
        part of the image whose full context was in the input. ``"same"`` keeps the size.
    block : (before, after, dims=, padded=, norm=) -> Module with ``reach``
        Block of each level; two 3x3 convolutions with ReLU in the paper.
    entry : as `block`
        The first block, which takes the image; the same as `block` if not given.
    widen : (below, width, factors, dims=) -> Module with ``channels`` and ``linear``
        Upsampling of feature maps to the next level; an up-convolution in the paper.
    gate : (channels, below, factors, dims=) -> Module of skip and feature maps of the level below
        Gate of each skip but the outermost; none in the paper.
    strided : bool
        Whether the next block downsamples by its ``stride=``, in place of a pooling.

    Notes
    -----
    Source: Ronneberger et al. 2015, figure 1. The figure shows no ReLU after the up-convolutions; the
    network that its authors published has it, and only with it do feature maps keep unit variance, so we
    have it too. Drop-out stands where the published network has it: on the last contracting level and
    on the bottom. It sets single values to 0, not channels, as there.

    Examples
    --------
    >>> import torch
    >>> net = UNet(ModelConfig())
    >>> sum(weight.numel() for weight in net.parameters())
    31030658
    >>> net(torch.zeros(1, 1, 188, 188)).shape
    torch.Size([1, 2, 4, 4])
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        block: Callable[..., nn.Module] = ConvBlock,
        entry: Callable[..., nn.Module] | None = None,
        widen: Callable[..., nn.Module] = UpConvolution,
        gate: Callable[..., nn.Module] | None = None,
        strided: bool = False,
    ) -> None:
        super().__init__()
        dims, widths, poolings = config.dims, config.channels, config.poolings
        options = {"dims": dims, "padded": config.padding == "same", "norm": config.norm == "batch"}
        down = [(entry or block)(config.in_channels, widths[0], **options)]
        for pair, factors in zip(pairwise(widths), poolings, strict=True):
            down.append(block(*pair, **options, **({"stride": factors} if strided else {})))

        self.contracting = nn.ModuleList(down[:-1])
        self.pools = nn.ModuleList(nn.Identity() if strided else POOL[dims](factors) for factors in poolings)
        self.bottom = down[-1]
        self.dropout = nn.Dropout(config.dropout)
        upwards = list(zip(widths[:0:-1], widths[-2::-1], poolings[::-1], strict=True))
        self.widening = nn.ModuleList(widen(below, width, factors, dims=dims) for below, width, factors in upwards)
        self.gates = nn.ModuleList(
            gate(width, below, factors, dims=dims) if gate and level > 1 else OpenGate()
            for level, (below, width, factors) in zip(range(config.depth, 0, -1), upwards, strict=True)
        )
        self.expanding = nn.ModuleList(
            block(width + wide.channels, width, **options)  # type: ignore[operator]
            for (_, width, _), wide in zip(upwards, self.widening, strict=True)
        )
        self.head = CONV[dims](widths[0], config.classes, 1)
        self.geometry = self._geometry(config, strided)

    def _geometry(self, config: ModelConfig, strided: bool) -> Geometry:
        """Receptive field and input sizes, from the reach of the blocks."""
        if config.padding == "valid":
            return unet_geometry(config.poolings, padded=False)
        needs = partial(
            unet_needs,
            contract=[block.reach for block in (*self.contracting, self.bottom)],
            expand=[block.reach for block in reversed(self.expanding)],  # type: ignore[misc]
            linear=any(widen.linear for widen in self.widening),
            gated=[not isinstance(gate, OpenGate) for gate in reversed(self.gates)],
            strided=strided,
        )
        return traced_geometry(config.poolings, needs)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N, classes, *spatial) of an image (N, C, *spatial)."""
        skips, x = [], image
        for contract, pool in zip(self.contracting, self.pools, strict=True):
            x = contract(x)  # two 3x3 convolutions, ReLU
            if contract is self.contracting[-1]:
                x = self.dropout(x)
            skips.append(x)
            x = pool(x)  # half the pixels per axis
        x = self.dropout(self.bottom(x))
        for widen, gate, expand in zip(self.widening, self.gates, self.expanding, strict=True):
            skip = gate(skips.pop(), x)
            x = widen(x)  # 2x2 up-convolution, half the channels
            x = expand(join(crop_center(skip, x.shape[2:]), x))
        return self.head(x)  # type: ignore[no-any-return]  # 1x1 convolution to logits


class OpenGate(nn.Module):
    """Skip without an attention gate."""

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        """Return the skip."""
        return skip


def unet3d(config: ModelConfig) -> UNet:
    """3D U-Net (Cicek, Abdulkadir, Lienkamp, Brox and Ronneberger 2016).

    The channels double before a pooling, not after it.

    Notes
    -----
    Source: Cicek et al. 2016, "3D U-Net: Learning Dense Volumetric Segmentation from Sparse Annotation",
    figure 2 and section 2. The network of the paper, with its 19,069,955 weights, is
    ``ModelConfig(dims=3, in_channels=3, classes=3, width=64, depth=3, norm="batch")``, ``width`` being the
    channels of the outermost level, 32 and then 64. The paper counts kernels and one shift per channel, which
    are the shifts of our batch normalisations; it gives up-convolutions none. Differs: ReLU after
    up-convolutions, as in `UNet`. With ``dims=2`` it is the same for images.

    Examples
    --------
    >>> unet3d(ModelConfig(dims=3, depth=3)).geometry.output_size((132, 132, 116))
    (44, 44, 28)
    """
    return UNet(config, block=_doubling_block, widen=partial(UpConvolution, keep=True))


def _doubling_block(before: int, after: int, **options: Any) -> ConvBlock:
    """Block of the contracting path of the 3D U-Net: its first convolution has half of the channels."""
    return ConvBlock(before, after, between=after // 2 if before < after else after, **options)
