"""Options of training as changes of settings: those with a name of their own, and `--set section.key=value`."""

from collections.abc import Sequence
from typing import Any

from biounet.core.errors import ConfigError

__all__ = ["assignments", "given"]


def given(**options: object) -> dict[str, Any]:
    """Options that were given, under the names of their settings.

    Examples
    --------
    >>> given(model="unet++", seed=None, validation="0.2")
    {'model.name': 'unet++', 'train.validation': 0.2}
    """
    from biounet.config import toml_value

    names = {"model": "model.name"}
    changes = {names.get(name, f"train.{name}"): value for name, value in options.items() if value is not None}
    if "train.validation" in changes:
        changes["train.validation"] = toml_value(str(changes["train.validation"]))
    return changes


def assignments(texts: Sequence[str]) -> dict[str, Any]:
    """Settings that `--set section.key=value` changes; values are read as TOML, bare words as text.

    Raises
    ------
    ConfigError
        If a text has no ``=``.

    Examples
    --------
    >>> assignments(["train.batch = 4", "train.loss=dice"])
    {'train.batch': 4, 'train.loss': 'dice'}
    """
    from biounet.config import toml_value

    changes = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set wants section.key=value, got {text!r}")
        changes[key.strip()] = toml_value(value.strip())
    return changes
