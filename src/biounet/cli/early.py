"""Checks of what a command was given that need neither torch nor an image: they answer at once."""

import os
from collections.abc import Iterable
from pathlib import Path

from biounet.config import ARCHITECTURES, RunConfig
from biounet.config.tasks import TASKS
from biounet.core.errors import BiounetError, ConfigError, DatasetError, ModelFileError
from biounet.core.places import check_input, check_output
from biounet.core.suggestions import did_you_mean
from biounet.io.inner_path import split_inner

__all__ = ["check_dataset", "check_files", "check_model", "check_names", "check_output", "dataset_path"]


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
    if not os.path.lexists(model):
        raise ModelFileError(f"{model} is missing; give a model file (.safetensors) or the folder of a training run")
    check_input(model, ModelFileError, what="model file")


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
