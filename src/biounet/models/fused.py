"""Networks prepared for prediction: the same function of the image in less time and memory."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from biounet.models.blocks import ConvBlock, UpConvolution, crop_center
from biounet.models.cascade import CascadeUNet
from biounet.models.downsampled import Downsampled
from biounet.models.receptive_field import unet_geometry
from biounet.models.unet import OpenGate, UNet

__all__ = ["FrugalUNet", "FusedConv", "fold_batch_norm", "freeze", "fuse_activations", "unpad"]


Convolution = nn.Conv2d | nn.Conv3d


def freeze(net: nn.Module) -> nn.Module:
    """Return a copy of a network for prediction: batch normalisation folded, padding left out, no gradients.

    Parameters
    ----------
    net : torch.nn.Module with ``geometry``
        It is not changed.

    Returns
    -------
    torch.nn.Module
        On the device of `net`. Its ``geometry`` may differ from that of `net`.
    """
    if isinstance(net, Downsampled):
        return Downsampled(freeze(net.net), net.factor)
    net = unpad(fold_batch_norm(copy.deepcopy(net).eval())).requires_grad_(False)
    if isinstance(net, CascadeUNet):
        net.middle = True
    return FrugalUNet(net) if isinstance(net, UNet) and _is_plain(net) else net


def fold_batch_norm(net: nn.Module) -> nn.Module:
    """Multiply frozen batch normalisations into the convolutions before them, in place.

    Only where one follows the other in a `torch.nn.Sequential`. The result differs by rounding.
    """
    for chain in _chains(net):
        layers: list[nn.Module] = []
        for layer in chain:
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d) and layers and isinstance(layers[-1], Convolution):
                layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
            else:
                layers.append(layer)
        _refill(chain, layers)
    return net


def unpad(net: nn.Module) -> nn.Module:
    """Remove the padding of a padded U-Net, in place, so that it computes exact pixels only.

    A padded network is exact only where its zeros have not reached; all else is cut off. So the zeros may
    as well be left out: every layer then computes what is needed of it and no more. Networks that are
    no U-Nets of plain blocks stay as they are.
    """
    if not isinstance(net, UNet) or not _is_plain(net) or not net.geometry.padded:
        return net
    for layer in net.modules():
        if isinstance(layer, Convolution):
            layer.padding = (0,) * len(layer.kernel_size)
    poolings = [layer.kernel_size for layer in net.pools if isinstance(layer, nn.MaxPool2d | nn.MaxPool3d)]
    net.geometry = unet_geometry(poolings, padded=False, in_phase=True)  # type: ignore[arg-type]
    return net


def _is_plain(net: UNet) -> bool:
    """Whether a network is a U-Net of blocks of two convolutions, poolings and up-convolutions only."""
    blocks = (*net.contracting, net.bottom, *net.expanding)
    return (
        all(isinstance(block, ConvBlock) for block in blocks)
        and all(isinstance(widen, UpConvolution) for widen in net.widening)
        and all(isinstance(gate, OpenGate) for gate in net.gates)
    )


class FrugalUNet(nn.Module):
    """U-Net that frees every feature map as soon as no layer needs it any more.

    Parameters
    ----------
    net : UNet of plain blocks, frozen
        Its layers are used, not copied.
    """

    def __init__(self, net: UNet) -> None:
        super().__init__()
        self.geometry = net.geometry
        self.contracting, self.pools, self.bottom = net.contracting, net.pools, net.bottom
        self.widening, self.expanding, self.head = net.widening, net.expanding, net.head

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, as `biounet.models.unet.UNet.forward` does."""
        skips, x = [], image
        # Layer by layer: a call of a whole block would hold its input until the end of the block.
        for contract, pool in zip(self.contracting, self.pools, strict=True):
            for layer in contract.children():
                x = layer(x)
            skips.append(x)
            x = pool(x)
        for layer in self.bottom.children():
            x = layer(x)
        for widen, expand in zip(self.widening, self.expanding, strict=True):
            for layer in widen.children():
                x = layer(x)
            x = torch.cat([crop_center(skips.pop(), x.shape[2:]), x], dim=1)
            for layer in expand.children():
                x = layer(x)
        return self.head(x)  # type: ignore[no-any-return]


class FusedConv(nn.Module):
    """Convolution fused with its ReLU, which is applied while the pixels are in the cache of the CPU.

    Parameters
    ----------
    layer : convolution
    relu : whether a ReLU follows
    """

    def __init__(self, layer: Convolution, *, relu: bool) -> None:
        super().__init__()
        self.layer = layer
        self.relu = relu

    def forward(self, image: Tensor) -> Tensor:
        """Return the convolved image."""
        layer = self.layer
        return torch.ops.mkldnn._convolution_pointwise(  # type: ignore[no-any-return]
            image, layer.weight, layer.bias, layer.padding, layer.stride, layer.dilation, layer.groups,
            "relu" if self.relu else "none", [], "",
        )  # fmt: skip


def fuse_activations(net: nn.Module) -> nn.Module:
    """Fuse convolutions with the ReLU after them, in place, for the CPU."""
    for chain in _chains(net):
        layers: list[nn.Module] = []
        for layer in chain:
            if isinstance(layer, nn.ReLU) and layers and isinstance(layers[-1], Convolution):
                layers[-1] = FusedConv(layers[-1], relu=True)
            else:
                layers.append(layer)
        _refill(chain, layers)
    net, whole = (net.net if isinstance(net, Downsampled) else net), net
    head = getattr(net, "head", None)
    if isinstance(head, Convolution):  # with so few channels torch would not give it to oneDNN
        net.head = FusedConv(head, relu=False)
    return whole


def _chains(net: nn.Module) -> Iterator[nn.Sequential]:
    """All sequential parts of a network."""
    return (part for part in list(net.modules()) if isinstance(part, nn.Sequential))


def _refill(chain: nn.Sequential, layers: list[nn.Module]) -> None:
    """Replace the layers of a chain."""
    del chain[:]
    chain.extend(layers)
