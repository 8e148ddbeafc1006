"""Cross-validation: which images each fold holds out, and the table of its scores."""

import math
from collections.abc import Iterator
from pathlib import Path

from biounet.config import RunConfig
from biounet.core.errors import LabelError
from biounet.data import folds
from biounet.data.normalize import Normalization
from biounet.data.patches import UNLABELLED
from biounet.data.split import DatasetSplit
from biounet.data.training_set import TrainingSet, read_split
from biounet.training.prepare import prepare_split, split_by_settings

__all__ = ["fold_data", "of_one_fold", "read_folds"]


def of_one_fold(settings: RunConfig, count: int) -> RunConfig:
    """Settings of one fold: its share of the minutes, and no share of the images held out besides the fold itself."""
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
    """Training sets of the folds, each image held out by one of them; neighbours in a stack stay together.

    Target images are normalised by the statistics of those that the fold learns from.

    Parameters
    ----------
    dataset_split : DatasetSplit
        What `data` were read from, with nothing held out.
    data : TrainingSet
        Folds share its images: they are read once where memory holds them, and their statistics computed once.
    normalization : Normalization
        As `data` were read.
    count : int
    memory : bytes
        That the images of a fold may take, see `biounet.data.training_set.read_split`.
    pixels : int
        Most pixels of a fold to validate on, see `biounet.data.subset.choose_validated`.

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
    known = data.train if data.task.has_labels else ()  # target images are read again, and not held meanwhile
    return (read_split(part, normalization, memory=memory, known=known) for part in parts)


def read_folds(
    dataset: Path, settings: RunConfig, count: int, *, memory: float
) -> tuple[RunConfig, Iterator[TrainingSet], Normalization, dict[str, str]]:
    """Complete settings, training sets of the folds, normalisation, and the reasons of the settings.

    They are what `biounet.training.prepare.prepare` returns, with the folds in place of one training set.
    """
    dataset_split = split_by_settings(dataset, settings)
    config, data, normalization, reasons = prepare_split(dataset_split, settings, memory=memory)
    pixels = config.train.validation_pixels
    return (
        config,
        fold_data(dataset_split, data, normalization, count, memory=memory, pixels=pixels),
        normalization,
        reasons,
    )
