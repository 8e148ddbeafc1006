"""Cascade of two U-Nets (Christ et al. 2016, Isensee et al. 2021): a fine one that knows what a coarse one saw."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.geometry import Span, hull, pooled, traced_geometry, unet_needs, unpooled
from biounet.models.blocks import Upsampling, need_padding
from biounet.models.unet import UNet

__all__ = ["CascadeUNet"]

SHRINK: Mapping[int, Callable[..., nn.Module]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


class CascadeUNet(nn.Module):
    """A U-Net on the image at half its size, then a U-Net on the image and the probabilities of the first.

    Parameters
    ----------
    config : ModelConfig
        Of each of the two. The image of the first is smaller by the factors of the outermost pooling. With
        ``deep_supervision``, the network gives the scores of both in training, (N, classes, 2, *spatial), the
        loss being the mean over them, so that the first too learns the classes; in evaluation, those of the
        second.

    Notes
    -----
    Source: Christ et al. 2016, "Automatic Liver and Lesion Segmentation in CT Using Cascaded Fully
    Convolutional Neural Networks", cut the image to what the first network found. Isensee et al. 2021,
    "nnU-Net", figure 2 and online methods, give the second network the result of the first as further
    channels; so do we, since a cut depends on the tile. Differs: both are trained together, and
    probabilities, not classes, are handed on.

    Examples
    --------
    >>> net = CascadeUNet(ModelConfig(name="cascade-unet", width=4, depth=1, padding="same")).eval()
    >>> net(torch.zeros(1, 1, 8, 8)).shape, net.geometry.grid
    (torch.Size([1, 2, 8, 8]), (4, 4))
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        need_padding(config)
        dims, factors = config.dims, config.poolings[0]
        self.shrink = SHRINK[dims](factors)
        self.coarse = UNet(config)
        self.enlarge = Upsampling(config.classes, config.classes, factors, dims=dims)
        self.fine = UNet(config.model_copy(update={"in_channels": config.in_channels + config.classes}))
        self.deep_supervision = config.deep_supervision
        self.geometry = traced_geometry((factors, *config.poolings), _needs)

    def forward(self, image: Tensor) -> Tensor:
        """Return class scores (N, classes, *spatial) of an image (N, C, *spatial); in training, of both networks."""
        coarse = self.enlarge(self.coarse(self.shrink(image)))
        fine: Tensor = self.fine(torch.cat([image, coarse.softmax(dim=1)], dim=1))
        return torch.stack([coarse, fine], dim=2) if self.training and self.deep_supervision else fine


def _needs(factors: Sequence[int], span: Span) -> Span:
    """Input pixels that both networks use, the first factor being that between them."""
    between, *poolings = factors
    unet = partial(unet_needs, poolings, contract=(2,) * len(factors), expand=(2,) * len(poolings))
    fine = unet(span)
    return hull(fine, pooled(unet(unpooled(fine, between)), between))
