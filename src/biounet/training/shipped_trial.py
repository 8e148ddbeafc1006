"""Shipped models tried on annotated images, to know which of them a run could begin with."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config import ModelConfig
from biounet.config.shipped import SHIPPED
from biounet.core.errors import ShapeError
from biounet.core.words import counted
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.training_set import TrainingSet
from biounet.inference.model import Model, load_model
from biounet.metrics import detection, match_objects
from biounet.models.model_file import read_card

__all__ = ["tell_shipped_models", "warn_of_few_images"]


IMAGES, SIDE = 3, 1024
"""Images that models are tried on at most, and pixels along their axes that are looked at, in the middle."""

Annotated = tuple[NDArray[np.float32], NDArray[Any]]
"""Pixels (C, Y, X) of an image, and its labels (Y, X)."""

FEW_IMAGES = 10
"""Images to learn from that are enough for random weights; measured, see docs/models.md."""

WORTH = 0.3
"""Share of the objects that a model must find before it is advised to begin with it."""


def _may_begin(data: TrainingSet) -> bool:
    """Whether shipped models exist for the task: numbered objects in images (Y, X)."""
    return data.task.numbered and len(data.largest) == 2


def warn_of_few_images(model: ModelConfig, data: TrainingSet) -> list[str]:
    """A note for a run from random weights where a shipped model may be a better start; none where images suffice."""
    if model.pretrained is not None or not _may_begin(data) or len(data.train) >= FEW_IMAGES:
        return []
    few = f"{counted(len(data.train), 'image')} to learn from, which is little for random weights"
    return [f"{few}; biounet check DATASET tries the shipped models, and says which one to begin with"]


def tell_shipped_models(data: TrainingSet) -> str:
    """A line on how many objects the shipped models of objects find as they are, with an IoU of at least 0.5.

    Parameters
    ----------
    data : TrainingSet
        Up to 3 images to train on are looked at, of those in memory.

    Returns
    -------
    str
        Empty where the labels are no numbered objects in 2D, there are none, or no model takes the images.
    """
    if not _may_begin(data):
        return ""
    read = (source.read() for source in data.train if source.in_memory)
    labelled = [image for image in read if (image.labels > 0).any()]
    tried = [_middle(image) for image in labelled[:: max(1, len(labelled) // IMAGES)][:IMAGES]]
    if not tried:
        return ""
    found, objects = dict[str, int](), 0
    for name in (name for name, path in SHIPPED.items() if read_card(path).task.numbered):
        with suppress(ShapeError):  # other channels
            found[name], objects = _count(load_model(name), tried)
    if not objects:
        return ""
    best = max(found, key=lambda name: found[name])
    advice = f"; begin with {best}: --from {best}" if found[best] >= WORTH * objects else ""
    each = ", ".join(f"{name} {count}" for name, count in found.items())
    looked_at = f"{counted(objects, 'object')} on {counted(len(tried), 'image')}"
    return f"shipped models, as they are, find of {looked_at}: {each}{advice}"


def _middle(image: AnnotatedImage) -> Annotated:
    """Pixels (C, Y, X) and labels in the middle of an image."""
    size = image.labels.shape
    middle = tuple(slice(max(0, (side - SIDE) // 2), (side + SIDE) // 2) for side in size)
    return image.image[:, *middle], image.labels[middle]


def _count(model: Model, images: Sequence[Annotated]) -> tuple[int, int]:
    """Objects that a model finds, and all there are."""
    matchings = [match_objects(labels, model.segment(pixels, axes="CYX")) for pixels, labels in images]
    return sum(detection(each).true_positives for each in matchings), sum(len(each.truth_pixels) for each in matchings)
