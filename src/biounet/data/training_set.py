"""Images, targets and labels of a dataset, normalised and divided into training and validation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config.tasks import TASKS, Task, task_of
from biounet.core.components import label_objects
from biounet.core.problems import Problems
from biounet.data.annotated_image import AnnotatedFile, AnnotatedImage, AnnotatedImageReader, AnnotatedSource
from biounet.data.dataset import Dataset, Pair
from biounet.data.learnt_images import LearntImages
from biounet.data.measure_learnt import measure_learnt
from biounet.data.normalize import Normalization
from biounet.data.out_of_core import SIZES, StripSizes, fit_memory, memory_for_strips
from biounet.data.split import DatasetSplit
from biounet.data.statistics import ImageStatistics, median_spacing, total_counts
from biounet.data.targets import least_classes

__all__ = ["AnnotatedImage", "TrainingSet", "read_all", "read_split"]


@dataclass(frozen=True)
class TrainingSet:
    """Annotated images to train on, in memory or in files, and others, in memory, to validate on."""

    train: Sequence[AnnotatedSource]
    validation: Sequence[AnnotatedImage]
    kind: str
    """A key of `biounet.config.tasks.TASKS`."""
    notes: Sequence[str]
    """What a person should know of how files were read and divided."""
    target: str = "classes"
    """What the network learns: ``classes``, of objects one of `biounet.data.targets.TARGETS`, or ``image``."""
    normalization: Normalization | None = None
    """How all images were normalised, if with the statistics of the training set; otherwise each image has its own."""
    target_normalization: Normalization | None = None
    """How target images are normalised."""
    files: frozenset[Path] = frozenset()
    """Files of all images and labels of the dataset, also of those that are not used."""
    further: int = 0
    """Number of images to train on, the last ones, that are of another dataset, see `TrainConfig.also`."""

    @property
    def task(self) -> Task:
        """What the network is trained for."""
        return TASKS[self.kind]

    @property
    def in_memory(self) -> bool:
        """Whether all images to train on lie in memory."""
        return all(image.in_memory for image in self.train)

    @cached_property
    def statistics(self) -> tuple[ImageStatistics, ...]:
        """Size, hashes and class counts of each training image; images in files are read once for them."""
        return tuple(image.statistics for image in self.train)

    @cached_property
    def classes(self) -> int:
        """Number of classes to predict, background included; or of the channels of the target images."""
        if not self.task.has_labels:
            return len(self.train[0].read().labels)
        statistics = (*self.statistics, *(image.statistics for image in self.validation))
        return max(least_classes(self.target), *(image.classes for image in statistics))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Training pixels that are unknown, and of each class; (1 + classes,)."""
        return total_counts(self.statistics, self.classes)

    @cached_property
    def learnt(self) -> LearntImages:
        """Size of the objects, and looks, of the training images; images in files are read once for them."""
        return measure_learnt(self.train, numbered=self.task.numbered)

    def remembered(self, *, magnified: float) -> dict[str, Any]:
        """Pixel size and `learnt` for the model file, of images that are magnified by a factor at most."""
        spacing = median_spacing([image.spacing for image in self.train])
        return {"spacing": spacing, "learnt": self.learnt.model_copy(update={"magnified": magnified})}

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share of the training pixels that are unknown, and of each class; (1 + classes,)."""
        shares: NDArray[np.float64] = self.counts / self.counts.sum()
        return shares

    def objects(self, image: AnnotatedImage) -> NDArray[Any]:
        """Numbered objects of an image: as annotated, or the connected components of the foreground."""
        return image.labels if self.task.numbered else label_objects(image.target > 0).astype(np.int32)

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
        """The same set with some of the training images, none of which is read for it."""
        return replace(self, train=self.train[which])

    def excerpt(self) -> tuple["TrainingSet", float]:
        """A set to measure on what preparing all training images takes, and the share of all that was read for it.

        Where memory holds the images, it is the whole set. Otherwise it has one training image, or one strip of one,
        with labels; only this image is read, as far as that strip.
        """
        if self.in_memory:
            return self, 1.0
        first = next((number for number, image in enumerate(self.statistics) if image.counts[1:].any()), 0)
        rows_read = 0
        for image, rows in self.train[first].strips():
            part = image.cropped(rows)
            rows_read += part.target.shape[-2]
            if (part.target >= 0).any():
                break
        return replace(self, train=(part,)), rows_read / self.statistics[first].shape[-2] / len(self.train)


def read_split(
    dataset_split: DatasetSplit,
    normalization: Normalization,
    *,
    memory: float = inf,
    known: Sequence[AnnotatedSource] = (),
    sizes: StripSizes = SIZES,
) -> TrainingSet:
    """Read annotated images that were divided into training and validation.

    Parameters
    ----------
    dataset_split : DatasetSplit
    normalization : Normalization
    memory : bytes
        That images may take. Where they would take more, images to train on stay in files and are read when needed,
        large ones in strips. Target images are always read into memory.
    sizes : StripSizes
        Which images are divided into strips.
    known : images of the same dataset, opened before with the same normalisation and target
        What is in memory of them is not read again, nor are their statistics computed again. Target images are read
        again, because the images to train on normalise them.

    Raises
    ------
    DatasetError, ImageError, LabelError, ShapeError
        One line each, naming the file.
    """
    target, held_out = dataset_split.target, dataset_split.held_out
    task = task_of(target)
    if not task.has_labels:
        return _load_images(dataset_split, normalization)
    reader = AnnotatedImageReader(normalization, target, sizes=sizes)
    by_name = {image.name: image for image in known}

    def find(dataset: Dataset, pair: Pair) -> AnnotatedSource:
        return by_name.get(pair.name) or AnnotatedFile(reader, dataset, pair)

    train: list[AnnotatedSource] = [find(dataset_split.dataset, pair) for pair in dataset_split.train]
    notes, of_memory = _tell_pixel_sizes(dataset_split.train), list[str]()
    if not all(image.in_memory for image in train):
        of_memory = fit_memory(dataset_split.train, held_out, memory=memory, target=target, sizes=sizes)
        left = memory_for_strips(held_out, memory=memory, target=target)
        train = [image.within(left) for image in train] if of_memory else list(read_all(train))
    validation = read_all([find(dataset_split.other, pair) for pair in held_out])
    told = [*dataset_split.notes, *notes, *of_memory]
    pairs = (*dataset_split.dataset.pairs, *dataset_split.other.pairs, *dataset_split.train)
    files = {file.resolve() for pair in pairs for file in (pair.image, *pair.labels)}
    return TrainingSet(
        train, validation, task.name, told, target, files=frozenset(files), further=dataset_split.further
    )


def _tell_pixel_sizes(pairs: Sequence[Pair]) -> list[str]:
    """Note on images whose pixels differ in size along Y or X by more than 1 %; empty if they agree or are unknown."""
    known = {pair.spacing[-2:]: pair.image.name for pair in pairs if pair.spacing is not None}
    if not known or all(np.allclose(size, next(iter(known)), rtol=0.01) for size in known):
        return []
    least, most = min(known), max(known)
    told = [f"{' x '.join(f'{step:.3g}' for step in size)} um in {known[size]}" for size in (least, most)]
    return [
        f"pixels differ in size: {' and '.join(told)}; the network learns from both as they are, so scale the images "
        "to one size if objects of one kind should look alike"
    ]


def read_all(sources: Sequence[AnnotatedSource]) -> list[AnnotatedImage]:
    """Read images into memory, past those that cannot be read.

    Raises
    ------
    BiounetError
        At the end, for all of these.
    """
    problems, images = Problems(), []
    for source in sources:
        with problems.noting():
            images.append(source.read())
    problems.finish("images")
    return images


def _load_images(dataset_split: DatasetSplit, normalization: Normalization) -> TrainingSet:
    """Images and their target images, both normalised with the statistics of the training set.

    The statistics of each image would not do: they hide that an image, and its target image, is twice as bright.
    """
    parts = (dataset_split.dataset, dataset_split.train), (dataset_split.other, dataset_split.held_out)
    read = [[(pair, *dataset.load(pair)) for pair in pairs] for dataset, pairs in parts]
    of_images = normalization.fitted([image for _, image, _ in read[0]])
    of_targets = Normalization().fitted([target for _, _, target in read[0]])

    def annotated(pair: Pair, image: NDArray[Any], target: NDArray[Any]) -> AnnotatedImage:
        classes = np.zeros(image.shape[1:], np.int64)
        return AnnotatedImage(pair.name, of_images.apply(image), target, classes, pair.spacing)

    train, held_out = ([annotated(*loaded) for loaded in part] for part in read)
    note = "targets are images: what is left open is the loss l1, and no change of light in augmentation"
    return TrainingSet(train, held_out, "images", [*dataset_split.notes, note], "image", of_images, of_targets)
