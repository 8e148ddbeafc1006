"""Decoders: how the probabilities of a network become class numbers, an elevation map, or pixels to save."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ConfigError
from biounet.io import Meaning
from biounet.models.model_file import ModelCard
from biounet.segmentation import label_elevation, make_elevation, segment

__all__ = ["DECODERS", "Decoder", "check_objects", "decoder_of", "meaning_of_output"]


Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Decoder:
    """Way from probabilities to what is saved, for a tile or for a whole image.

    Parameters
    ----------
    encode : probabilities (classes, *spatial), ModelCard -> pixels (C, *spatial)
        Each pixel follows from its own probabilities alone, so tiles give what the whole image gives.
    numbers_objects : bool
        The pixels are an elevation map, from which objects are numbered when a whole image is there.
    """

    encode: Callable[[Floats, ModelCard], NDArray[Any]]
    numbers_objects: bool = False

    def segment(self, probabilities: Floats, card: ModelCard) -> NDArray[Any]:
        """Labels (*spatial) of an image in memory: class numbers or numbered objects."""
        (pixels,) = self.encode(probabilities, card)
        return label_elevation(pixels, card.object_rules) if self.numbers_objects else pixels


def _every_channel(probabilities: Floats, card: ModelCard) -> NDArray[Any]:
    """The output of the network as it is."""
    return probabilities


def _probabilities(probabilities: Floats, card: ModelCard) -> NDArray[Any]:
    """Probabilities of all classes; of two classes only those of the foreground."""
    return probabilities[1:] if len(probabilities) == 2 else probabilities


def _classes(probabilities: Floats, card: ModelCard) -> NDArray[Any]:
    """Number of the most probable class; of two classes, foreground above the threshold."""
    return segment(probabilities, target="classes", threshold=card.threshold)[np.newaxis]


def _elevation(probabilities: Floats, card: ModelCard) -> NDArray[Any]:
    """Elevation map, in bytes."""
    return make_elevation(probabilities, card.object_rules)[np.newaxis]


DECODERS: Mapping[str, Decoder] = MappingProxyType(
    {
        "objects": Decoder(_elevation, numbers_objects=True),
        "classes": Decoder(_classes),
        "probabilities": Decoder(_probabilities),
        "image": Decoder(_every_channel),
        "attention": Decoder(_every_channel),
    }
)
"""What is saved -> how it is made of probabilities. Saved labels are objects or classes, by the task."""


def meaning_of_output(card: ModelCard, save: str) -> Meaning:
    """What the numbers of an output mean.

    >>> from biounet.config import ModelConfig
    >>> from biounet.data.normalize import Normalization
    >>> card = ModelCard(model=ModelConfig(classes=3), normalization=Normalization())
    >>> meaning_of_output(card, "labels").shown, meaning_of_output(card, "probabilities").shown
    ('classes (background, class 1, class 2)', 'probabilities (background, class 1, class 2)')
    """
    kind: Any = _kind_of(card, save)
    if kind == "classes" and card.task.numbered:
        kind = "parts"
    return Meaning(kind=kind, class_names=card.class_names if kind in ("classes", "probabilities") else ())


def check_objects(card: ModelCard) -> None:
    """Refuse to number the objects of several classes, which may touch.

    Raises
    ------
    ConfigError
    """
    if card.task.has_classes and not card.is_binary:
        raise ConfigError(
            "objects are numbered where a network has two classes, such as membranes and cells; this one has "
            f"{card.model.classes}; save labels, and number their parts by: biounet measure RESULT --split"
        )


def decoder_of(card: ModelCard, *, save: str = "labels") -> Decoder:
    """Decoder for one of the outputs of the task that a network was trained for; see `biounet.config.tasks`.

    >>> from biounet.config import ModelConfig
    >>> from biounet.data.normalize import Normalization
    >>> card = ModelCard(model=ModelConfig(), normalization=Normalization(), target="distance")
    >>> decoder_of(card) is DECODERS["objects"], decoder_of(card, save="classes") is DECODERS["classes"]
    (True, True)
    """
    return DECODERS[_kind_of(card, save)]


def _kind_of(card: ModelCard, save: str) -> str:
    """Key of `DECODERS` for an output: labels are objects or classes, by the task."""
    if card.task.saves_objects(save):
        return "objects"
    return "classes" if save == "labels" else save
