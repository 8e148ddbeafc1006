"""Fully dense U-Net (Guan, Khan, Sikdar and Chitnis 2020)."""

from functools import partial

from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.models.blocks import convolve, join, need_padding
from biounet.models.unet import UNet

__all__ = ["DenseBlock", "dense_unet"]


def dense_unet(config: ModelConfig) -> UNet:
    """U-Net of dense blocks, in which each layer takes the feature maps of all layers before it.

    Notes
    -----
    Source: Guan et al. 2020, "Fully Dense UNet for 2-D Sparse Photoacoustic Tomography Artifact Removal",
    figures 1 and 2. Differs: their network adds its input to its output, to remove artefacts; ours gives
    logits. Re-implementations have the same blocks, and some a 1x1 convolution before each pooling,
    as the transitions of Huang et al. 2017; ours has none.
    """
    need_padding(config)
    return UNet(config, block=DenseBlock, entry=partial(DenseBlock, size=3))


class DenseBlock(nn.Module):
    """Dense block: four layers, each of which takes the feature maps of all layers before it.

    Parameters
    ----------
    before, after, dims, padded, norm : as for `ConvBlock`; always padded
        Half of the channels after the block are those that enter its layers, each layer adds an eighth.
    size : pixels
        Of the convolution that brings the input to half of the channels: 3 where it sees the image.

    Notes
    -----
    Source: Guan, Khan, Sikdar and Chitnis 2020, "Fully Dense UNet", figure 2: a layer is a 1x1 convolution
    that keeps the number of channels small and a 3x3 convolution (after Huang et al. 2017).

    Raises
    ------
    ConfigError
        If `after` is no multiple of 8.
    """

    def __init__(self, before: int, after: int, *, dims: int, padded: bool, norm: bool, size: int = 1) -> None:
        super().__init__()
        if after % 8:
            raise ConfigError(f"dense blocks add an eighth of the channels per layer; take a width of 8 N, got {after}")
        enter, growth = after // 2, after // 8
        self.reach = 4 + size // 2
        adapt = convolve(before, enter, size, dims=dims, norm=norm) if before != enter else []
        self.adapt = nn.Sequential(*adapt)
        self.layers = nn.ModuleList(
            nn.Sequential(
                *convolve(enter + number * growth, enter, 1, dims=dims, norm=norm),
                *convolve(enter, growth, 3, dims=dims, norm=norm),
            )
            for number in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the input, brought to half of the channels, beside what each layer adds."""
        x = self.adapt(x)
        for layer in self.layers:
            x = join(x, layer(x))
        return x
