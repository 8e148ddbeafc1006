"""Fully convolutional networks (Long, Shelhamer and Darrell 2015): FCN-32s, FCN-16s and FCN-8s on VGG-16."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

from biounet.config import ModelConfig
from biounet.core.geometry import Geometry
from biounet.models.blocks import need_padding
from biounet.models.receptive_field import Step, trunk_geometry
from biounet.models.vgg import check_planar, trunk_features, trunk_name, trunk_steps

__all__ = ["FCN", "Bilinear", "Score", "bilinear_filter"]


BORDER = 100
"""Zeros around the image, so that the 7x7 convolution finds its pixels at the smallest image too."""

CROPS = {32: (19,), 16: (5, 27), 8: (5, 9, 31)}
"""Pixels between the first of a map and the first of the one that is added to it, last the image; by stride."""


class FCN(nn.Module):
    """FCN: a VGG-16 with convolutions for its fully connected layers, skips from its poolings, and bilinear upsampling.

    Parameters
    ----------
    config : ModelConfig
        ``width`` is 64 in the paper; the fully connected layers have 64 times as many channels. There
        are always 5 poolings. ``dropout`` is 0.5 in the paper.
    stride : 32, 16 or 8
        Pixels per pixel of the map that is enlarged last: FCN-32s, which has no skip, FCN-16s, FCN-8s.

    Notes
    -----
    Source: Long et al. 2015, sections 3.2 and 4, figure 3, and the Caffe networks ``voc-fcn32s``, ``voc-fcn16s`` and
    ``voc-fcn8s`` that the authors published: 100 zeros around the image, maps cropped by 5, 9 and 19, 27 or 31
    pixels. As in the paper, new logits on poolings begin at zero, inner enlargements begin bilinear and are
    learned, and the last stays bilinear (the published files fix the inner ones as well). The last one is
    kept as one filter, where Caffe stores classes x classes of them, nearly all zero. Differs: logits of
    the innermost map are drawn, where the paper begins with zeros, so that all weights learn from the first step;
    with ``norm="batch"`` the fully connected layers are normalised too, which the public weights are not: their
    sums over thousands of channels would grow too fast at the learning rates of the other networks.

    Examples
    --------
    >>> net = FCN(ModelConfig(name="fcn-8s", width=1, padding="same"), stride=8)
    >>> net(torch.zeros(1, 1, 64, 32)).shape, net.geometry.margin
    (torch.Size([1, 2, 64, 32]), (256, 256))
    """

    def __init__(self, config: ModelConfig, *, stride: Literal[32, 16, 8]) -> None:
        super().__init__()
        check_planar(config)
        need_padding(config)
        width, classes = config.width, config.classes
        self.trunk = trunk_name(16, config)
        self.crops = CROPS[stride]
        self.geometry: Geometry = _geometry(stride)
        self.features = trunk_features(16, config, border=BORDER)
        self.classifier = nn.Sequential(OrderedDict(_classifier(config)))
        skips = (8 * width, 4 * width)[: len(self.crops) - 1]  # channels of pooling 4, of pooling 3
        self.scores = nn.ModuleList(Score(channels, classes) for channels in skips)
        self.enlarge = nn.ModuleList(Bilinear(classes, 2) for _ in skips)
        self.register_buffer("last", bilinear_filter(stride).expand(classes, 1, -1, -1).clone(), persistent=False)
        self.stride = stride

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N, classes, Y, X) of an image (N, C, Y, X)."""
        pooled, x = [], image
        for layer in self.features:
            x = layer(x)  # convolution, ReLU, or half the pixels per axis
            if isinstance(layer, nn.MaxPool2d):
                pooled.append(x)
        x = self.classifier(pooled.pop())  # 7x7 convolution, two of 1x1: logits with a stride of 32
        for score, enlarge, crop in zip(self.scores, self.enlarge, self.crops, strict=False):
            x = enlarge(x)  # twice the pixels per axis
            x = x + _crop(score(pooled.pop()), crop, x)
        x = conv_transpose2d(x, self.last, stride=self.stride, groups=len(self.last))  # type: ignore[arg-type]
        return _crop(x, self.crops[-1], image)


def _classifier(config: ModelConfig) -> Iterator[tuple[str, nn.Module]]:
    """Fully connected layers as convolutions, by their numbers in the public weight files."""
    wide = 64 * config.width
    for number, before, size in ((0, 8 * config.width, 7), (3, wide, 1)):
        yield str(number), nn.Conv2d(before, wide, size)
        if config.norm == "batch":
            yield f"{number}_norm", nn.BatchNorm2d(wide)
        yield str(number + 1), nn.ReLU(inplace=True)
        yield str(number + 2), nn.Dropout(config.dropout)
    yield "6", nn.Conv2d(wide, config.classes, 1)


class Score(nn.Module):
    """A 1x1 convolution that begins at zero, so that a network with a new skip begins as the one without.

    Parameters
    ----------
    channels, classes : int
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the feature maps."""
        return conv2d(x, self.weight, self.bias)


class Bilinear(nn.Module):
    """Transposed convolution that begins as bilinear interpolation, each class for itself.

    Parameters
    ----------
    classes : int
    stride : how many times more pixels per axis
    """

    def __init__(self, classes: int, stride: int) -> None:
        super().__init__()
        same = torch.eye(classes)[:, :, None, None]
        self.weight = nn.Parameter(same * bilinear_filter(stride))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the enlarged maps, of size stride (size + 1)."""
        return conv_transpose2d(x, self.weight, stride=self.stride)


def bilinear_filter(stride: int) -> Tensor:
    """Filter of a transposed convolution that interpolates bilinearly, (2 stride, 2 stride).

    Examples
    --------
    >>> bilinear_filter(2)[1] * 16
    tensor([3., 9., 9., 3.])
    """
    distance = (torch.arange(2 * stride) - (stride - 0.5)).abs()
    ramp = 1 - distance / stride
    return ramp[:, None] * ramp[None, :]


def _crop(x: Tensor, first: int, like: Tensor) -> Tensor:
    """Crop a map to the size of another one."""
    rows, columns = like.shape[2:]
    return x[:, :, first : first + rows, first : first + columns]


def _geometry(stride: int) -> Geometry:
    """Geometry over all paths: one through each skip, and one through the 7x7 convolution."""
    *crops, last = CROPS[stride]
    end = [Step(2 * stride, stride=stride, up=True), Step(1, padding=-last)]
    paths = []
    for pooling, crop in reversed(list(zip((4, 3), crops, strict=False))):
        paths.append([*trunk_steps(16, poolings=pooling, border=BORDER), Step(1, padding=-crop), *end])
        end = [Step(4, stride=2, up=True), *end]
    paths.append([*trunk_steps(16, poolings=5, border=BORDER), Step(7), *end])
    return trunk_geometry(paths, poolings=5)
