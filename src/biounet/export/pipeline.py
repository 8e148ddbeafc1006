"""A trained network as one graph: from normalised pixels to probabilities of the same size."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from biounet.core.errors import ConfigError
from biounet.core.geometry import Geometry
from biounet.inference.ensemble import joint_card, load_members
from biounet.inference.overlap_tile import predict_array
from biounet.inference.smoothing import smooth
from biounet.models.fused import freeze
from biounet.models.model_file import ModelCard

__all__ = ["TOLERANCE", "Pipeline", "check_difference", "load_pipeline"]


TOLERANCE = 1e-4
"""Largest difference of a probability from torch with which an export counts as the same model."""


class Member(nn.Module):
    """One network with its mirrored margin, smoothing, temperature and soft-max.

    Parameters
    ----------
    net : torch.nn.Module with ``geometry``
    card : ModelCard
    """

    def __init__(self, net: nn.Module, card: ModelCard) -> None:
        super().__init__()
        self.net = freeze(net)
        inner: Geometry = self.net.geometry  # type: ignore[assignment]
        dims = len(inner.grid)
        reach = (0,) * (dims - 2) + (card.smoothing,) * 2
        outer = inner.widened(reach)
        self.grid, self.margin, self.passes = outer.grid, outer.margin, card.smoothing
        least = inner.input_size((1,) * dims)
        with torch.no_grad():
            left = self.net(torch.zeros(1, card.model.in_channels, *least)).shape[2:]
        taken = [(before - after) // 2 for before, after in zip(least, left, strict=True)]
        self.cut = tuple(margin - lost - more for margin, lost, more in zip(self.margin, taken, reach, strict=True))
        # What an input of a multiple of the grid lacks at its far end, so that the network takes it.
        self.rest = tuple(
            (remainder - 2 * margin) % grid
            for remainder, margin, grid in zip(outer.remainder, self.margin, self.grid, strict=True)
        )
        self.temperature = card.temperature
        self.units = card.target_normalization

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities (N, classes, *spatial) of an image (N, C, *spatial)."""
        size = image.shape[2:]
        pads: list[Any] = []
        for pixels, margin, rest, grid in zip(size, self.margin, self.rest, self.grid, strict=True):
            pads = [margin, margin + rest + (grid - pixels % grid) % grid, *pads]  # the last axis comes first
        logits = self.net(functional.pad(image, pads, mode="reflect"))
        for axis, (pixels, cut) in enumerate(zip(size, self.cut, strict=True), 2):
            more = 2 * self.passes if axis >= len(size) else 0
            logits = logits.narrow(axis, cut, pixels + more)
        logits = smooth(logits, passes=self.passes)
        if self.units is not None:
            broad = (-1, *(1,) * len(size))
            offset, scale = (
                logits.new_tensor(numbers).view(broad) for numbers in (self.units.offset, self.units.scale)
            )
            images: Tensor = logits * scale + offset
            return images
        probabilities: Tensor = torch.softmax(logits / self.temperature, dim=1)
        return probabilities


class Pipeline(nn.Module):
    """A trained model as one graph from normalised pixels to probabilities, or to predicted images, of the same size.

    Parameters
    ----------
    members : networks with their cards
        Probabilities of several are averaged.

    Attributes
    ----------
    card : ModelCard
        What is known of the members together.
    grid : pixels per spatial axis
        Multiple of all poolings.
    halo : pixels per spatial axis
        Context that one output pixel needs, rounded up to `grid`.

    Raises
    ------
    ConfigError
        If members normalise images in different ways, for which one graph has no place.

    Examples
    --------
    >>> from biounet.config import ModelConfig
    >>> from biounet.data.normalize import Normalization
    >>> from biounet.models import build
    >>> config = ModelConfig(width=2, depth=1, padding="same")
    >>> pipeline = Pipeline([(build(config), ModelCard(model=config, normalization=Normalization()))])
    >>> pipeline(torch.zeros(1, 1, 20, 33)).shape, pipeline.grid, pipeline.halo
    (torch.Size([1, 2, 20, 33]), (2, 2), (8, 8))
    """

    def __init__(self, members: list[tuple[nn.Module, ModelCard]]) -> None:
        super().__init__()
        cards = [card for _, card in members]
        if any(card.normalization != cards[0].normalization for card in cards):
            raise ConfigError(
                "the models of this ensemble normalise images in different ways, which one graph cannot; export them "
                "one by one"
            )
        self.members = nn.ModuleList(Member(net, card) for net, card in members)
        self.card = joint_card(cards)
        self.nets = [net for net, _ in members]
        self.cards = cards
        ready: list[Member] = list(self.members)  # type: ignore[arg-type]
        self.grid = tuple(int(np.lcm.reduce(steps)) for steps in zip(*(one.grid for one in ready), strict=True))
        widest = (max(sides) for sides in zip(*(one.margin for one in ready), strict=True))
        self.halo = tuple(-(-side // step) * step for side, step in zip(widest, self.grid, strict=True))

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities (N, classes, *spatial) of a normalised image (N, C, *spatial)."""
        total: Tensor = self.members[0](image)
        for member in self.members[1:]:
            total = total + member(image)
        return total / len(self.members)

    def sizes(self) -> list[tuple[int, ...]]:
        """Three image sizes to compare at: the least block, a longer one, and one beside the grid."""
        least = tuple(2 * halo + grid for halo, grid in zip(self.halo, self.grid, strict=True))
        longer = (*least[:-1], least[-1] + 2 * self.grid[-1])
        beside = tuple(side + 1 + number for number, side in enumerate(least))
        return [least, longer, beside]

    def sample(self, size: tuple[int, ...]) -> NDArray[np.float32]:
        """Return noise (1, C, *size) like a normalised image; the same every time."""
        rng = np.random.default_rng(0)
        return rng.normal(size=(1, self.card.model.in_channels, *size)).astype(np.float32)

    def expected(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what biounet itself predicts of a normalised image (1, C, *spatial) in float32."""
        options: dict[str, Any] = {"device": torch.device("cpu"), "precision": torch.float32}
        total = sum(
            predict_array(net, image[0], **options, **card.output_options)
            for net, card in zip(self.nets, self.cards, strict=True)
        )
        return np.asarray(total / len(self.nets), np.float32)[np.newaxis]

    def facts(self, difference: float) -> str:
        """What an exported file says of itself, as JSON: the card, the sizes that it takes, how near it is to torch."""
        known = {
            "card": self.card.model_dump(mode="json", exclude={"training"}),
            "grid": self.grid,
            "halo": self.halo,
            "input": "normalised as `card.normalization` says, axes (N, C, *spatial), float32",
            "largest_difference_from_torch": difference,
        }
        return json.dumps(known)


def load_pipeline(model: Path) -> Pipeline:
    """Read a model file, a run or a folder of folds as one graph.

    Raises
    ------
    ModelFileError
        If it is missing, torn or not ours.
    ConfigError
        If its members cannot be one graph.
    """
    return Pipeline(load_members([model])).eval()


def check_difference(pipeline: Pipeline, run: Any, what: str) -> float:
    """Compare an exported model with biounet's own prediction at three sizes.

    Parameters
    ----------
    pipeline : Pipeline
    run : (1, C, *spatial) float32 -> (1, classes, *spatial)
        The exported model in the runtime that it is for.
    what : name of the format, for the message

    Returns
    -------
    float
        Largest difference.

    Raises
    ------
    ConfigError
        If it exceeds `TOLERANCE`: then nothing is written.
    """
    largest = 0.0
    for size in pipeline.sizes():
        image = pipeline.sample(size)
        expected = pipeline.expected(image)
        got = run(image)
        if got.shape != expected.shape:
            raise ConfigError(
                f"{pipeline.card.model.name} cannot be exported to {what}: it gives {got.shape} of an image of "
                f"{size} px, not {expected.shape}; predict with biounet instead"
            )
        scale = max(1.0, float(np.abs(expected).max())) if pipeline.card.target_normalization else 1.0
        largest = max(largest, float(np.abs(got - expected).max()) / scale)
    if not largest <= TOLERANCE:
        raise ConfigError(
            f"{pipeline.card.model.name} cannot be exported to {what}: read back, it differs from biounet by "
            f"{largest:.2g} where {TOLERANCE:g} is allowed; predict with biounet instead"
        )
    return largest
