"""Cross-validation: which images each fold holds out, and the table of its scores."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from biounet.config import RunConfig
from biounet.core.errors import LabelError
from biounet.data import folds
from biounet.data.annotated_image import AnnotatedImageReader
from biounet.data.normalize import Normalization
from biounet.data.out_of_core import LazySequence
from biounet.data.patches import UNLABELLED
from biounet.data.split import DatasetSplit
from biounet.data.training_set import TrainingSet, read_split
from biounet.training.prepare import prepare_split, split_by_settings

__all__ = ["fold_data", "of_one_fold", "read_folds"]


def of_one_fold(settings: RunConfig, count: int) -> RunConfig:
    """Settings of one of so many runs: its share of the minutes, and no images held out but those of its fold."""
    minutes = settings.train.minutes
    return settings.updated({"train.validation": 0.0, "train.minutes": minutes and minutes / count})


def fold_data(
    dataset_split: DatasetSplit,
    data: TrainingSet,
    normalization: Normalization,
    count: int,
    *,
    memory: float = math.inf,
    pixels: float = math.inf,
) -> Iterator[TrainingSet]:
    """Divide images anew, so that each is held out once; neighbours in a stack stay together.

    Images to draw are normalised by the statistics of those that the fold learns from.

    Parameters
    ----------
    dataset_split : DatasetSplit
        What `data` were read from, with nothing held out.
    data : TrainingSet
        If memory holds them, folds share them; else each fold reads its own, and none holds those of another.
    normalization : Normalization
        The one that `data` were read with.
    count : int
    memory : bytes
        That the images of a fold may take, see `biounet.data.training_set.load_training_set`.
    pixels : int
        Of those held out so many are taken, see `biounet.data.subset.choose_validated`.

    Raises
    ------
    LabelError
        If a fold has no labels to learn from.
    """
    splits = folds(dataset_split.dataset, count)
    labelled = {image.name for image in data.statistics if image.counts[1:].any()}
    if any(labelled <= {pair.name for pair in split.validation} for split in splits):
        raise LabelError(UNLABELLED)
    parts = (dataset_split.anew(split, pixels=pixels) for split in splits)
    if not data.task.has_labels or isinstance(data.train, LazySequence):
        return (read_split(part, normalization, memory=memory) for part in parts)
    reader = AnnotatedImageReader(normalization, data.target)
    return (_of_fold(part, data, reader) for part in parts)


def _of_fold(part: DatasetSplit, data: TrainingSet, reader: AnnotatedImageReader) -> TrainingSet:
    """Images of one fold, of all in memory; parts of those held out are read where these are too large."""
    here = {item.name: item for item in data.train}
    train = [here[pair.name] for pair in part.train]
    validation = [here[pair.name] if pair.name in here else reader.read(part.other, pair) for pair in part.held_out]
    return replace(data, train=train, validation=validation, notes=part.notes)


def read_folds(
    dataset: Path, settings: RunConfig, count: int, *, memory: float
) -> tuple[RunConfig, Iterator[TrainingSet], Normalization, dict[str, str]]:
    """Read a dataset and divide it, and complete the settings as `biounet.training.prepare.prepare` does."""
    dataset_split = split_by_settings(dataset, settings)
    config, data, normalization, reasons = prepare_split(dataset_split, settings, memory=memory)
    pixels = config.train.validation_pixels
    return (
        config,
        fold_data(dataset_split, data, normalization, count, memory=memory, pixels=pixels),
        normalization,
        reasons,
    )
