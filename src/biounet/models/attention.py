"""Attention U-Net (Oktay et al. 2018), whose skips are weighted pixel by pixel by the coarser level."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.models.blocks import CONV, Upsampling, need_padding
from biounet.models.unet import UNet

__all__ = ["AttentionGate", "AttentionMaps", "attention_unet"]


def attention_unet(config: ModelConfig) -> UNet:
    """U-Net with additive attention gates on all skips but the outermost.

    Raises
    ------
    ConfigError
        For unpadded convolutions, and for a single pooling, which leaves no skip with a gate.

    Notes
    -----
    Source: Oktay et al. 2018, "Attention U-Net: Learning Where to Look for the Pancreas", figures 1 and 2.
    As in the network that its authors published, feature maps are interpolated linearly on the way up, and
    the outermost skip has no gate, since its features say too little. Differs: no deep supervision, and no
    1x1 convolutions behind the gates, which the published network has and the paper has not.
    """
    need_padding(config)
    if config.depth == 1:
        raise ConfigError(f"{config.name} of depth 1 has no gate: set model.depth to 2 or more, or use model.name=unet")
    return UNet(config, widen=partial(Upsampling, linear=True), gate=AttentionGate)


class AttentionGate(nn.Module):
    """Additive attention gate: a skip times coefficients in [0, 1], computed from the skip and the coarser level.

    Parameters
    ----------
    channels, below : channels of the skip, and of the signal
    factors : between the two levels, per axis
    dims : 2 or 3

    Notes
    -----
    Source: Oktay et al. 2018, equations 1 and 2 and figure 2: ``psi(ReLU(W_x x + W_g g + b_g)) + b_psi``
    through a sigmoid, computed on the grid of the signal and interpolated linearly (grid attention). W_x
    has the stride of the pooling, as many channels between as the skip has, and no bias, as its authors
    published it.
    """

    def __init__(self, channels: int, below: int, factors: Sequence[int], *, dims: int) -> None:
        super().__init__()
        size = tuple(factors)
        self.skip = CONV[dims](channels, channels, size, stride=size, bias=False)  # W_x
        self.signal = CONV[dims](below, channels, 1)  # W_g, b_g
        self.coefficients = nn.Sequential(
            nn.ReLU(inplace=True),
            CONV[dims](channels, 1, 1),  # psi, b_psi
            nn.Sigmoid(),
            Upsampling(1, 1, factors, dims=dims, linear=True),
        )

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        """Return the skip (N, C, *spatial), gated by the feature maps of the level below."""
        return skip * self.coefficients(self.skip(skip) + self.signal(below))  # type: ignore[no-any-return]


class AttentionMaps(nn.Module):
    """Network that returns the coefficients of its attention gates in place of logits.

    Parameters
    ----------
    net : torch.nn.Module
        With attention gates, in evaluation mode. It is used, not copied.

    Raises
    ------
    ConfigError
        If the network has no attention gates.

    Notes
    -----
    A pixel of a map depends on no more of the image than the class of that pixel does, since its gate acts on the
    class too. So the ``geometry`` is that of the network, and maps are tiled as probabilities are.

    Examples
    --------
    >>> net = attention_unet(ModelConfig(name="attention-unet", width=4, depth=3, padding="same")).eval()
    >>> AttentionMaps(net)(torch.zeros(1, 1, 16, 24)).shape
    torch.Size([1, 2, 16, 24])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        gates = _gates(net)
        if not gates:
            raise ConfigError(f"{type(net).__name__} has no attention gates; train with --model attention-unet")
        self.net = net
        self.maps = len(gates)
        """How many there are: one per gate, the innermost level first."""
        self.geometry = net.geometry

    def forward(self, image: Tensor) -> Tensor:
        """Return the maps (N, maps, *spatial), in [0, 1], of an image (N, C, *spatial)."""
        size, mode = image.shape[2:], {2: "bilinear", 3: "trilinear"}[image.ndim - 2]
        return torch.cat([interpolate(map, size=size, mode=mode) for map in _coefficients(self.net, image)], dim=1)


def _gates(net: nn.Module) -> list[AttentionGate]:
    return [part for part in net.modules() if isinstance(part, AttentionGate)]


def _coefficients(net: nn.Module, image: Tensor) -> list[Tensor]:
    """Coefficients of the gates in [0, 1], the innermost level first."""
    found: list[Tensor] = []
    hooks = [gate.coefficients.register_forward_hook(lambda *call: found.append(call[-1])) for gate in _gates(net)]
    try:
        net(image)
    finally:
        for hook in hooks:
            hook.remove()
    return found
