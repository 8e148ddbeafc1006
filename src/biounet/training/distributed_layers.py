"""Drop-out and batch normalisation that do not depend on how a batch is divided among processes."""

import torch
from torch import Tensor, nn

from biounet.core.random import generator
from biounet.training.distributed import all_reduce_sum

__all__ = ["SampleDropout", "SharedBatchNorm", "drop_by_sample", "seed_dropout", "share_batch_norm"]


class SampleDropout(nn.Module):
    """Drop-out with an independent mask for each sample.

    Parameters
    ----------
    share : in [0, 1)
        Share of the values that are set to 0; the others are multiplied by 1 / (1 - share).
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.chances: list[torch.Generator] = []

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, *spatial), with values dropped out while training; see `seed_dropout`."""
        if not self.training or not self.share:
            return features
        masks = torch.empty(features.shape, device=features.device, dtype=features.dtype)
        for mask, chance in zip(masks, self.chances, strict=True):
            mask.bernoulli_(1 - self.share, generator=chance)
        return features * masks.div_(1 - self.share)


def drop_by_sample(net: nn.Module) -> None:
    """Replace every drop-out of a network by `SampleDropout`, in place."""
    for part in list(net.modules()):
        for name, layer in list(part.named_children()):
            if isinstance(layer, nn.Dropout):
                setattr(part, name, SampleDropout(layer.p))


def seed_dropout(net: nn.Module, *, seed: int, step: int, samples: range, device: torch.device) -> None:
    """Seed the masks of the next batch, so that each is a function of (seed, step, sample)."""
    for number, layer in enumerate(layer for layer in net.modules() if isinstance(layer, SampleDropout)):
        layer.chances = []
        for sample in samples if layer.share else ():
            start = generator(seed, step, sample, stream=f"drop-out {number}").integers(2**63)
            layer.chances.append(torch.Generator(device).manual_seed(int(start)))


class SharedBatchNorm(nn.Module):
    """Batch normalisation over the samples of all processes.

    Parameters
    ----------
    layer : BatchNorm2d or BatchNorm3d
        Its weights and running statistics are used, under the same names.

    Notes
    -----
    Source: Ioffe and Szegedy 2015, algorithm 1, with the sums running over all processes; the running
    variance is the unbiased one, as in torch. `torch.nn.SyncBatchNorm` does the same, on GPUs only.
    """

    def __init__(self, layer: nn.BatchNorm2d | nn.BatchNorm3d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps, self.momentum = layer.weight, layer.bias, layer.eps, layer.momentum
        for name, statistic in layer.named_buffers():
            self.register_buffer(name, statistic)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (N, C, *spatial) while training."""
        x = features.float()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        broad = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
        count = all_reduce_sum(x.new_tensor(x.numel() / x.shape[1]))
        mean = all_reduce_sum(x.sum(axes)) / count
        centred = x - mean.view(broad)
        variance = all_reduce_sum(centred.square().sum(axes)) / count
        with torch.no_grad():
            assert isinstance(self.running_mean, Tensor)
            assert isinstance(self.running_var, Tensor)
            assert isinstance(self.num_batches_tracked, Tensor)
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(broad) + self.bias.view(broad)).to(features.dtype)


def share_batch_norm(net: nn.Module, device: torch.device) -> nn.Module:
    """Network whose batch normalisations have the statistics of all processes; weights keep their names."""
    if device.type == "cuda":
        shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(net)  # type: ignore[no-untyped-call]
        return shared
    for part in list(net.modules()):
        for name, layer in list(part.named_children()):
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(part, name, SharedBatchNorm(layer))
    return net
