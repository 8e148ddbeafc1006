"""TernausNet (Iglovikov and Shvets 2018): a U-Net whose contracting path is a VGG-11 pretrained on ImageNet."""

from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.geometry import Geometry
from biounet.models.blocks import convolve, join, need_padding
from biounet.models.receptive_field import Step, trunk_geometry
from biounet.models.vgg import check_planar, trunk_features, trunk_name, trunk_steps

__all__ = ["TernausNet"]


POOLINGS = 5


class TernausNet(nn.Module):
    """U-Net with a VGG-11 as contracting path, transposed convolutions upwards, and skips from before each pooling.

    Parameters
    ----------
    config : ModelConfig
        ``width`` is 64 in the paper; the expanding path ends with half of it. ``norm="batch"`` stands on the
        VGG-11 with batch normalisation. There are always 5 poolings, and no drop-out.

    Notes
    -----
    Source: Iglovikov and Shvets 2018, figure 1, and the network ``UNet11`` that the authors published, which has
    22 927 393 parameters for three channels in and one out. Differs: logits of two or more classes before a
    soft-max, where theirs has one before a sigmoid; with ``norm="batch"`` the expanding path is normalised too.

    Examples
    --------
    >>> import torch
    >>> net = TernausNet(ModelConfig(name="ternausnet", width=2, padding="same"))
    >>> net(torch.zeros(1, 1, 64, 32)).shape, net.geometry.grid
    (torch.Size([1, 2, 64, 32]), (32, 32))
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        check_planar(config)
        need_padding(config)
        width, last, norm = config.width, max(1, config.width // 2), config.norm == "batch"
        self.trunk = trunk_name(11, config)
        self.geometry: Geometry = _geometry()
        self.features = trunk_features(11, config)
        self.center = _expand(8 * width, 8 * width, 4 * width, norm=norm)
        self.expanding = nn.ModuleList(
            (
                _expand((8 + 4) * width, 8 * width, 4 * width, norm=norm),
                _expand((8 + 4) * width, 8 * width, 2 * width, norm=norm),
                _expand((4 + 2) * width, 4 * width, width, norm=norm),
                _expand((2 + 1) * width, 2 * width, last, norm=norm),
                nn.Sequential(*convolve(width + last, last, 3, dims=2, norm=norm)),
            )
        )
        self.head = nn.Conv2d(last, config.classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N, classes, Y, X) of an image (N, C, Y, X)."""
        skips, x = [], image
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                skips.append(x)
            x = layer(x)  # convolution, ReLU, or half the pixels per axis
        x = self.center(x)
        for expand in self.expanding:
            x = expand(join(x, skips.pop()))  # 3x3 convolution, twice the pixels per axis
        return self.head(x)  # type: ignore[no-any-return]  # 1x1 convolution to logits


def _expand(before: int, middle: int, after: int, *, norm: bool) -> nn.Sequential:
    """A 3x3 convolution, then a transposed one to twice the pixels per axis, each with ReLU."""
    widen = nn.ConvTranspose2d(middle, after, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(*convolve(before, middle, 3, dims=2, norm=norm), widen, nn.ReLU(inplace=True))


def _geometry() -> Geometry:
    """Geometry over all paths: one through each skip, and one through the center."""
    convolution, widen = Step(3, padding=1), Step(3, stride=2, padding=1, up=True)
    paths = [
        [*trunk_steps(11, poolings=level, convolved=True), *(convolution, widen) * level, convolution]
        for level in range(POOLINGS + 1)
    ]
    return trunk_geometry(paths, poolings=POOLINGS)
