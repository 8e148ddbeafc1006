"""Style transfer for sketches (Zhang, Ji, Lin and Liu 2017): a U-Net that paints a drawing as a second image is."""

import torch
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.models.blocks import Upsampling, convolve, draw_weights
from biounet.models.pix2pix import PatchGAN
from biounet.models.unet import UNet
from biounet.models.vgg import trunk_features


class StyleFeatures(nn.Module):
    """Small VGG-11 that tells styles apart; what its fully connected layer sees is the style of an image.

    It stands for the VGG-19 of the paper, which was trained on photographs.
    """

    def __init__(self, styles: int, *, width: int = 8, features: int = 64) -> None:
        super().__init__()
        self.trunk = trunk_features(11, ModelConfig(in_channels=3, width=width))
        draw_weights(self.trunk, torch.Generator().manual_seed(0))
        self.connected = nn.Linear(8 * width, features)
        self.classes = nn.Linear(features, styles)

    def forward(self, image: Tensor) -> Tensor:
        """Return the style (N, features) of images (N, 3, Y, X)."""
        return self.connected(self.trunk(image).mean(dim=(2, 3))).relu()

    def classify(self, image: Tensor) -> Tensor:
        """Return the logits of the styles (N, styles)."""
        return self.classes(self(image))


class GuideDecoder(nn.Sequential):
    """Decoder of its own at one place of the U-Net, so that gradients reach that place by a short way."""

    def __init__(self, channels: int, after: int, *, depth: int) -> None:
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += convolve(channels, channels // 2, 3, dims=2, norm=True)
            channels //= 2
            layers.append(Upsampling(channels, channels, (2, 2), dims=2))
        super().__init__(*layers, nn.Conv2d(channels, after, 1))


class Painter(nn.Module):
    """U-Net that paints: the style is added to the innermost feature maps, two guides hang before and behind them.

    Parameters
    ----------
    features : int
        Length of the vector that describes a style.
    width, depth : channels of the outermost level, number of poolings

    Examples
    --------
    >>> painting, grey, colour = Painter(64, width=8)(torch.zeros(2, 1, 48, 48), torch.zeros(2, 64))
    >>> painting.shape, grey.shape, colour.shape
    (torch.Size([2, 3, 48, 48]), torch.Size([2, 1, 48, 48]), torch.Size([2, 3, 48, 48]))
    """

    def __init__(self, features: int, *, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        config = ModelConfig(classes=3, width=width, depth=depth, padding="same", norm="batch", dropout=0)
        self.unet = UNet(config, widen=Upsampling)
        *_, entry, bottom = config.channels
        self.style = nn.Linear(features, bottom)
        self.grey = GuideDecoder(entry, 1, depth=depth - 1)
        self.colour = GuideDecoder(bottom, 3, depth=depth)

    def forward(self, sketch: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the painting (N, 3, Y, X), and what the guides say: grey (N, 1, Y, X) and colour (N, 3, Y, X).

        The sketch is (N, 1, Y, X), the style a vector (N, features); paintings are in [0, 1].
        """
        unet, skips, x = self.unet, [], sketch
        for contract, pool in zip(unet.contracting, unet.pools, strict=True):
            skips.append(contract(x))  # two 3x3 convolutions, ReLU
            x = pool(skips[-1])  # half the pixels per axis
        grey = self.grey(skips[-1])
        x = unet.bottom(x) + self.style(style)[..., None, None]
        colour = self.colour(x)
        for widen, expand in zip(unet.widening, unet.expanding, strict=True):
            x = expand(torch.cat([skips.pop(), widen(x)], dim=1))
        return unet.head(x).sigmoid(), grey.sigmoid(), colour.sigmoid()


class StyleDiscriminator(nn.Module):
    """Auxiliary-classifier discriminator: says patch by patch whether a painting is true, and of which style it is."""

    def __init__(self, styles: int, *, width: int = 16, depth: int = 2) -> None:
        super().__init__()
        self.patches = PatchGAN(1 + 3, width=width, depth=depth)
        self.classes = nn.Linear(width * 2**depth, styles)

    def forward(self, sketch: Tensor, painting: Tensor) -> tuple[Tensor, Tensor]:
        """Return a logit per patch (N, 1, y, x), above 0 means true, and logits of the styles (N, styles)."""
        *layers, verdict = self.patches.layers
        features = nn.Sequential(*layers)(torch.cat([sketch, painting], dim=1))
        return verdict(features), self.classes(features.mean(dim=(2, 3)))
