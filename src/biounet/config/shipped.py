"""Models that come with the package, by name, and the file that a MODEL of the command line means."""

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from biounet.config.settings import Settings
from biounet.core.errors import ModelFileError
from biounet.core.json_file import read_json
from biounet.core.places import check_input
from biounet.core.text_file import TextFile

__all__ = ["FOLDER", "SHIPPED", "ShippedCard", "model_file", "shipped_card"]


FOLDER = Path(str(files("biounet"))) / "shipped"
"""Folder of the package with a model file and a card for each shipped model."""

SHIPPED: Mapping[str, Path] = MappingProxyType({path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))})
"""Name of a shipped model -> its file."""


class ShippedCard(Settings):
    """What a person must know of a shipped model before she uses it; a JSON file beside the model."""

    purpose: str
    """What it finds, and in which images."""
    not_for: str
    """What it was not made for."""
    data: str
    """What it was trained on."""
    licence: str
    """Terms of the data, and of the model."""
    recipe: str
    """Command that makes it again, and the settings of its training."""
    scored_on: str
    """Images of the scores, which training never saw."""
    scores: Mapping[str, float]
    seconds_per_megapixel: float
    """On a CPU."""
    sha256: str
    """Of the model file."""


def shipped_card(name: str) -> ShippedCard:
    """The card of a shipped model.

    Parameters
    ----------
    name : a key of `SHIPPED`
    """
    path = SHIPPED[name].with_suffix(".json")
    return read_json(path, ShippedCard, TextFile(path.name, ModelFileError, "install biounet again"))


def model_file(given: str | Path) -> Path:
    """Path of the model file that a person means: a file, the folder of a run, or the name of a shipped model.

    Parameters
    ----------
    given : str or Path
        What lies at this path comes before a shipped model of the same name, if it is a file or holds
        ``model.safetensors``.

    Raises
    ------
    ModelFileError
        If there is none; the names of the shipped models are listed.

    Examples
    --------
    >>> model_file("nuclear")
    Traceback (most recent call last):
    biounet.core.errors.ModelFileError: nuclear is missing; give a model file (.safetensors), the folder of a training run, or the name of a shipped model (...)
    """  # noqa: E501
    path, shipped = Path(given), str(given) in SHIPPED
    if os.path.lexists(path) and not shipped:
        check_input(path, ModelFileError, what="model file")
    file = path / "model.safetensors" if os.path.isdir(path) else path
    if os.path.isfile(file):
        return file
    if shipped:
        return SHIPPED[str(given)]
    raise ModelFileError(
        f"{file} is missing; give a model file (.safetensors), the folder of a training run, or the name of a shipped "
        f"model ({', '.join(SHIPPED)})"
    )
