"""Batch normalisation that is adapted to an image, which may have more noise or another look than those learnt from.

Its statistics are a mean of those learnt and those of the image (Li et al. 2016, "Revisiting Batch Normalization For
Practical Domain Adaptation", arXiv 1603.04779; the mean of both: Schneider et al. 2020, arXiv 2006.16971).
"""

import copy
from collections.abc import Iterator, Sequence
from itertools import product
from typing import cast

import torch
from torch import Tensor, nn

from biounet.core.boxes import Box, Reader, two_parts
from biounet.core.errors import ConfigError
from biounet.core.geometry import Geometry
from biounet.data.normalize import Normalization
from biounet.inference.scaling import Scale, ScaledReader
from biounet.inference.tiles import read_mirrored
from biounet.models.batch_statistics import batch_norms, measure_statistics
from biounet.models.device import one_thread

__all__ = ["adapted_net", "check_adaptable"]


SHARE = 0.5
"""Share of the image in the statistics; measured, see docs/prediction.md."""

STATISTICS = ("running_mean", "running_var")
"""Names of the statistics of a layer, in PyTorch."""

PART = {2: 256, 3: 64}
"""An axis up to so many pixels long is measured as a whole, of a longer one two parts are."""


def check_adaptable(nets: Sequence[nn.Module]) -> None:
    """Refuse networks of which one has no batch normalisation.

    Raises
    ------
    ConfigError
    """
    if not all(batch_norms(net) for net in nets):
        raise ConfigError("--adapt measures batch normalisation anew, which this network lacks; leave it out")


def adapted_net(
    net: nn.Module,
    image: Reader,
    normalization: Normalization,
    *,
    scale: Scale,
    device: torch.device,
    precision: torch.dtype,
) -> nn.Module:
    """A copy of a network whose batch normalisation is adapted to an image.

    It follows from the image alone, not from tiles, memory, or the number of processes and threads.

    Parameters
    ----------
    net : Module with ``geometry``, as it was trained
    image : (C, *spatial), as it comes from the microscope
        Up to 4 parts of an image are measured, up to 8 of a volume.
    normalization : with the statistics of the image
    scale : of the image, before it is predicted
    device, precision : where and in what the copy computes
    """
    adapted, geometry = copy.deepcopy(net).to(device), cast(Geometry, net.geometry)
    statistics = {name: numbers for name, numbers in adapted.named_buffers() if name.endswith(STATISTICS)}
    learnt = {name: numbers.clone() for name, numbers in statistics.items()}
    with one_thread(), torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
        parts = _parts(ScaledReader(image, scale), geometry, normalization)
        measure_statistics(adapted, (part.to(device) for part in parts))
    for name, numbers in statistics.items():
        numbers.lerp_(learnt[name], 1 - SHARE)
    return adapted


def _parts(image: Reader, geometry: Geometry, normalization: Normalization) -> Iterator[Tensor]:
    """Normalised parts of an image, (1, C, *spatial), in sizes that a network takes; mirrored beyond its edges.

    Of a long axis, two parts are taken, see `two_parts`.
    """
    _, *sizes = image.shape
    part = PART[len(sizes)]
    sides = (min(size, part) for size in sizes)
    each = zip(sides, geometry.least_input, geometry.grid, geometry.remainder, strict=True)
    taken = [max(least, side + (remainder - side) % grid) for side, least, grid, remainder in each]
    starts = [(0,) if size <= part else two_parts(size, part) for size in sizes]
    for start in product(*starts):
        box = Box(start, tuple(at + size for at, size in zip(start, taken, strict=True)))
        yield torch.from_numpy(normalization.apply(read_mirrored(image, box)))[None]
