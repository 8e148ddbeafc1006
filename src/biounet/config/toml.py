"""The configuration of a run: all groups of settings, read from and written to TOML."""

from collections.abc import Mapping
from typing import Any, Self, TypeVar

import tomlkit
from pydantic import ValidationError

from biounet.config.presets import PRESETS
from biounet.config.settings import AugmentConfig, ModelConfig, Settings, TrainConfig
from biounet.core.errors import ConfigError

__all__ = ["RunConfig", "parse", "toml_value", "with_values"]


S = TypeVar("S", bound=Settings)


class RunConfig(Settings):
    """All settings of a training run, as in ``config.toml``."""

    model: ModelConfig = ModelConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()

    @classmethod
    def preset(cls, name: str) -> Self:
        """One of `PRESETS`.

        >>> RunConfig.preset("paper").model.channels
        (64, 128, 256, 512, 1024)
        """
        if name not in PRESETS:
            raise ConfigError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
        return parse(cls, PRESETS[name], "preset")

    def updated(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with ``{"train.loss": "dice", ...}`` changed and validated.

        A changed setting leaves the list ``train.auto``.

        >>> RunConfig().updated({"train.batch": 4}).train.batch
        4
        >>> "model.depth" in RunConfig.preset("default").updated({"model.depth": 3}).train.auto
        False
        """
        data = self.model_dump(exclude_unset=True)
        left = tuple(name for name in self.train.auto if name not in changes)
        if left != self.train.auto and "train.auto" not in changes:
            data.setdefault("train", {})["auto"] = left
        for key, value in changes.items():
            section, _, field = key.partition(".")
            if section not in type(self).model_fields or not field:
                raise ConfigError(f"unknown setting {key!r}; {_known(type(self))}")
            data.setdefault(section, {})[field] = value
        return parse(type(self), data, "settings")

    def differences(self, other: Self) -> list[str]:
        """Names of the settings that differ.

        >>> RunConfig().differences(RunConfig().updated({"train.batch": 4}))
        ['train.batch']
        """
        return [
            f"{section}.{field}"
            for section, settings in self
            for field, value in settings
            if value != getattr(getattr(other, section), field)
        ]

    def to_toml(self, *, reasons: Mapping[str, str] | None = None) -> str:
        """Return the settings as TOML, each with its reason as a comment, if it has one.

        >>> text = RunConfig().to_toml(reasons={"train.batch": "patches are large"})
        >>> [line for line in text.splitlines() if line.startswith("batch")]
        ['batch = 1 # patches are large']
        """
        document = tomlkit.document()
        for section, settings in self:
            table = tomlkit.table()
            for field, value in settings.model_dump(mode="json", exclude_none=True).items():
                written = tomlkit.item(value)
                reason = (reasons or {}).get(f"{section}.{field}")
                table.add(field, written.comment(reason) if reason else written)
            document.add(section, table)
        return tomlkit.dumps(document)

    @classmethod
    def from_toml(cls, text: str, *, source: str = "config.toml") -> Self:
        r"""Read what `to_toml` wrote, or any part of it.

        >>> RunConfig.from_toml("[train]\nbatch = 4").train.batch
        4
        """
        return parse(cls, _load_toml(text, source), source)


def parse(kind: type[S], data: Mapping[str, Any], source: str) -> S:
    """Build a group of settings; errors of validation become one line."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{source}: unknown setting {key!r}; {_known(kind, first['loc'][:-1])}") from error
        key = ".".join(str(part) for part in first["loc"][:2])  # which of several types was tried tells nobody anything
        given = "" if first["type"] == "value_error" else f", got {first['input']!r}"
        raise ConfigError(f"{source}: {key}: {first['msg'].removeprefix('Value error, ')}{given}") from error


def with_values(text: str, values: Mapping[str, Any]) -> str:
    r"""TOML in which some settings have other values; comments and all else stay.

    >>> with_values("[train]\nsteps = 4 # few\nbatch = 1\n", {"train.steps": 8})
    '[train]\nsteps = 8 # few\nbatch = 1\n'
    """
    document = tomlkit.parse(text)
    for name, value in values.items():
        section, _, field = name.partition(".")
        table: Any = document[section]
        item = tomlkit.item(value)
        if field in table:
            item.trivia.comment_ws, item.trivia.comment = (
                table.item(field).trivia.comment_ws,
                table.item(field).trivia.comment,
            )
        table[field] = item
    return tomlkit.dumps(document)


def toml_value(text: str) -> Any:
    """Value of a text in TOML; a text that is no TOML stays as it is.

    >>> toml_value("[1, 2]"), toml_value("dice")
    ([1, 2], 'dice')
    """
    try:
        return tomlkit.parse(f"value = {text}").unwrap()["value"]
    except tomlkit.exceptions.ParseError:
        return text


def _load_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomlkit.parse(text).unwrap()
    except tomlkit.exceptions.ParseError as error:
        raise ConfigError(f"{source} is not TOML: {error}") from error


def _known(kind: type[Settings], path: tuple[int | str, ...] = ()) -> str:
    for part in path:
        kind = kind.model_fields[str(part)].annotation  # type: ignore[assignment]
    return f"known are {', '.join(sorted(kind.model_fields))}"
