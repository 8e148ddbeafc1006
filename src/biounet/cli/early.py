"""Checks of what a command was given that need neither torch nor an image: they answer at once."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from biounet.config import ARCHITECTURES, RunConfig
from biounet.config.shipped import SHIPPED, model_file
from biounet.config.tasks import TASKS
from biounet.core.errors import BiounetError, ConfigError, DatasetError, ModelFileError
from biounet.core.places import check_input, check_output
from biounet.core.suggestions import did_you_mean
from biounet.io.inner_path import split_inner

__all__ = [
    "check_crossed",
    "check_dataset",
    "check_files",
    "check_model",
    "check_names",
    "check_output",
    "dataset_path",
    "start_of",
]


def check_names(settings: RunConfig) -> None:
    """Refuse architectures and losses that do not exist.

    Raises
    ------
    ConfigError
    """
    losses = dict.fromkeys(loss for task in TASKS.values() for loss in task.losses)
    for setting, given, known in (
        ("model", settings.model.name, ARCHITECTURES),
        ("train.loss", settings.train.loss, losses),
    ):
        if given not in known:
            meant = did_you_mean(given, known)
            raise ConfigError(f"{setting} must be one of {', '.join(known)}, got {given!r}{meant and f'; {meant}'}")


def check_dataset(dataset: Path) -> None:
    """Refuse a dataset that is not there; of two paths with a comma between them one is enough to go on.

    Raises
    ------
    DatasetError
    """
    if "," not in str(dataset):
        check_input(_file_of(dataset), DatasetError, what="folder")


def dataset_path(dataset: Path | None, images: Path | None, labels: Path | None) -> Path:
    """The path of a dataset, or of two folders, see `biounet.data.layouts.dataset_path`.

    Raises
    ------
    DatasetError
    """
    if dataset is not None and images is None and labels is None:
        return dataset
    from biounet.data import layouts

    path: Path = layouts.dataset_path(dataset, images, labels)
    return path


def check_model(model: Path) -> None:
    """Refuse a model that is not there.

    Raises
    ------
    ModelFileError
    """
    if os.path.lexists(model) and str(model) not in SHIPPED:
        check_input(model, ModelFileError, what="model file")
    else:
        model_file(model)


def check_crossed(crossed: bool, also: Path | None, *longer: float | None) -> None:
    """Refuse what a cross-validation cannot do: learn from a second dataset, or go on for longer.

    Raises
    ------
    ConfigError
    """
    if crossed and also is not None:
        raise ConfigError("--folds takes the images of one dataset; leave out --also")
    if crossed and any(budget is not None for budget in longer):
        raise ConfigError("a cross-validation cannot be made longer; leave out --minutes and --steps")


def start_of(model: str | None) -> dict[str, Any]:
    """Settings of the model that training begins with; none for random weights.

    Raises
    ------
    ConfigError, ModelFileError
        As of `biounet.training.starting_model.StartingModel`.
    """
    if model is None:
        return {}
    check_model(Path(model))
    from biounet.training.starting_model import StartingModel

    return StartingModel.of(model).settings


def check_files(paths: Iterable[Path | None], error: type[BiounetError]) -> None:
    """Refuse files and folders that are not there, but for names of several files, as in ``CASE_????.tif``.

    Raises
    ------
    error
    """
    for path in paths:
        if path is not None and "?" not in path.name:
            check_input(_file_of(path), error, what="file or folder")


def _file_of(path: Path) -> Path:
    """The file on the disk that a path goes into, as ``cells.h5:/raw`` does."""
    return split_inner(path)[0]
