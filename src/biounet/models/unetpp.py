"""UNet++ (Zhou, Siddiquee, Tajbakhsh and Liang 2018, 2019): nested skips, deep supervision, pruning."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.core.geometry import Span, hull
from biounet.models.blocks import CONV, POOL, ConvBlock, UpConvolution, join, need_padding
from biounet.models.receptive_field import around, pooled, traced_geometry, unpooled

__all__ = ["UNetPlusPlus", "prune"]


class UNetPlusPlus(nn.Module):
    """UNet++: U-Nets of all depths in one; a block takes all blocks before it in its row, and one from the row below.

    Parameters
    ----------
    config : ModelConfig
        With ``deep_supervision``, every U-Net in it has a head of its own. In training the network then gives
        the logits of all heads, shallowest first, (N, classes, heads, *spatial), the loss being the mean over
        them; in evaluation, the logits whose soft-max is the mean of their probabilities ("accurate mode").
        Without, it gives those of the deepest.

    Notes
    -----
    Source: Zhou et al. 2018, figure 1 and equation 1; 2019, "UNet++: Redesigning Skip Connections to Exploit
    Multiscale Features", section III. ``rows[i][j]`` is their X(i, j): row i is i times pooled. The published
    network drops features behind every convolution; ours at the two innermost blocks of the first column, as
    `biounet.models.unet.UNet`, and has ReLU after up-convolutions, as that.

    Examples
    --------
    >>> net = UNetPlusPlus(ModelConfig(name="unet++", width=4, depth=2, padding="same"))
    >>> net(torch.zeros(1, 1, 8, 8)).shape, net.eval()(torch.zeros(1, 1, 8, 8)).shape
    (torch.Size([1, 2, 2, 8, 8]), torch.Size([1, 2, 8, 8]))
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        need_padding(config)
        self.config = config
        dims, widths, depth = config.dims, config.channels, config.depth
        options: dict[str, Any] = {"dims": dims, "padded": True, "norm": config.norm == "batch"}
        before = (config.in_channels, *widths)
        self.rows = nn.ModuleList(
            nn.ModuleList(
                ConvBlock((column + 1) * width if column else before[row], width, **options)
                for column in range(depth - row + 1)
            )
            for row, width in enumerate(widths)
        )
        self.widening = nn.ModuleList(
            nn.ModuleList(UpConvolution(below, width, factors, dims=dims) for _ in range(depth - row))
            for row, (width, below, factors) in enumerate(zip(widths, widths[1:], config.poolings, strict=False))
        )
        self.pools = nn.ModuleList(POOL[dims](factors) for factors in config.poolings)
        self.dropout = nn.Dropout(config.dropout)
        self.heads = nn.ModuleList(
            CONV[dims](widths[0], config.classes, 1) for _ in range(depth if config.deep_supervision else 1)
        )
        self.geometry = traced_geometry(config.poolings, partial(_needs, row=0, column=depth))

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N, classes, *spatial) of an image (N, C, *spatial); in training, of all heads."""
        depth = self.config.depth
        rows: list[list[Tensor]] = []  # what there is of each row, from left to right
        x = image
        for level, row in enumerate(self.rows):
            x = row[0](x)  # type: ignore[index]
            if level >= depth - 1:
                x = self.dropout(x)
            rows.append([x])
            for above in range(level - 1, -1, -1):  # the diagonal that this level completes
                column = level - above
                widened = self.widening[above][column - 1](rows[above + 1][column - 1])  # type: ignore[index]
                joined = join(*rows[above], widened)
                rows[above].append(self.rows[above][column](joined))  # type: ignore[index]
            if level < depth:
                x = self.pools[level](x)
        logits = [head(x) for head, x in zip(self.heads, rows[0][-len(self.heads) :], strict=True)]
        if len(logits) == 1:
            return logits[0]  # type: ignore[no-any-return]
        stacked = torch.stack(logits, dim=2)
        return stacked if self.training else stacked.log_softmax(dim=1).logsumexp(dim=2) - math.log(len(logits))


def prune(net: nn.Module, depth: int) -> UNetPlusPlus:
    """Return the U-Net of a smaller depth within a UNet++ ("fast mode"), with its trained weights.

    Parameters
    ----------
    net : UNetPlusPlus
        It is not changed; the weights are shared.
    depth : int, from 1 to the depth of `net`
        Number of poolings that remain. Its own depth gives the deepest output alone, not the mean.

    Returns
    -------
    UNetPlusPlus
        In the mode of `net`, with a smaller ``geometry``.

    Raises
    ------
    ConfigError
        If the network is no UNet++, or has no head at this depth.

    Notes
    -----
    Source: Zhou et al. 2018, figure 3; 2019, section III-D.

    Examples
    --------
    >>> net = UNetPlusPlus(ModelConfig(name="unet++", width=4, depth=3, padding="same"))
    >>> net.geometry.margin, prune(net, 1).geometry.margin
    ((56, 56), (10, 10))
    """
    if not isinstance(net, UNetPlusPlus):
        raise ConfigError(f"only unet++ has outputs of several depths, got {type(net).__name__}; leave the depth away")
    config = net.config
    if not 1 <= depth <= config.depth or (depth < config.depth and len(net.heads) == 1):
        least = config.depth if len(net.heads) == 1 else 1
        raise ConfigError(f"the network has outputs of depth {least} to {config.depth}, got {depth}; give one of these")
    pooling = None if config.pooling is None else config.pooling[:depth]
    small = UNetPlusPlus(config.model_copy(update={"depth": depth, "pooling": pooling, "deep_supervision": False}))
    weights = net.state_dict()
    head = f"heads.{len(net.heads) - 1 - config.depth + depth}."
    chosen = {name: weights[name.replace("heads.0.", head)] for name in small.state_dict()}
    small.load_state_dict(chosen, assign=True)
    return small.train(net.training)


def _needs(factors: Sequence[int], span: Span, *, row: int, column: int) -> Span:
    """Input span of the block X(row, column); the span of X(row, column - 1) contains those of the blocks before it."""
    span = around(span, 2)
    if column:
        below = unpooled(span, factors[row])
        return hull(
            _needs(factors, span, row=row, column=column - 1), _needs(factors, below, row=row + 1, column=column - 1)
        )
    return _needs(factors, pooled(span, factors[row - 1]), row=row - 1, column=0) if row else span
