"""Foveation of windows (Ciresan et al. 2012): sharp in the middle, blurred or sampled more coarsely around it."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

__all__ = ["Foveation"]


RADIUS = 32  # pixels from the middle of a window of 65 to its edge
FOVEA = 16
"""Pixels from the middle, up to which windows stay as they are."""

RINGS = ((FOVEA, 1), (24, 2))
"""Pixels from the middle, and the radius of the disk over which pixels beyond are averaged."""

WIDENED = 15
"""Pixels that nonuniform sampling sees beyond the edge, on each side: the 65 see as much as the window of 95 of N4."""


class Foveation(nn.Module):
    """Cuts the windows of 65 x 65 out of an image, and makes them coarser around the middle.

    Parameters
    ----------
    kind : "blur", "sampling" or "both"
        What grows coarser with the distance: pixels are averaged over disks, or stand farther apart.

    Attributes
    ----------
    side : pixels
        Of the square of the image that a window is made of.

    Notes
    -----
    Source: Ciresan, Giusti, Gambardella and Schmidhuber 2012 (NIPS), "foveation" (a blur by a disk around a sharp
    middle) and "nonuniform sampling" (image pixels are input neurons in the middle, and are sampled ever more sparsely
    around it). The paper gives no sizes; the fovea, the disks and the spacing are ours. Samples are pixels, not means
    of what is between them; that is what the blur is for.
    No weights: a linear map of the square, the same for all windows. So a constant stays what it is.

    Examples
    --------
    >>> [Foveation(kind).side for kind in ("blur", "sampling", "both")]     # 65 + 2 * 2, 65 + 2 * 15, and both
    [69, 95, 99]
    >>> Foveation("both")(torch.zeros(1, 2, 99, 104)).shape
    torch.Size([1, 1, 6, 2, 65, 65])
    """

    places: Tensor
    level: Tensor
    disks: Tensor | None

    def __init__(self, kind: Literal["blur", "sampling", "both"]) -> None:
        super().__init__()
        offsets = range(-RADIUS, RADIUS + 1)
        rings = () if kind == "sampling" else RINGS
        self.border = max((radius for _, radius in rings), default=0)
        self.reach = RADIUS if kind == "blur" else RADIUS + WIDENED
        self.side = 2 * (self.reach + self.border) + 1
        places = offsets if kind == "blur" else map(_spread, offsets)
        level = [[sum(math.hypot(y, x) > edge for edge, _ in rings) for x in offsets] for y in offsets]
        disks = [_disk(radius, self.border) for _, radius in rings]
        self.register_buffer("places", torch.tensor([self.reach + place for place in places]), persistent=False)
        self.register_buffer("level", torch.tensor(level), persistent=False)
        self.register_buffer("disks", torch.tensor(disks)[:, None] if disks else None, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return all windows (N, Y - side + 1, X - side + 1, C, 65, 65) of an image (N, C, Y, X)."""
        blurred = self._blurred(image)
        tops, lefts = (torch.arange(size - 2 * self.reach, device=image.device) for size in blurred.shape[3:])
        rows = (tops[:, None] + self.places)[:, None, :, None]
        columns = (lefts[:, None] + self.places)[None, :, None, :]
        return blurred[:, :, self.level, rows, columns].permute(0, 2, 3, 1, 4, 5)

    def _blurred(self, image: Tensor) -> Tensor:
        """The image as it is and averaged over each of the disks, (N, C, level, Y, X), without the border."""
        if self.disks is None:
            return image[:, :, None]
        averages = torch.unflatten(conv2d(image.flatten(0, 1)[:, None], self.disks), 0, image.shape[:2])
        inside = slice(self.border, -self.border)
        return torch.cat([image[:, :, None, inside, inside], averages], dim=2)


def _spread(offset: int) -> int:
    """Position in the image of a pixel of the window; both are offsets from the middle."""
    beyond = max(abs(offset) - FOVEA, 0) / (RADIUS - FOVEA)
    return offset + int(math.copysign(round(WIDENED * beyond**2), offset))


def _disk(radius: int, border: int) -> list[list[float]]:
    """Weights of the pixels around a pixel that average over a disk."""
    around = range(-border, border + 1)
    inside = [[y**2 + x**2 <= radius**2 for x in around] for y in around]
    return [[within / sum(map(sum, inside)) for within in row] for row in inside]
