"""From a dataset on disk to what training needs: normalised images, targets, weights, and a fitting config."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config.tasks import TASKS, Task, task_of
from biounet.core.components import label_objects
from biounet.data.annotated_image import AnnotatedImage, AnnotatedImageReader, statistics_of
from biounet.data.normalize import Normalization
from biounet.data.out_of_core import LazySequence, fit_memory, rows_together
from biounet.data.split import DatasetSplit, split_dataset
from biounet.data.statistics import ImageStatistics, total_counts
from biounet.data.targets import least_classes

__all__ = ["AnnotatedImage", "TrainingSet", "load_training_set", "read_split"]


@dataclass(frozen=True)
class TrainingSet:
    """Items to train on and items to validate on, which share no image."""

    train: Sequence[AnnotatedImage]
    validation: Sequence[AnnotatedImage]
    kind: str
    """A key of `biounet.config.tasks.TASKS`."""
    notes: Sequence[str]
    """What a person should know of how files were read and divided."""
    target: str = "classes"
    """What the network learns: ``classes``, of objects one of `biounet.data.targets.TARGETS`, or ``image``."""
    normalization: Normalization | None = None
    """How all images were normalised, if with the statistics of the training set; else each by its own."""
    target_normalization: Normalization | None = None
    """How images to draw are normalised."""

    @property
    def task(self) -> Task:
        """What the network is trained for."""
        return TASKS[self.kind]

    @cached_property
    def statistics(self) -> tuple[ImageStatistics, ...]:
        """What there is to know of the training images before the first step; each is read once for it."""
        if not isinstance(self.train, LazySequence):
            return tuple(item.statistics for item in self.train)
        return tuple(statistics_of(name, self.bands(number)) for number, name in enumerate(self.train.names))

    def bands(self, number: int) -> Iterator[tuple[AnnotatedImage, slice]]:
        """A training image in bands that follow each other along Y: one, unless memory has no room for all of it.

        Each comes with what lies around it, and which of its rows are those of the band.
        """
        if isinstance(self.train, LazySequence):
            yield from self.train.bands(number)
        else:
            yield self.train[number], slice(None)

    @cached_property
    def classes(self) -> int:
        """Number of classes to predict, background included; or of the channels of the images to draw."""
        if not self.task.has_labels:
            return len(self.train[0].labels)
        statistics = (*self.statistics, *(item.statistics for item in self.validation))
        return max(least_classes(self.target), *(image.classes for image in statistics))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Training pixels that are unknown, and of each class; (1 + classes,)."""
        return total_counts(self.statistics, self.classes)

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share of the training pixels that are unknown, and that each class holds; (1 + classes,)."""
        shares: NDArray[np.float64] = self.counts / self.counts.sum()
        return shares

    def objects(self, item: AnnotatedImage) -> NDArray[Any]:
        """Numbered objects of an item: as annotated, or the parts of the foreground that hang together."""
        return item.labels if self.task.numbered else label_objects(item.target > 0).astype(np.int32)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return self.statistics[0].shape[0]

    @property
    def largest(self) -> tuple[int, ...]:
        """Pixels per spatial axis of the largest training image."""
        return tuple(int(size) for size in np.max([image.shape[1:] for image in self.statistics], axis=0))

    @property
    def trained_on(self) -> list[str]:
        """Names of the training images."""
        return [image.name for image in self.statistics]

    def part(self, which: slice) -> "TrainingSet":
        """The same with some of the training images, none of which is read for it."""
        chosen = replace(self, train=self.train[which])
        vars(chosen)["statistics"] = self.statistics[which]  # as the cached property would
        return chosen

    def excerpt(self) -> tuple["TrainingSet", float]:
        """The same with one training image that has labels, or a band of it; and the share of its rows that were read.

        Nothing is read of the others.
        """
        first = next((number for number, image in enumerate(self.statistics) if image.counts[1:].any()), 0)
        looked_at = 0
        for item, rows in self.bands(first):
            part = item.cropped(rows)
            looked_at += part.target.shape[-2]
            if (part.target >= 0).any():
                break
        chosen = replace(self, train=LazySequence([part.name], lambda _: part))
        return chosen, looked_at / self.statistics[first].shape[-2]


def load_training_set(
    dataset: Path,
    normalization: Normalization,
    *,
    validation: float | str,
    target: str = "auto",
    silver: bool = False,
    memory: float = inf,
    pixels: float = inf,
) -> TrainingSet:
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
    held = split_dataset(dataset, validation=validation, target=target, silver=silver, pixels=pixels)
    return read_split(held, normalization, memory=memory)


def read_split(dataset_split: DatasetSplit, normalization: Normalization, *, memory: float = inf) -> TrainingSet:
    """Read annotated images that were divided into training and validation.

    Parameters and errors are those of `load_training_set`.
    """
    target, train, held_out = dataset_split.target, dataset_split.train, dataset_split.held_out
    task = task_of(target)
    if not task.has_labels:
        return _load_images(dataset_split, normalization)
    reader, said = (
        AnnotatedImageReader(normalization, target),
        fit_memory(train, held_out, memory=memory, target=target),
    )
    if said:
        rows = rows_together(train, held_out, memory=memory, target=target)
        read: Sequence[AnnotatedImage] = reader.on_demand(dataset_split.dataset, train, rows)
    else:
        read = [reader.read(dataset_split.dataset, pair) for pair in train]
    validated = [reader.read(dataset_split.other, pair) for pair in held_out]
    return TrainingSet(read, validated, task.name, [*dataset_split.notes, *said], target)


def _load_images(dataset_split: DatasetSplit, normalization: Normalization) -> TrainingSet:
    """Read images and those to draw of them, both normalised with the statistics of the training set.

    Each by its own statistics would not do: of an image that is twice as bright, one twice as bright is to be drawn.
    """
    parts = (dataset_split.dataset, dataset_split.train), (dataset_split.other, dataset_split.held_out)
    read = [[(pair, *dataset.load(pair)) for pair in pairs] for dataset, pairs in parts]
    of_images = normalization.fitted([image for _, image, _ in read[0]])
    of_targets = Normalization().fitted([target for _, _, target in read[0]])
    train, held_out = (
        [
            AnnotatedImage(
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
        *dataset_split.notes,
        "targets are images: what is left open is the loss l1, and no change of light in augmentation",
    ]
    return TrainingSet(train, held_out, "images", said, "image", of_images, of_targets)
