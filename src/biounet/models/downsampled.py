"""Networks on a downsampled image, for objects that are large in pixels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from biounet.core.geometry import Geometry, Span, hull
from biounet.models.blocks import crop_center
from biounet.models.receptive_field import pooled

__all__ = ["Downsampled"]


class Downsampled(nn.Module):
    """Network that averages pixels in squares, applies another network, and interpolates its logits to the image size.

    Parameters
    ----------
    net : torch.nn.Module with ``geometry``, for images (Y, X)
    factor : pixels per side of a square

    Notes
    -----
    Scores are interpolated between the centres of the squares (bilinear), so borders are finer than these.
    The same layers see `factor` times as far, and an image costs `factor` squared times less. Tiles begin on
    the grid of the network times the factor, so what a pixel gets does not depend on the tile.

    Examples
    --------
    >>> from biounet.config import ModelConfig
    >>> from biounet.models.unet import UNet
    >>> net = Downsampled(UNet(ModelConfig(width=2, depth=1, padding="same")), 2)
    >>> net(torch.zeros(1, 1, 8, 12)).shape, net.geometry.grid
    (torch.Size([1, 2, 8, 12]), (4, 4))
    """

    def __init__(self, net: nn.Module, factor: int) -> None:
        super().__init__()
        self.net, self.factor = net, factor
        self.shrink = nn.AvgPool2d(factor)
        inner = net.geometry
        assert isinstance(inner, Geometry)
        # Interpolation needs one more square on each side; a whole period of the grid keeps poolings in phase.
        self.spare = [0 if inner.padded else 2 * factor * grid for grid in inner.grid]
        self.geometry = Geometry(
            tuple(factor * grid for grid in inner.grid),
            tuple(factor * (margin + grid) for margin, grid in zip(inner.margin, inner.grid, strict=True)),
            tuple(factor * remainder for remainder in inner.remainder),
            inner.padded,
            inner.views and tuple(_views(axis, factor) for axis in inner.views),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N, classes, Y, X) of an image (N, C, Y, X); several per class in training."""
        logits: Tensor = self.net(self.shrink(image))
        several = logits.shape[1:-2]
        enlarged = nn.functional.interpolate(logits.flatten(1, -3), scale_factor=self.factor, mode="bilinear")
        sides = [side - spare for side, spare in zip(enlarged.shape[2:], self.spare, strict=True)]
        return torch.unflatten(crop_center(enlarged, sides), 1, several)


def _views(inner: Sequence[Span], factor: int) -> tuple[Span, ...]:
    """Views of the pixels, per phase of the grid: those of the two squares between whose centres a pixel lies."""
    views = []
    for pixel in range(factor * len(inner)):
        before = (pixel - factor // 2) // factor
        squares = [(square, inner[square % len(inner)]) for square in (before, before + 1)]
        first, last = pooled(hull(*((square + first, square + last) for square, (first, last) in squares)), factor)
        views.append((first - pixel, last - pixel))
    return tuple(views)
