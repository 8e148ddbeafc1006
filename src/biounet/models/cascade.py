"""Cascade of two U-Nets (Christ et al. 2016, Isensee et al. 2021): a fine one, near the foreground of a coarse one."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import mul, sub

import numpy as np
import torch
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.boxes import Box, covering_boxes
from biounet.core.geometry import Span, hull
from biounet.models.blocks import POOL, Upsampling, need_padding
from biounet.models.receptive_field import around, pooled, traced_geometry, unet_needs, unpooled
from biounet.models.unet import UNet

__all__ = ["CascadeUNet"]


SHRINK: Mapping[int, Callable[..., nn.Module]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}

LIKELY = 0.1
"""Probability of foreground near by from which the fine network is asked; from twice as much it alone is believed."""


class CascadeUNet(nn.Module):
    """Cascade of a U-Net on the image at half its size and a U-Net on the image with the probabilities of the first.

    Parameters
    ----------
    config : ModelConfig
        Of each of the two. The image of the first is smaller by the factors of the outermost pooling. With
        ``deep_supervision``, the network gives the logits of both in training, (N, classes, 2, *spatial), the
        loss being the mean over them, so that the first too learns the classes; in evaluation, those of the
        second near what the first takes for foreground (any class but 0), those of the first elsewhere.
        Without it, the first learns whatever helps the second, and the second computes everything.

    Notes
    -----
    Source: Christ et al. 2016, "Automatic Liver and Lesion Segmentation in CT Using Cascaded Fully
    Convolutional Neural Networks and 3D Conditional Random Fields": one U-Net finds the liver; a second, trained
    by itself, finds lesions in the image cut to the liver and enlarged to the size of the input, all pixels
    outside of it 0 (github.com/IBBM/Cascaded-FCN, models/cascadedfcn/step2); a random field refines the result.
    Isensee et al. 2021, "nnU-Net", figure 2 and online methods: both networks, trained one after the other, predict
    the same classes; the second takes the whole image and, as further channels, the classes of the first.

    Ours has the channels of the latter, and like the former computes the second network near the foreground only.
    A box around the foreground would depend on the tiles, so blocks of the grid of the network decide: where
    the probability of foreground is at most 0.1 in a block and those beside it, the logits are those of the
    first network; where it is 0.2 or more anywhere in them, those of the second; between, a mean of both, so that
    the result has no step where the first rounds differently in another tile. The second is run on boxes around
    its blocks, with the margin that it needs, or not at all. In a graph made by `torch.export`, and
    when memory is counted, one box holds everything; the result is the same.

    Differs from both papers: the networks are trained together, the second on whole patches, so that it learns
    even where the first is still wrong; it gets probabilities, not classes; nothing is enlarged or set to 0, and
    there is no random field.

    Examples
    --------
    >>> net = CascadeUNet(ModelConfig(name="cascade-unet", width=4, depth=1, padding="same")).eval()
    >>> net(torch.zeros(1, 1, 8, 8)).shape, net.geometry.grid
    (torch.Size([1, 2, 8, 8]), (4, 4))
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        need_padding(config)
        dims, self.factors = config.dims, config.poolings[0]
        self.shrink = SHRINK[dims](self.factors)
        self.coarse = UNet(config)
        self.enlarge = Upsampling(config.classes, config.classes, self.factors, dims=dims)
        self.fine = UNet(config.model_copy(update={"in_channels": config.in_channels + config.classes}))
        self.deep_supervision = config.deep_supervision
        self.geometry = traced_geometry((self.factors, *config.poolings), _needs)
        self.near = nn.Sequential(POOL[dims](self.fine.geometry.grid), POOL[dims](3, stride=1, padding=1))
        self.fill = Upsampling(1, 1, self.geometry.grid, dims=dims)
        self.middle = False  # set where the margin of the logits is cut off, so that the fine network can leave it out

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N, classes, *spatial) of an image (N, C, *spatial); in training, of both networks."""
        small = self.coarse(self.shrink(image))
        if not self.deep_supervision:
            return self._refine(image, small)
        if self.training:
            return torch.stack([self.enlarge(small), self._refine(image, small)], dim=2)
        return self._refine_boxes(image, small)

    def _refine(self, image: Tensor, small: Tensor) -> Tensor:
        """Logits of the fine network on the image and the probabilities of the coarse network."""
        logits: Tensor = self.fine(torch.cat([image, self.enlarge(small).softmax(dim=1)], dim=1))
        return logits

    def _refine_boxes(self, image: Tensor, small: Tensor) -> Tensor:
        """Logits of the fine network near the foreground of the coarse one, and of the coarse one elsewhere."""
        likely = self.near(small.softmax(dim=1)[:, 1:].sum(dim=1, keepdim=True))  # one number per block
        trust = (likely.detach() / LIKELY - 1).clamp(0, 1)
        logits: Tensor = self.enlarge(small)
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # a graph writes into no slices
            return logits.lerp(self._refine(image, small), self.fill(trust))
        for images, blocks in self._boxes(trust):
            inner = _scaled(blocks, self.fine.geometry.grid)  # in pixels of the coarse network
            outer = self._with_context(inner, small.shape[2:])
            fine = self._refine(image[images, :, *_scaled(outer, self.factors).slices], small[images, :, *outer.slices])
            fine = fine[:, :, *_scaled(inner.relative_to(outer.start), self.factors).slices]
            here = logits[images, :, *_scaled(inner, self.factors).slices]
            here.copy_(here.lerp(fine, self.fill(trust[images, :, *blocks.slices])))
        return logits

    def _with_context(self, box: Box, size: Sequence[int]) -> Box:
        """A box in pixels of the coarse network, widened by the margin of the fine one within the image."""
        margin = [pixels // factor for pixels, factor in zip(self.fine.geometry.margin, self.factors, strict=True)]
        return box.grown(margin, size)

    def _boxes(self, trust: Tensor) -> Iterator[tuple[slice, Box]]:
        """Image numbers, and boxes, that cover all blocks (N, 1, *blocks) which the fine network decides."""
        grid, size = self.geometry.grid, trust.shape[2:]
        rim = [margin // side if self.middle else 0 for margin, side in zip(self.geometry.margin, grid, strict=True)]
        wanted = Box(tuple(rim), tuple(map(sub, size, rim)))
        if _is_unknown(trust):
            yield slice(None), wanted
            return
        margin = [pixels / side for pixels, side in zip(self.fine.geometry.margin, grid, strict=True)]
        for number, trusted in enumerate((trust != 0).squeeze(1).cpu().numpy()):  # where it is no number, too
            there = np.zeros_like(trusted)
            there[wanted.slices] = trusted[wanted.slices]
            for box in covering_boxes(there, margin):
                yield slice(number, number + 1), box


def _scaled(box: Box, factors: Sequence[int]) -> Box:
    """The box in smaller pixels, by a factor per axis."""
    start, stop = (tuple(map(mul, ends, factors)) for ends in (box.start, box.stop))
    return Box(start, stop)


def _is_unknown(tensor: Tensor) -> bool:
    """Whether the computation must not depend on values: on the meta device, or while a graph is exported."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tensor.is_meta or torch.compiler.is_compiling() or tracing


def _needs(factors: Sequence[int], span: Span) -> Span:
    """Input pixels that both networks use for output pixels; the first factor is the one between the networks."""
    between, *poolings = factors
    unet = partial(unet_needs, poolings, contract=(2,) * len(factors), expand=(2,) * len(poolings))
    block = math.prod(factors)
    near = pooled(around(unpooled(span, block), 1), block)
    fine = unet(span)
    return hull(fine, pooled(unet(unpooled(hull(fine, near), between)), between))
