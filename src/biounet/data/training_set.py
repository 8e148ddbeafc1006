"""From a dataset on disk to what training needs: normalised images, targets, weights, and a fitting config."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.components import label_objects
from biounet.data.annotated_image import Item, ItemReader, survey_of
from biounet.data.normalize import Normalization
from biounet.data.out_of_core import OnDemand, fit_memory, rows_together
from biounet.data.split import Divided, divide_dataset
from biounet.data.statistics import Survey, total_counts
from biounet.data.targets import least_classes

__all__ = ["Item", "TrainingData", "load_training_data", "read_divided"]


@dataclass(frozen=True)
class TrainingData:
    """Items to train on and items to validate on, which share no image."""

    train: Sequence[Item]
    validation: Sequence[Item]
    kind: str
    """``classes`` or ``objects``: what the annotations number; or ``images``, if they are images to draw."""
    notes: Sequence[str]
    """What a person should know of how files were read and divided."""
    target: str = "classes"
    """What the network learns: ``classes``, of objects one of `biounet.data.targets.TARGETS`, or ``image``."""
    normalization: Normalization | None = None
    """How all images were normalised, if with the statistics of the training set; else each by its own."""
    target_normalization: Normalization | None = None
    """How images to draw are normalised."""

    @cached_property
    def surveys(self) -> tuple[Survey, ...]:
        """What there is to know of the training images before the first step; each is read once for it."""
        if not isinstance(self.train, OnDemand):
            return tuple(item.survey for item in self.train)
        return tuple(survey_of(name, self.bands(number)) for number, name in enumerate(self.train.names))

    def bands(self, number: int) -> Iterator[tuple[Item, slice]]:
        """A training image in bands that follow each other along Y: one, unless memory has no room for all of it.

        Each comes with what lies around it, and which of its rows are those of the band.
        """
        if isinstance(self.train, OnDemand):
            yield from self.train.bands(number)
        else:
            yield self.train[number], slice(None)

    @cached_property
    def classes(self) -> int:
        """Number of classes to predict, background included; or of the channels of the images to draw."""
        if self.kind == "images":
            return len(self.train[0].labels)
        surveys = (*self.surveys, *(item.survey for item in self.validation))
        return max(least_classes(self.target), *(survey.classes for survey in surveys))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Training pixels that are unknown, and of each class; (1 + classes,)."""
        return total_counts(self.surveys, self.classes)

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share of the training pixels that are unknown, and that each class holds; (1 + classes,)."""
        shares: NDArray[np.float64] = self.counts / self.counts.sum()
        return shares

    def objects(self, item: Item) -> NDArray[Any]:
        """Numbered objects of an item: as annotated, or the parts of the foreground that hang together."""
        return item.labels if self.kind == "objects" else label_objects(item.target > 0).astype(np.int32)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return self.surveys[0].shape[0]

    @property
    def largest(self) -> tuple[int, ...]:
        """Pixels per spatial axis of the largest training image."""
        return tuple(int(size) for size in np.max([survey.shape[1:] for survey in self.surveys], axis=0))

    @property
    def trained_on(self) -> list[str]:
        """Names of the training images."""
        return [survey.name for survey in self.surveys]

    def part(self, which: slice) -> "TrainingData":
        """The same with some of the training images, none of which is read for it."""
        chosen = replace(self, train=self.train[which])
        vars(chosen)["surveys"] = self.surveys[which]  # as the cached property would
        return chosen

    def excerpt(self) -> tuple["TrainingData", float]:
        """The same with one training image that has labels, or a band of it; and the share of its rows that were read.

        Nothing is read of the others.
        """
        first = next((number for number, survey in enumerate(self.surveys) if survey.counts[1:].any()), 0)
        looked_at = 0
        for item, rows in self.bands(first):
            part = item.cropped(rows)
            looked_at += part.target.shape[-2]
            if (part.target >= 0).any():
                break
        chosen = replace(self, train=OnDemand([part.name], lambda _: part))
        return chosen, looked_at / self.surveys[first].shape[-2]


def load_training_data(
    dataset: Path,
    normalization: Normalization,
    *,
    validation: float | str,
    target: str = "auto",
    silver: bool = False,
    memory: float = inf,
    pixels: float = inf,
) -> TrainingData:
    """Read annotated images and divide them into training and validation.

    Parameters
    ----------
    dataset : Path
    normalization : Normalization
    validation : a fraction to hold out, or another dataset
    target : auto, paper, classes, one of `biounet.data.targets.TARGETS`, or image
        What labels mean. ``auto`` and ``paper`` believe the layout of the dataset.
    silver : bool
        Whether computer-made annotations count, where the layout has them.
    memory : bytes
        That the images may take, images to draw left out. Where they would take more, those to train on are read
        whenever they are asked for, in bands where one alone has no room.
    pixels : int
        Of those held out so many are taken, see `biounet.data.subset.choose_validated`.

    Raises
    ------
    DatasetError, ImageError, LabelError, ShapeError
        One line each, naming the file.
    """
    held = divide_dataset(dataset, validation=validation, target=target, silver=silver, pixels=pixels)
    return read_divided(held, normalization, memory=memory)


def read_divided(divided: Divided, normalization: Normalization, *, memory: float = inf) -> TrainingData:
    """Read annotated images that were divided into training and validation.

    Parameters and errors are those of `load_training_data`.
    """
    target, train, held_out = divided.target, divided.train, divided.held_out
    if target == "image":
        return _load_images(divided, normalization)
    kind = "classes" if target == "classes" else "objects"
    reader, said = ItemReader(normalization, target), fit_memory(train, held_out, memory=memory, target=target)
    if said:
        rows = rows_together(train, held_out, memory=memory, target=target)
        read: Sequence[Item] = reader.on_demand(divided.dataset, train, rows)
    else:
        read = [reader.read(divided.dataset, pair) for pair in train]
    validated = [reader.read(divided.other, pair) for pair in held_out]
    return TrainingData(read, validated, kind, [*divided.notes, *said], target)


def _load_images(divided: Divided, normalization: Normalization) -> TrainingData:
    """Read images and those to draw of them, both normalised with the statistics of the training set.

    Each by its own statistics would not do: of an image that is twice as bright, one twice as bright is to be drawn.
    """
    parts = (divided.dataset, divided.train), (divided.other, divided.held_out)
    read = [[(pair, *dataset.load(pair)) for pair in pairs] for dataset, pairs in parts]
    of_images = normalization.fitted([image for _, image, _ in read[0]])
    of_targets = Normalization().fitted([target for _, _, target in read[0]])
    train, held_out = (
        [
            Item(
                pair.name,
                of_images.apply(image),
                target,
                np.zeros(image.shape[1:], np.int64),
                pair.spacing,
            )
            for pair, image, target in part
        ]
        for part in read
    )
    said = [
        *divided.notes,
        "targets are images: what is left open is the loss l1, and no change of light in augmentation",
    ]
    return TrainingData(train, held_out, "images", said, "image", of_images, of_targets)
