"""From a dataset and settings to what training begins with: split, normalised, complete."""

from pathlib import Path
from typing import Any

from biounet.config import RunConfig, TrainConfig
from biounet.core.errors import ConfigError
from biounet.core.memory import machine_bytes
from biounet.data.normalize import NORMALIZATIONS, Normalization
from biounet.data.split import DatasetSplit, split_dataset
from biounet.data.training_set import TrainingSet, read_split
from biounet.models.pretrained import check_model
from biounet.training.auto_settings import choose_normalization
from biounet.training.distributed import local_size
from biounet.training.losses import LOSSES, check_loss

__all__ = ["check_settings", "fit_to_data", "prepare", "prepare_split", "split_by_settings"]


def fit_to_data(config: RunConfig, data: TrainingSet) -> RunConfig:
    """Complete the settings with what the data say: dimensions, channels, classes; and with what follows from the task.

    Raises
    ------
    ConfigError
        If they were set by hand to something else, or the loss is not one for the data.
    """
    facts = {"dims": len(data.largest), "in_channels": data.channels, "classes": data.classes}
    for name, value in facts.items():
        if name in config.model.model_fields_set and getattr(config.model, name) != value:
            given = getattr(config.model, name)
            raise ConfigError(f"model.{name} is set to {given}, the images and labels have {value}; leave it out")
    changes: dict[str, Any] = {f"model.{name}": value for name, value in facts.items()}
    changes |= {name: value for name, value in data.task.settings.items() if name in config.train.auto}
    config = config.updated(changes)
    check_loss(config.train.loss, data.task)
    return config


def check_settings(settings: RunConfig) -> None:
    """Refuse, before any image is read, what no image puts right: names, networks, weights to begin with."""
    check_model(settings.model)
    if settings.train.loss not in LOSSES:
        raise ConfigError(f"train.loss must be one of {', '.join(LOSSES)}, got {settings.train.loss!r}")


def split_by_settings(dataset: Path, settings: RunConfig) -> DatasetSplit:
    """Find a dataset and divide it as the settings say."""
    train = settings.train
    return split_dataset(
        dataset,
        validation=train.validation,
        target=train.target,
        silver=train.silver,
        pixels=train.validation_pixels,
    )


def prepare(
    dataset: Path, settings: RunConfig, *, memory: float | None = None
) -> tuple[RunConfig, TrainingSet, Normalization, dict[str, str]]:
    """Find, divide and read a dataset, see `prepare_split`; without `memory`, into the `room` there is."""
    memory = room(settings.train) if memory is None else memory
    return prepare_split(split_by_settings(dataset, settings), settings, memory=memory)


def prepare_split(
    dataset_split: DatasetSplit, settings: RunConfig, *, memory: float
) -> tuple[RunConfig, TrainingSet, Normalization, dict[str, str]]:
    """Read images, into `memory` in bytes if it holds them, and complete the settings with what they hold.

    Returns also how images are normalised, and why, if that was left open.
    """
    train = settings.train
    before = "z-score" if "train.normalization" in train.auto else train.normalization
    data = read_split(dataset_split, NORMALIZATIONS[before], memory=memory)
    settings, reasons = choose_normalization(settings, data)
    normalization = NORMALIZATIONS[settings.train.normalization]
    if settings.train.normalization != before:
        del data  # memory may not hold the images twice
        data = read_split(dataset_split, normalization, memory=memory)
    return fit_to_data(settings, data), data, normalization, reasons


def room(train: TrainConfig) -> float:
    """Bytes that images may take in this process, which shares the memory with the others on its machine."""
    return train.memory * machine_bytes() / local_size()
