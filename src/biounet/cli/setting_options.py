"""Options that are settings of a run: `--model`, `--validation` and others, and `--set section.key=value`."""

from pathlib import Path
from typing import Any

from biounet.config import toml_value
from biounet.core.errors import ConfigError, DatasetError
from biounet.core.places import check_input

__all__ = ["assignments", "given_settings", "unlabelled_images"]


def given_settings(**options: object) -> dict[str, Any]:
    """Options that were given, under the names of their settings."""
    names = {"model": "model.name"}
    changes = {names.get(name, f"train.{name}"): value for name, value in options.items() if value is not None}
    if "train.validation" in changes:
        changes["train.validation"] = toml_value(str(changes["train.validation"]))
    return changes


def unlabelled_images(place: Path | None) -> str | None:
    """Images of ``--unlabelled``; none where nothing is given, or the word none.

    Raises
    ------
    DatasetError
        If there is nothing of that name.
    """
    if place is None or str(place) == "none":
        return None
    check_input(place, DatasetError, what="folder of images, or stack, for --unlabelled")
    return str(place)


def assignments(texts: list[str]) -> dict[str, Any]:
    """Settings that `--set section.key=value` changes; values are read as TOML, bare words as text."""
    changes = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set wants section.key=value, got {text!r}")
        changes[key.strip()] = toml_value(value.strip())
    return changes
