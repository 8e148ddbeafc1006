"""From a dataset and settings to a run that is ready to be trained: images split and normalised, settings complete."""

import time
from pathlib import Path
from typing import Any

from biounet.config import RunConfig, TrainConfig
from biounet.core.errors import ConfigError
from biounet.core.memory import machine_bytes
from biounet.data.further_images import with_further_images
from biounet.data.normalize import NORMALIZATIONS, Normalization
from biounet.data.split import DatasetSplit, split_dataset
from biounet.data.training_set import TrainingSet, read_split
from biounet.models.pretrained import check_model
from biounet.models.transfer import plan_transfer
from biounet.training.auto_settings import choose_normalization
from biounet.training.distributed import all_reduce_min, local_size, make_fabric
from biounet.training.losses import LOSSES, check_loss
from biounet.training.run import TrainingRun, selection_of
from biounet.training.run_folder import check_place
from biounet.training.starting_model import starting_model

__all__ = ["begin_run", "check_settings", "fit_to_data", "prepare", "prepare_split", "room", "split_by_settings"]


def begin_run(
    dataset: Path,
    folder: Path,
    settings: RunConfig,
    *,
    device: str = "auto",
    began: float | None = None,
    resume: bool | None = None,
) -> TrainingRun:
    """Read a dataset for a run in a folder; nothing is written.

    Parameters
    ----------
    dataset : Path
    folder : Path
        Of the run.
    settings : RunConfig
        What the images and labels say is added.
    device : auto, cpu, cuda or cuda:N
    began : seconds of `time.monotonic`
        When the minutes of the budget began to count; now, if not given.
    resume : bool
        Whether the run is to go on in the folder; if given, it is checked that the folder can take it, before images
        are read.
    """
    began = time.monotonic() if began is None else began
    fabric = make_fabric(device, settings.train.precision)
    if resume is not None and fabric.global_rank == 0:
        check_place(folder, resume=resume)
    # Either all processes hold the images or none, or some would wait for files that others do not write.
    memory = all_reduce_min(fabric, room(settings.train))
    config, data, normalization, reasons = prepare(dataset, settings, memory=memory)
    return TrainingRun(config, data, normalization, folder, fabric, began, reasons)


def fit_to_data(config: RunConfig, data: TrainingSet) -> RunConfig:
    """Settings completed by the data, with dimensions, channels and classes, and by the task.

    Raises
    ------
    ConfigError
        If one of them was set by hand to something else, or the loss does not suit the task.
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
    """Refuse, before any image is read, an unknown loss or network, and weights to begin with that do not fit."""
    check_model(settings.model)
    start = starting_model(settings.train)
    if start is not None:
        plan_transfer(start.card.model, settings.model.model_copy(update={"dims": start.card.model.dims}))
    if settings.train.loss not in LOSSES:
        raise ConfigError(f"train.loss must be one of {', '.join(LOSSES)}, got {settings.train.loss!r}")


def split_by_settings(dataset: Path, settings: RunConfig) -> DatasetSplit:
    """A dataset, found and split into images to train on and images to validate on, with those of ``train.also``."""
    train = settings.train
    divided = split_dataset(
        dataset,
        validation=train.validation,
        target=train.target,
        silver=train.silver,
        ignore_value=train.ignore_value,
        pixels=train.validation_pixels,
        selection=selection_of(train),
    )
    if train.also is None:
        return divided
    return with_further_images(divided, Path(train.also), silver=train.silver, ignore_value=train.ignore_value)


def prepare(
    dataset: Path, settings: RunConfig, *, memory: float | None = None
) -> tuple[RunConfig, TrainingSet, Normalization, dict[str, str]]:
    """Images and complete settings of a dataset, see `prepare_split`; `memory` in bytes, else the `room` there is."""
    memory = room(settings.train) if memory is None else memory
    return prepare_split(split_by_settings(dataset, settings), settings, memory=memory)


def prepare_split(
    dataset_split: DatasetSplit, settings: RunConfig, *, memory: float
) -> tuple[RunConfig, TrainingSet, Normalization, dict[str, str]]:
    """Images of a split, read into memory if `memory` bytes hold them, and the settings completed by the images.

    Returns
    -------
    settings, images, normalisation, reasons
        Why the normalisation was chosen, by setting, if the settings left that open.
    """
    train, start = settings.train, starting_model(settings.train)
    if start is not None:
        start.check_images(dataset_split.train[0].shape, dataset_split.target)
    before = "z-score" if "train.normalization" in train.auto else train.normalization
    data = read_split(dataset_split, NORMALIZATIONS[before], memory=memory)
    if start is not None:
        start.check_classes(data.classes, data.task, train.class_names)
    settings = _named(settings, dataset_split.dataset.class_names, data)
    settings, reasons = choose_normalization(settings, data)
    normalization = NORMALIZATIONS[settings.train.normalization]
    if settings.train.normalization != before:
        del data  # memory may not hold the images twice
        data = read_split(dataset_split, normalization, memory=memory)
    return fit_to_data(settings, data), data, normalization, reasons


def _named(settings: RunConfig, names: tuple[str, ...], data: TrainingSet) -> RunConfig:
    """Settings with the names of the classes: those given, or those of the dataset, with one for the background.

    A dataset may name further classes, which no label has.

    Raises
    ------
    ConfigError
        If there are fewer names than classes, or more of those given.
    """
    given = settings.train.class_names
    chosen = given or names
    if not data.task.has_classes or not chosen:
        return settings
    if len(chosen) == data.classes - 1 and "background" not in chosen:
        chosen = ("background", *chosen)
    if len(chosen) < data.classes or len(given) > data.classes:
        where = "--classes (train.class_names)" if given else "the dataset"
        raise ConfigError(
            f"{where} names {len(chosen)} classes, the labels have {data.classes}, background included; name all of "
            "them by --classes A,B,.."
        )
    return settings.updated({"train.class_names": chosen[: data.classes]})


def room(train: TrainConfig) -> float:
    """Bytes that images may take in this process; the processes of a machine share its memory."""
    return train.memory * machine_bytes() / local_size()
