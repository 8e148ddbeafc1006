"""Ensembles of networks, whose probabilities are averaged tile by tile; one network is an ensemble of one.

Members may differ in architecture, depth, padding and normalisation. Axes, channels, classes and target must agree.
"""

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from biounet.config.shipped import model_file
from biounet.core.boxes import Reader
from biounet.core.errors import ConfigError
from biounet.core.geometry import Geometry
from biounet.data.normalize import Normalization
from biounet.inference.adaptation import adapted_net, check_adaptable
from biounet.inference.cost import Cost
from biounet.inference.overlap_tile import Floats, TileNet, TilePredictor
from biounet.inference.scaling import Scale, ScaledNet
from biounet.models.attention import AttentionMaps
from biounet.models.downsampled import Downsampled
from biounet.models.model_file import ModelCard, load_network
from biounet.models.unetpp import prune

__all__ = ["Ensemble", "Member", "joint_card", "joint_geometry", "load_members", "member_files", "normalise"]


Member = tuple[nn.Module, ModelCard]
"""A network, and what its model file says of it."""


def member_files(path: Path) -> list[Path]:
    """Model files that a path means: the file, that of a run, those of all folds of a cross-validation, a shipped one.

    Parameters
    ----------
    path : Path
        A model file; a folder with ``model.safetensors``; a folder of such folders ``fold-0/``, ``fold-1/``, ...; or
        the name of a shipped model.

    Raises
    ------
    ModelFileError
        If there is none.
    """
    folds = sorted(path.glob("fold-*/"), key=lambda fold: (len(fold.name), fold.name))
    if folds and not (path / "model.safetensors").is_file():
        return [fold / "model.safetensors" for fold in folds]
    return [model_file(path)]


def load_members(
    paths: Sequence[Path], *, depth: int | None = None, attention: bool = False, close_gaps: bool | None = None
) -> list[Member]:
    """Members of an ensemble, read from their files.

    Parameters
    ----------
    paths : one or more, as `member_files` takes them
    depth : int
        Of a UNet++, the U-Net with so many poolings is taken, see `biounet.models.unetpp.prune`.
    attention : bool
        The members draw the maps of their attention gates, see `biounet.models.attention.AttentionMaps`.
    close_gaps : bool
        Whether gaps in membranes are closed, whatever the files say; see `biounet.segmentation.close_gaps`.

    Raises
    ------
    ModelFileError
        If a file is missing, torn, not ours, or of a newer version.
    ConfigError
        If members differ in axes, channels, classes or target; if a network has no output of this depth, no
        attention gates, or no two classes where gaps shall be closed.
    """
    files = [file for path in paths for file in member_files(path)]
    members = [_load_member(file, depth, attention) for file in files]
    if close_gaps is not None:
        pairs = zip(files, members, strict=True)
        members = [(net, _closing_gaps(card, file, close_gaps)) for file, (net, card) in pairs]
    first = _agreed(members[0][1])
    for file, (_, card) in zip(files, members, strict=True):
        for name, value in _agreed(card).items():
            if value != first[name]:
                raise ConfigError(
                    f"{file} has {name} {value}, {files[0]} has {first[name]}; the models of an ensemble must agree "
                    f"in {', '.join(first)}: leave one out"
                )
    return members


def _load_member(file: Path, depth: int | None, attention: bool) -> Member:
    """A network from its file: whole, pruned to a depth, or drawing its attention maps."""
    net, card = load_network(file)
    try:
        if depth is not None:
            inner = prune(net.net if isinstance(net, Downsampled) else net, depth)
            card = card.model_copy(update={"model": inner.config})
            net = Downsampled(inner, net.factor) if isinstance(net, Downsampled) else inner
        return _drawing_attention(net, card) if attention else (net, card)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def _closing_gaps(card: ModelCard, file: Path, close_gaps: bool) -> ModelCard:
    """A card with gaps closed or not; to close them takes two classes."""
    if close_gaps and not card.is_binary:
        raise ConfigError(
            f"{file}: gaps are closed where one class is membranes and the other cells, this model has learnt target "
            f"{card.target}, with {card.model.classes} classes; leave --close-gaps out"
        )
    return card.model_copy(update={"close_gaps": close_gaps})


def _drawing_attention(net: nn.Module, card: ModelCard) -> Member:
    """A network that draws an image with a channel for each attention gate, in [0, 1]."""
    maps = AttentionMaps(net)
    units = Normalization(offset=(0.0,) * maps.maps, scale=(1.0,) * maps.maps)
    model = card.model.model_copy(update={"classes": maps.maps})
    drawn = {"model": model, "target": "image", "target_normalization": units, "smoothing": 0, "close_gaps": False}
    return maps, card.model_copy(update=drawn)


def _agreed(card: ModelCard) -> dict[str, object]:
    """Facts in which all members of an ensemble must agree."""
    model = card.model
    return {"dims": model.dims, "channels": model.in_channels, "classes": model.classes, "target": card.target}


def joint_card(cards: Sequence[ModelCard]) -> ModelCard:
    """Card of an ensemble: that of the first member, with the mean of all thresholds."""
    return cards[0].model_copy(update={"threshold": sum(card.threshold for card in cards) / len(cards)})


def normalise(pixels: NDArray[Any], normalizations: Sequence[Normalization]) -> Floats:
    """Copies of a region, each normalised in one way, one after the other along the axis of channels.

    Parameters
    ----------
    pixels : (C, *spatial), any number type
    normalizations : at least one, with the statistics of the image

    Examples
    --------
    >>> ways = [Normalization(offset=(0.0,), scale=(scale,)) for scale in (1.0, 2.0)]
    >>> normalise(np.array([[6, 8]]), ways)
    array([[6., 8.],
           [3., 4.]], dtype=float32)
    """
    copies = [normalization.apply(pixels) for normalization in normalizations]
    return copies[0] if len(copies) == 1 else np.concatenate(copies)


class Ensemble:
    """Mean of the probabilities of several networks; a `biounet.inference.overlap_tile.TilePredictor`.

    Parameters
    ----------
    members : at least one, see `load_members`
        They are applied to a tile one after the other.
    device, precision, tta
        As for `TileNet`.
    factor : no unit
        Images are scaled by it before they are predicted, and the result is scaled back.
    adaptable : bool
        The networks are kept as they were trained, for `adapted`.

    Attributes
    ----------
    card : ModelCard
        See `joint_card`; its rules of objects are for the pixels of the image.
    scale : Scale
        The ratio of pixels that is closest to `factor`.
    normalizations : tuple of Normalization
        The different ways in which members normalise images; one copy of the image is taken for each.

    Examples
    --------
    >>> from biounet.config.settings import ModelConfig
    >>> from biounet.models import build
    >>> configs = [ModelConfig(width=2, depth=depth) for depth in (1, 2)]
    >>> members = [(build(config), ModelCard(model=config, normalization=Normalization())) for config in configs]
    >>> both = Ensemble(members, device=torch.device("cpu"), precision=torch.float32)
    >>> [net.geometry.margin for net, _ in members], both.geometry.margin
    ([(8, 8), (20, 20)], (20, 20))
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        device: torch.device,
        precision: torch.dtype,
        tta: bool = False,
        factor: float = 1.0,
        adaptable: bool = False,
    ) -> None:
        self.device, self.precision, self._tta = device, precision, tta
        self._cards = [card for _, card in members]
        if adaptable:
            check_adaptable([net for net, _ in members])
        self._trained = [net for net, _ in members] if adaptable else []
        self._make_ready([net for net, _ in members])
        self._scale_to(factor)

    def adapted(self, image: Reader, ways: Sequence[Normalization]) -> Self:
        """The same networks with batch normalisation adapted to an image, see `biounet.inference.adaptation`.

        Parameters
        ----------
        image : (C, *spatial), as it comes from the microscope
        ways : the `normalizations`, with the statistics of the image
        """
        other = copy.copy(self)
        options: dict[str, Any] = {"scale": self.scale, "device": self.device, "precision": self.precision}
        pairs = zip(self._trained, self._members, strict=True)
        other._make_ready([adapted_net(net, image, ways[number], **options) for net, (_, number) in pairs])
        other._scale_to(self._factor)
        return other

    def _make_ready(self, nets: Sequence[nn.Module]) -> None:
        """Make the networks ready to predict tiles."""
        options: dict[str, Any] = {"device": self.device, "precision": self.precision, "tta": self._tta}
        pairs = zip(nets, self._cards, strict=True)
        self._nets = [TileNet(net, **options, **card.output_options) for net, card in pairs]

    def scaled(self, factor: float) -> Self:
        """The same networks, applied to images scaled by another factor."""
        other = copy.copy(self)
        other._scale_to(factor)
        return other

    def _scale_to(self, factor: float) -> None:
        """Take images scaled by a factor."""
        cards, nets, self._factor = self._cards, list[TilePredictor](self._nets), factor
        self.scale = Scale.near(factor, grid=math.lcm(*(side for net in nets for side in net.geometry.grid)))
        if self.scale.network != self.scale.image:
            nets = [ScaledNet(net, self.scale, classes=cards[0].model.classes) for net in nets]
        self.card = joint_card(cards).scaled(factor)
        self.normalizations = tuple(dict.fromkeys(card.normalization for card in cards))
        self.copies = len(self.normalizations)
        self.geometry = joint_geometry([net.geometry for net in nets])
        self.dims = nets[0].dims
        self._costs: dict[tuple[tuple[int, ...], int, int], Cost] = {}
        self._members = [
            (net, self.normalizations.index(card.normalization)) for net, card in zip(nets, cards, strict=True)
        ]

    def __call__(self, inputs: Floats, output: Sequence[int]) -> Floats:
        """Mean probabilities of a batch of tiles.

        Parameters
        ----------
        inputs : (N, copies * C, *spatial), see `normalise`
        output : pixels per spatial axis
            Multiples of the grid.

        Returns
        -------
        (N, classes, *output), float32, in [0, 1]
        """
        channels = inputs.shape[1] // self.copies
        total: Floats | None = None
        for net, number in self._members:
            own = slice(number * channels, (number + 1) * channels)
            result = net(inputs[(slice(None), own, *self._region(net, output))], output)
            total = result if total is None else np.add(total, result, out=total)
        assert total is not None
        return total if len(self._members) == 1 else np.divide(total, len(self._members), out=total)

    def cost(self, output: Sequence[int], *, channels: int, batch: int = 1) -> Cost:
        """Memory and arithmetic of a batch, counted without computing it, once for each size."""
        key = (tuple(output), channels, batch)
        if key not in self._costs:
            self._costs[key] = self._count(output, channels, batch)
        return self._costs[key]

    def _count(self, output: Sequence[int], channels: int, batch: int) -> Cost:
        costs = [net.cost(output, channels=channels, batch=batch) for net, _ in self._members]
        most = max(cost.bytes for cost in costs)
        if len(costs) > 1:  # the sum, and the copies of the image that the member at hand does not take
            pixels = self.card.model.classes * math.prod(output)
            pixels += (self.copies - 1) * channels * math.prod(self.geometry.input_size(output))
            most += batch * 4 * pixels
        return Cost(most, sum(cost.operations for cost in costs))

    def _region(self, net: TilePredictor, output: Sequence[int]) -> tuple[slice, ...]:
        """Region of an input that a member would be given if it were alone."""
        starts = (most - own for most, own in zip(self.geometry.margin, net.geometry.margin, strict=True))
        sizes = net.geometry.input_size(output)
        return tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))


def joint_geometry(geometries: Sequence[Geometry]) -> Geometry:
    """Geometry of an ensemble: an input holds the input of each member, where outputs are multiples of the grid.

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
