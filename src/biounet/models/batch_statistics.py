"""Statistics of batch normalisation, measured on given images."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["batch_norms", "measure_statistics"]


def batch_norms(net: nn.Module) -> list[nn.BatchNorm2d | nn.BatchNorm3d]:
    """Layers of batch normalisation of a network, in their order."""
    return [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d)]


@torch.no_grad()
def measure_statistics(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of batch normalisation by those of given images.

    Parameters
    ----------
    net : Module, changed in place
        Its weights stay. It is left as for prediction.
    batches : (N, C, *spatial) float32, at least one
        Images as they will be predicted: not augmented, and larger than the patches of training, in which padding
        has more influence.

    Notes
    -----
    The population statistics of Ioffe and Szegedy 2015, section 3.1, as the plain mean over batches: Wu and Johnson
    2021, "Rethinking Batch in BatchNorm", section 3.

    Examples
    --------
    >>> net = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout())
    >>> measure_statistics(net, [torch.full((1, 1, 2, 2), 3.0), torch.full((1, 1, 2, 2), 5.0)])
    >>> net[0].running_mean, net.training
    (tensor([4.]), False)
    """
    norms = batch_norms(net.eval())
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain mean, in PyTorch
        norm.train()
    for batch in batches:
        net(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
