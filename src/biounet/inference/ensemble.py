"""Several networks as one: their probabilities are averaged, tile by tile.

Members may differ in architecture, depth, padding and normalisation. What they take (axes and channels) and
what they tell (classes, and whether those are objects) must be the same.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from biounet.core.errors import ConfigError
from biounet.core.geometry import Geometry
from biounet.data.normalize import Normalization
from biounet.inference.cost import Cost
from biounet.inference.overlap_tile import TileNet
from biounet.models.attention import AttentionMaps
from biounet.models.downsampled import Downsampled
from biounet.models.model_file import ModelCard, load_network
from biounet.models.unetpp import prune

__all__ = ["Ensemble", "joint_card", "joint_geometry", "load_members", "member_files"]


Floats = NDArray[np.float32]


def member_files(path: Path) -> list[Path]:
    """Model files that a path stands for: the file itself, that of a run, or those of all folds of a cross-validation.

    Parameters
    ----------
    path : Path
        A model file; a folder with ``model.safetensors``; or one with ``fold-0/``, ``fold-1/``, ..., each of
        which is such a folder.
    """
    if not path.is_dir():
        return [path]
    whole = path / "model.safetensors"
    folds = sorted(path.glob("fold-*/"), key=lambda fold: (len(fold.name), fold.name))
    return [whole] if whole.is_file() or not folds else [fold / "model.safetensors" for fold in folds]


def load_members(
    paths: Sequence[Path], *, depth: int | None = None, attention: bool = False
) -> list[tuple[nn.Module, ModelCard]]:
    """Read the members of an ensemble.

    Parameters
    ----------
    paths : one or more, as `member_files` takes them
    depth : int
        Of the U-Net to take out of each, where they are UNet++, see `biounet.models.unetpp.prune`.
    attention : bool
        Instead of classes, draw the maps of the attention gates, see `biounet.models.attention.AttentionMaps`.

    Raises
    ------
    ModelFileError
        If a file is missing, torn, not ours, or of a newer version.
    ConfigError
        If members do not take the same images, or do not tell the same of them, or have no output of this depth,
        or no attention gates.
    """
    files = [file for path in paths for file in member_files(path)]
    members = [_load_member(file, depth, attention) for file in files]
    first = _agreed(members[0][1])
    for file, (_, card) in zip(files, members, strict=True):
        for name, value in _agreed(card).items():
            if value != first[name]:
                raise ConfigError(
                    f"{file} has {name} {value}, {files[0]} has {first[name]}; the models of an ensemble must agree "
                    f"in {', '.join(first)}: leave one out"
                )
    return members


def _load_member(file: Path, depth: int | None, attention: bool) -> tuple[nn.Module, ModelCard]:
    """Read a network, or the shallower one in it; or have it draw its attention maps."""
    net, card = load_network(file)
    try:
        if depth is not None:
            inner = prune(net.net if isinstance(net, Downsampled) else net, depth)
            card = card.model_copy(update={"model": inner.config})
            net = Downsampled(inner, net.factor) if isinstance(net, Downsampled) else inner
        return _shown(net, card) if attention else (net, card)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def _shown(net: nn.Module, card: ModelCard) -> tuple[nn.Module, ModelCard]:
    """A network that draws an image with a channel for each attention gate, in [0, 1] as they are."""
    maps = AttentionMaps(net)
    units = Normalization(offset=(0.0,) * maps.maps, scale=(1.0,) * maps.maps)
    model = card.model.model_copy(update={"classes": maps.maps})
    drawn = {"model": model, "target": "image", "target_normalization": units, "smoothing": 0}
    return maps, card.model_copy(update=drawn)


def _agreed(card: ModelCard) -> dict[str, object]:
    """What is the same for all members of an ensemble."""
    model = card.model
    return {"dims": model.dims, "channels": model.in_channels, "classes": model.classes, "target": card.target}


def joint_card(cards: Sequence[ModelCard]) -> ModelCard:
    """What is known of the members together: the card of the first, with the mean of their thresholds."""
    return cards[0].model_copy(update={"threshold": sum(card.threshold for card in cards) / len(cards)})


class Ensemble:
    """Networks whose probabilities are averaged; a `biounet.inference.overlap_tile.TilePredictor`.

    Parameters
    ----------
    members : TileNets, at least one
        They are applied to a tile one after the other.
    copies : one number per member
        Which of the normalised copies of the image the member takes.
    classes : int

    Examples
    --------
    >>> import torch
    >>> from biounet.models import build
    >>> from biounet.config.settings import ModelConfig
    >>> nets = [build(ModelConfig(width=2, depth=depth)) for depth in (1, 2)]
    >>> tiled = [TileNet(net, device=torch.device("cpu"), precision=torch.float32) for net in nets]
    >>> both = Ensemble(tiled, copies=[0, 0], classes=2)
    >>> [net.geometry.margin for net in tiled], both.geometry.margin
    ([(8, 8), (20, 20)], (20, 20))
    """

    def __init__(self, members: Sequence[TileNet], *, copies: Sequence[int], classes: int) -> None:
        self._members = list(zip(members, copies, strict=True))
        self._classes = classes
        self.copies = max(copies) + 1
        self.geometry = joint_geometry([net.geometry for net in members])
        self.dims, self.device, self.precision = members[0].dims, members[0].device, members[0].precision

    def __call__(self, inputs: Floats, output: Sequence[int]) -> Floats:
        """Return the mean probabilities of a batch of tiles.

        Parameters
        ----------
        inputs : (N, copies * C, *spatial), normalised
        output : pixels per spatial axis
            Multiples of the grid.

        Returns
        -------
        (N, classes, *output), float32, in [0, 1]
        """
        channels = inputs.shape[1] // self.copies
        total: Floats | None = None
        for net, copy in self._members:
            own = slice(copy * channels, (copy + 1) * channels)
            result = net(inputs[(slice(None), own, *self._region(net, output))], output)
            total = result if total is None else np.add(total, result, out=total)
        assert total is not None
        return total if len(self._members) == 1 else np.divide(total, len(self._members), out=total)

    def cost(self, output: Sequence[int], *, channels: int, batch: int = 1) -> Cost:
        """Count what a batch takes, without computing it."""
        costs = [net.cost(output, channels=channels, batch=batch) for net, _ in self._members]
        most = max(cost.bytes for cost in costs)
        if len(costs) > 1:  # the sum, and the copies of the image that the member at hand does not take
            pixels = self._classes * math.prod(output)
            pixels += (self.copies - 1) * channels * math.prod(self.geometry.input_size(output))
            most += batch * 4 * pixels
        return Cost(most, sum(cost.operations for cost in costs))

    def _region(self, net: TileNet, output: Sequence[int]) -> tuple[slice, ...]:
        """The part of an input that a member takes: what it would take alone."""
        starts = (most - own for most, own in zip(self.geometry.margin, net.geometry.margin, strict=True))
        sizes = net.geometry.input_size(output)
        return tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))


def joint_geometry(geometries: Sequence[Geometry]) -> Geometry:
    """What serves several networks: each finds its own input inside, where outputs are multiples of the grid.

    Examples
    --------
    >>> first = Geometry(grid=(4,), margin=(6,), remainder=(2,), padded=False)      # 12 px from 6 + 12 + 8
    >>> second = Geometry(grid=(6,), margin=(5,), remainder=(0,), padded=False)     # 12 px from 5 + 12 + 7
    >>> joint_geometry([first, second])                                             # 12 px from 6 + 12 + 8
    Geometry(grid=(12,), margin=(6,), remainder=(2,), padded=False)
    """
    grid = tuple(math.lcm(*sizes) for sizes in zip(*(geometry.grid for geometry in geometries), strict=True))
    before = tuple(max(sizes) for sizes in zip(*(geometry.margin for geometry in geometries), strict=True))
    after = tuple(max(sizes) for sizes in zip(*(_after(geometry, grid) for geometry in geometries), strict=True))
    remainder = tuple((front + back) % size for front, back, size in zip(before, after, grid, strict=True))
    return Geometry(grid, before, remainder, any(geometry.padded for geometry in geometries))


def _after(geometry: Geometry, output: tuple[int, ...]) -> tuple[int, ...]:
    """Pixels that an input reaches beyond the end of an output."""
    inputs = geometry.input_size(output)
    return tuple(size - margin - out for size, margin, out in zip(inputs, geometry.margin, output, strict=True))
