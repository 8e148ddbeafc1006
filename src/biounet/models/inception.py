"""Inception U-Net (Cahall, Rasool, Bouaynaya and Fathallah-Shaykh 2019)."""

import torch
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.models.blocks import POOL, convolve, need_padding
from biounet.models.unet import UNet

__all__ = ["InceptionBlock", "InceptionModule", "inception_unet"]


def inception_unet(config: ModelConfig) -> UNet:
    """U-Net with inception modules, filters of several sizes, in place of convolutions.

    Notes
    -----
    Source: Cahall et al. 2019, "Inception Modules Enhance Brain Tumor Segmentation"; the first author published
    the network (github.com/danielenricocahall/Keras-UNet). Filters: Szegedy et al. 2015, figure 2b, who choose how
    many of each size there are, layer by layer; here as in the published network they are as many of each. Its
    32 of each on the outermost level are our ``width=128``, the channels of a module.
    Differs from the published network: two modules on each level of both paths, as the U-Net has two convolutions,
    where it has one, on the way up before the skip and none behind it; one filter of 5x5, where it has two of 3x3
    with nothing between them; up-convolutions, where it repeats pixels; no batch normalisation of the logits; and
    volumes. docs/papers.toml counts what each makes in parameters.
    github.com/mlcommons/GaNDLF has another network of this name, of two and three filters of 3x3 in place of the
    larger ones, which adds the input of each module to its output.
    """
    need_padding(config)
    return UNet(config, block=InceptionBlock)


class InceptionModule(nn.Module):
    """Inception module: parallel filters of 1x1, 3x3 and 5x5 pixels, and a max-pooling of 3x3.

    Parameters
    ----------
    before, after, dims, norm : as for `biounet.models.blocks.ConvBlock`
        A quarter of the channels comes from each. Convolutions of 1x1 bring the input to as few
        before the larger filters.
    """

    def __init__(self, before: int, after: int, *, dims: int, norm: bool) -> None:
        super().__init__()
        some = after // 4
        self.point = nn.Sequential(*convolve(before, some, 1, dims=dims, norm=norm))
        self.small, self.large = (
            nn.Sequential(
                *convolve(before, some, 1, dims=dims, norm=norm), *convolve(some, some, size, dims=dims, norm=norm)
            )
            for size in (3, 5)
        )
        self.most = nn.Sequential(POOL[dims](3, stride=1, padding=1), *convolve(before, some, 1, dims=dims, norm=norm))

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels of all filters."""
        return torch.cat([self.point(x), self.small(x), self.large(x), self.most(x)], dim=1)


class InceptionBlock(nn.Sequential):
    """Two modules of parallel filters of several sizes, in place of two convolutions.

    Parameters
    ----------
    before, after, dims, padded, norm : as for `ConvBlock`; always padded
        Each of the four kinds of filters has a quarter of the channels.

    Raises
    ------
    ConfigError
        If `after` is no multiple of 4.
    """

    reach = 4  # two filters of 5x5

    def __init__(self, before: int, after: int, *, dims: int, padded: bool, norm: bool) -> None:
        if after % 4:
            raise ConfigError(f"inception modules join four kinds of filters; take a width of 4 N, got {after}")
        super().__init__(*(InceptionModule(channels, after, dims=dims, norm=norm) for channels in (before, after)))
