"""The sliding window (Ciresan et al. 2012) that the U-Net was compared with: one window, one pixel."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from biounet.config import ModelConfig
from biounet.geometry import Geometry
from biounet.models.vgg import check_planar

__all__ = ["KERNELS", "PixelClassifier", "SlidingWindow"]

KERNELS = {95: (4, 5, 4, 4), 65: (4, 4, 5)}
"""Sides of the filters before each of the poolings, by the side of the window."""

FULLY_CONNECTED = 200 / 48
"""Neurons of the first fully connected layer, per map of the convolutions."""


class SlidingWindow(nn.Module):
    """The dense form of `PixelClassifier`: the same scores of the same weights for all pixels at once.

    Convolutions and poolings are computed once for all windows that share them. A pooling that kept every second
    pixel would serve every second window only, so it keeps all, and the layers after it take every second pixel
    instead: strides become dilations. A fully connected layer is a convolution as large as its input.

    Parameters
    ----------
    config : ModelConfig
        ``window`` 95 with ``width=48`` is the network N4 of the paper, without drop-out and normalisation.
        ``padding="same"`` puts zeros around the image. ``depth`` follows from the window.

    Notes
    -----
    Source: Ciresan, Giusti, Gambardella and Schmidhuber 2012 (NIPS), section 2 and table 1. Dense form: Giusti et
    al. 2013, "Fast image scanning with deep max-pooling convolutional neural networks"; theirs computes every
    phase of a pooling as an image of its own, dilation is the same arithmetic without the bookkeeping.
    Differs: the paper lists the layers of N4 only, and says that networks are deeper the larger their window is. So
    that of the window of 65 (N1 to N3) has a pooling less, and filters that leave even sizes; re-implementations
    (github.com/mjpekala/bio-segmentation) have three poolings too, and filters of 5x5. No foveation and no nonuniform
    sampling, which N3 does without: they change with the pixel in the middle, so nothing could be shared. Activation:
    the hyperbolic tangent that networks of these authors have at the time (Ciresan et al. 2011, IJCAI), without its
    two scales, which the weights can take over.
    Training: the paper takes as many membrane pixels as others, ``train.class_balance`` weighs them so; it is on for
    this network unless it is set by hand.

    Examples
    --------
    >>> net = SlidingWindow(ModelConfig(name="sliding-window", width=48))
    >>> sum(weight.numel() for weight in net.parameters()), net.geometry.margin
    (219290, (47, 47))
    >>> net(torch.zeros(1, 1, 100, 95)).shape
    torch.Size([1, 2, 6, 1])
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        check_planar(config)
        margin, norm = (config.window // 2,) * 2, config.norm == "batch"
        self.geometry = Geometry((1, 1), margin, (0, 0), padded=config.padding == "same")
        layers: list[nn.Module] = []
        channels, dilation, side = config.in_channels, 1, int(config.window)
        for kernel in KERNELS[config.window]:
            layers.append(nn.Conv2d(channels, config.width, kernel, dilation=dilation, bias=not norm))
            if norm:
                layers.append(nn.BatchNorm2d(config.width))
            layers += [nn.Tanh(), nn.MaxPool2d(2, stride=1, dilation=dilation)]
            channels, dilation, side = config.width, 2 * dilation, (side - kernel + 1) // 2
        neurons = max(1, round(config.width * FULLY_CONNECTED))
        layers += [nn.Conv2d(channels, neurons, side, dilation=dilation), nn.Tanh(), nn.Dropout(config.dropout)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Conv2d(neurons, config.classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return class scores (N, classes, Y, X), before the soft-max, of an image (N, C, Y, X)."""
        if self.geometry.padded:
            rows, columns = self.geometry.margin
            image = pad(image, (columns, columns, rows, rows))
        return self.head(self.layers(image))  # type: ignore[no-any-return]


class PixelClassifier(nn.Module):
    """The network as published: from a window to the class of the pixel in its middle.

    Parameters
    ----------
    net : SlidingWindow
        Its weights are shared, not copied: whichever form is trained, both know.

    Examples
    --------
    >>> net = SlidingWindow(ModelConfig(name="sliding-window", window=65, width=2))
    >>> PixelClassifier(net)(torch.zeros(7, 1, 65, 65)).shape
    torch.Size([7, 2])
    """

    def __init__(self, net: SlidingWindow) -> None:
        super().__init__()
        self.window = 2 * net.geometry.margin[0] + 1
        self.layers = nn.Sequential(*map(_with_strides, net.layers), net.head, nn.Flatten())

    def forward(self, windows: Tensor) -> Tensor:
        """Return class scores (N, classes), before the soft-max, of windows (N, C, window, window)."""
        return self.layers(windows)  # type: ignore[no-any-return]

    def scan(self, image: Tensor) -> Tensor:
        """Slide over an image: window after window, as in the paper, at its cost.

        Parameters
        ----------
        image : (N, C, Y, X)

        Returns
        -------
        (N, classes, Y - window + 1, X - window + 1)
            What the valid dense form returns.
        """
        side = self.window
        rows = image.unfold(2, side, 1).unfold(3, side, 1).permute(2, 0, 3, 1, 4, 5)  # (y, N, x, C, window, window)
        scores = [self(row.flatten(0, 1)).view(*row.shape[:2], -1) for row in rows]  # a row of windows at a time
        return torch.stack(scores).permute(1, 3, 0, 2)


def _with_strides(layer: nn.Module) -> nn.Module:
    """The layer of a window for a layer of the dense form."""
    if isinstance(layer, nn.MaxPool2d):
        return nn.MaxPool2d(2)
    if isinstance(layer, nn.Conv2d):
        size = layer.kernel_size
        plain = nn.Conv2d(layer.in_channels, layer.out_channels, size, bias=layer.bias is not None)  # type: ignore[arg-type]
        plain.weight, plain.bias = layer.weight, layer.bias
        return plain
    return layer
