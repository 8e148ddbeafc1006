"""3D U-Net (Cicek, Abdulkadir, Lienkamp, Brox and Ronneberger 2016)."""

from functools import partial
from typing import Any

from biounet.config import ModelConfig
from biounet.models.blocks import ConvBlock, UpConvolution
from biounet.models.unet import UNet

__all__ = ["unet3d"]


def unet3d(config: ModelConfig) -> UNet:
    """U-Net for volumes, which doubles the channels before a pooling and not after it.

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
    """On the way down, the first convolution has half of the channels."""
    return ConvBlock(before, after, between=after // 2 if before < after else after, **options)
