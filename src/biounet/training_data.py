"""From a dataset on disk to what training needs: normalised images, class targets, weights, and a fitting config."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from biounet.augment import Sample
from biounet.config import IGNORE, RunConfig
from biounet.errors import ConfigError, ShapeError
from biounet.folders import Dataset, Pair, find_dataset, split
from biounet.images import open_lazily
from biounet.normalize import Normalization
from biounet.postprocess import label_objects
from biounet.targets import TARGETS
from biounet.weightmaps import class_weights, weight_map

__all__ = ["Item", "TrainingData", "fit_to_data", "load_training_data", "to_samples"]


@dataclass(frozen=True)
class Item:
    """One annotated image in memory.

    name : of its file, and of its section in a stack
    image : (C, *spatial) float32, normalised
    labels : (*spatial) integers as annotated: classes, or numbered objects; negative = IGNORE
    target : (*spatial) int64, the class to predict; negative = IGNORE
    spacing : micrometres per pixel and spatial axis, where the file tells
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[Any]
    target: NDArray[np.int64]
    spacing: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TrainingData:
    """Items to train on and items to validate on, which share no image."""

    train: Sequence[Item]
    validation: Sequence[Item]
    kind: str
    """``classes`` or ``objects``: what the annotations number."""
    notes: Sequence[str]
    """What a person should know of how files were read and divided."""
    target: str = "classes"
    """What the network learns: ``classes``, or of objects one of `biounet.targets.TARGETS`."""

    @property
    def classes(self) -> int:
        """Number of classes to predict, background included."""
        return max(2, 1 + max(int(item.target.max()) for item in (*self.train, *self.validation)))

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share of the training pixels that are unknown, and that each class holds; (1 + classes,)."""
        counts = np.zeros(1 + self.classes)
        for item in self.train:
            counts += np.bincount(np.maximum(item.target, -1).ravel() + 1, minlength=len(counts))
        counts /= counts.sum()
        return counts

    def objects(self, item: Item) -> NDArray[Any]:
        """Numbered objects of an item: as annotated, or the parts of the foreground that hang together."""
        return item.labels if self.kind == "objects" else label_objects(item.target > 0).astype(np.int32)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return int(self.train[0].image.shape[0])

    @property
    def largest(self) -> tuple[int, ...]:
        """Pixels per spatial axis of the largest training image."""
        return tuple(int(size) for size in np.max([item.target.shape for item in self.train], axis=0))


def load_training_data(
    dataset: Path, normalization: Normalization, *, validation: float | str, target: str = "auto", silver: bool = False
) -> TrainingData:
    """Read annotated images and divide them into training and validation.

    Parameters
    ----------
    dataset : Path
    normalization : Normalization
    validation : a fraction to hold out, or another dataset
    target : auto, classes, or one of `biounet.targets.TARGETS`
        What labels mean. ``auto`` believes the layout of the dataset.
    silver : bool
        Whether computer-made annotations count, where the layout has them.

    Raises
    ------
    DatasetError, ImageError, LabelError, ShapeError
        One line each, naming the file.
    """
    found = find_dataset(dataset, silver=silver)
    if isinstance(validation, str):
        other = find_dataset(Path(validation))
        parts, notes = ((found, found.pairs), (other, other.pairs)), [*found.notes, *other.notes]
    else:
        held = split(found, validation)
        parts, notes = ((found, held.train), (found, held.validation)), [*found.notes, *held.notes]
    if target == "auto":
        target = "foreground" if found.pairs[0].kind == "objects" else "classes"
    train, held_out = ([_item(source, pair, normalization, target) for pair in pairs] for source, pairs in parts)
    for item in (*train, *held_out):
        if item.image.shape[0] != train[0].image.shape[0] or item.image.ndim != train[0].image.ndim:
            raise ShapeError(
                f"{item.name} has shape {item.image.shape} (channels first), {train[0].name} has "
                f"{train[0].image.shape}; bring all images to the same channels and axes"
            )
    return TrainingData(train, held_out, "classes" if target == "classes" else "objects", notes, target)


def _item(dataset: Dataset, pair: Pair, normalization: Normalization, target: str) -> Item:
    """Read one image. Objects become the classes of a target."""
    image, labels = dataset.load(pair)
    classes = np.maximum(TARGETS[target](labels) if target in TARGETS else labels, IGNORE)
    with open_lazily(pair.image) as file:
        spacing = file.spacing and file.spacing[-labels.ndim :]
    return Item(pair.name, normalization.measured(image).apply(image), labels, classes.astype(np.int64), spacing)


def fit_to_data(config: RunConfig, data: TrainingData) -> RunConfig:
    """Complete the model settings with what the data say: dimensions, channels, classes.

    Raises
    ------
    ConfigError
        If they were set by hand to something else.
    """
    facts = {"dims": len(data.largest), "in_channels": data.channels, "classes": data.classes}
    for name, value in facts.items():
        if name in config.model.model_fields_set and getattr(config.model, name) != value:
            given = getattr(config.model, name)
            raise ConfigError(f"model.{name} is set to {given}, the images and labels have {value}; leave it out")
    return config.updated({f"model.{name}": value for name, value in facts.items()})


def to_samples(data: TrainingData, config: RunConfig, device: torch.device) -> list[Sample]:
    """Move the training items to the device, with their weight maps (Ronneberger et al. 2015, equation 2)."""
    train, classes = config.train, config.model.classes
    balance = np.ones(classes, np.float32)
    if train.class_balance:
        balance = class_weights([item.target for item in data.train], classes=classes)
    samples = []
    for item in data.train:
        weights = None
        if train.border_weight or train.class_balance:
            objects = data.objects(item) if train.border_weight else None
            drawn = weight_map(
                item.target, objects=objects, balance=balance, w0=train.border_weight, sigma=train.border_sigma
            )
            weights = torch.from_numpy(drawn).to(device)
        image, target = torch.from_numpy(item.image), torch.from_numpy(item.target)
        samples.append(Sample(image.to(device), target.to(device), weights))
    return samples
