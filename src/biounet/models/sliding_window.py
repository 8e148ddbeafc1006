"""Sliding-window network (Ciresan et al. 2012), which classifies the middle pixel of each window."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.core.geometry import Geometry
from biounet.models.foveation import Foveation
from biounet.models.vgg import check_planar

__all__ = ["KERNELS", "FoveatedWindow", "PixelClassifier", "SlidingWindow", "sliding_window"]


KERNELS = {95: (4, 5, 4, 4), 65: (4, 4, 5)}
"""Sides of the filters before each of the poolings, by the side of the window."""

FULLY_CONNECTED = 200 / 48
"""Neurons of the first fully connected layer, per map of the convolutions."""

LEARNT = 2**12
"""Windows that are learnt from at once, at most: with 16 maps each takes about 1 MiB of memory, with 48 three."""


def sliding_window(config: ModelConfig) -> nn.Module:
    """Sliding-window network: in its dense form, or window by window with ``model.foveation``."""
    net = SlidingWindow(config)
    return net if config.foveation == "none" else FoveatedWindow(net, Foveation(config.foveation))


class SlidingWindow(nn.Module):
    """Dense form of `PixelClassifier`: the same logits with the same weights, for all pixels at once.

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
    (github.com/mjpekala/bio-segmentation) have three poolings too, and filters of 5x5. Foveation and nonuniform
    sampling, which N3 does without, are in `FoveatedWindow`. Activation: the hyperbolic tangent that networks of these
    authors have at the time (Ciresan et al. 2011, IJCAI), without its two scales, which the weights can take over.
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
        """Return the logits (N, classes, Y, X) of an image (N, C, Y, X)."""
        if self.geometry.padded:
            rows, columns = self.geometry.margin
            image = pad(image, (columns, columns, rows, rows))
        return self.head(self.layers(image))  # type: ignore[no-any-return]


class FoveatedWindow(nn.Module):
    """Sliding-window network on foveated windows (N1 and N2 of the paper), computed window by window.

    There is no dense form: how sharp a pixel is, and how far from its neighbours, depends on its place in the window.
    In the next window it has another place, so that no result of a filter or a pooling can be shared.

    Parameters
    ----------
    net : SlidingWindow, with a window of 65
        Its layers are taken over, so weights have the names that they have there, and are as many.
    foveation : Foveation

    Notes
    -----
    Source: Ciresan et al. 2012, where N1, N2 and N3 have a window of 65. Which of the two techniques N1 has and which
    N2 we could not verify: ``model.foveation`` gives each of them alone, and both.
    A row of windows is computed at a time, at the cost of `PixelClassifier.scan`: hundreds of times that of the dense
    form, in validation too. Learning from a window takes its memory, so patches have to be small. There is no batch
    normalisation, as in the paper: its statistics would be those of a row.

    Examples
    --------
    >>> net = sliding_window(ModelConfig(name="sliding-window", window=65, width=48, foveation="both"))
    >>> net.geometry.margin                                       # 47 of the sampling, 2 of the blur
    (49, 49)
    >>> plain = SlidingWindow(ModelConfig(name="sliding-window", window=65, width=48))
    >>> [sum(weight.numel() for weight in each.parameters()) for each in (net, plain)]
    [335978, 335978]
    """

    def __init__(self, net: SlidingWindow, foveation: Foveation) -> None:
        super().__init__()
        self.geometry = Geometry((1, 1), (foveation.side // 2,) * 2, (0, 0), padded=False)
        self.foveation = foveation
        self.layers = nn.Sequential(*map(_with_strides, list(net.layers)[:-1]))
        self.dropout, self.head = net.layers[-1], net.head

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N, classes, Y - side + 1, X - side + 1), before the soft-max, of an image (N, C, Y, X).

        Raises
        ------
        ConfigError
            In training, if there are more than `LEARNT` windows.
        """
        if self.training:
            self._check_count(image.shape)
        side = self.foveation.side
        rows = (image.narrow(2, top, side) for top in range(image.shape[2] - side + 1))
        neurons = torch.cat([self._neurons(self.foveation(row)) for row in rows], dim=2)
        return self.head(self.dropout(neurons))  # type: ignore[no-any-return]

    def _neurons(self, windows: Tensor) -> Tensor:
        """Return feature maps (N, neurons, y, x) of windows (N, y, x, C, window, window)."""
        found: Tensor = self.layers(windows.flatten(0, 2))
        return found.view(*windows.shape[:3], -1).permute(0, 3, 1, 2)

    def _check_count(self, shape: torch.Size) -> None:
        """Refuse patches whose windows would not fit into memory."""
        patches, _, *sides = shape
        windows = patches * math.prod(length - self.foveation.side + 1 for length in sides)
        if windows > LEARNT:
            raise ConfigError(
                f"{patches} patches of {' x '.join(map(str, sides))} px have {windows:,} windows, at most {LEARNT:,} "
                f"are learnt from at once; train.patch={self.foveation.side + 31} has 1,024, or lower train.batch"
            )


class PixelClassifier(nn.Module):
    """Network of the paper: from a window to the logits of the pixel in its middle.

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
        """Return the logits (N, classes), before the soft-max, of windows (N, C, window, window)."""
        return self.layers(windows)  # type: ignore[no-any-return]

    def scan(self, image: Tensor) -> Tensor:
        """Return the logits of all windows of an image, one window after the other, as slow as in the paper.

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
        logits = [self(row.flatten(0, 1)).view(*row.shape[:2], -1) for row in rows]  # a row of windows at a time
        return torch.stack(logits).permute(1, 3, 0, 2)


def _with_strides(layer: nn.Module) -> nn.Module:
    """The layer of the network of one window that stands for a layer of the dense form."""
    if isinstance(layer, nn.MaxPool2d):
        return nn.MaxPool2d(2)
    if isinstance(layer, nn.Conv2d):
        size = layer.kernel_size
        plain = nn.Conv2d(layer.in_channels, layer.out_channels, size, bias=layer.bias is not None)  # type: ignore[arg-type]
        plain.weight, plain.bias = layer.weight, layer.bias
        return plain
    return layer
