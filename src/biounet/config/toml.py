"""The configuration of a run: all groups of settings, read from and written to TOML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import tomlkit
from pydantic import ValidationError

from biounet.config.presets import PRESETS
from biounet.config.settings import AugmentConfig, ModelConfig, Settings, TrainConfig
from biounet.core.errors import ConfigError
from biounet.core.suggestions import did_you_mean
from biounet.core.text_file import TextFile
from biounet.core.toml_file import parse_toml, read_toml
from biounet.core.words import shortened, shortened_name

__all__ = ["RunConfig", "parse"]


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
                raise ConfigError(f"unknown setting {key!r}; {_meant(key, type(self), ())}")
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
        return parse(cls, parse_toml(text, _file(source)), source)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of settings, such as the ``config.toml`` of a run.

        Raises
        ------
        ConfigError
            If it is missing or torn, or a setting is unknown or out of range.
        """
        return parse(cls, read_toml(path, _file(str(path))), str(path))


def parse(kind: type[S], data: Mapping[str, Any], source: str) -> S:
    """Build a group of settings; errors of validation become one line."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = shortened_name(first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{source}: unknown setting {key!r}; {_meant(key, kind, first['loc'][:-1])}") from error
        key = shortened_name(first["loc"][:2])  # which of several types was tried tells nobody anything
        given = "" if first["type"] == "value_error" else f", got {shortened(first['input'])}"
        raise ConfigError(f"{source}: {key}: {first['msg'].removeprefix('Value error, ')}{given}") from error


def _file(source: str) -> TextFile:
    return TextFile(source, ConfigError, "mend it, or give the config.toml of a run", most=2**18)


def _meant(key: str, kind: type[Settings], path: tuple[int | str, ...]) -> str:
    """The known settings that are meant by an unknown one, or all that may stand in its place."""
    groups = {name: field.annotation for name, field in kind.model_fields.items()}
    names = [
        name
        for group, fields in groups.items()
        for name in (
            (f"{group}.{field}" for field in fields.model_fields)
            if isinstance(fields, type) and issubclass(fields, Settings)
            else (group,)
        )
    ]
    for part in path:
        kind = kind.model_fields[str(part)].annotation  # type: ignore[assignment]
    return did_you_mean(key, names) or f"known are {', '.join(sorted(kind.model_fields))}"
