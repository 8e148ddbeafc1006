"""The settings of a run: where they start from, what is changed, and how long it may take."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from biounet.config.toml import RunConfig
from biounet.core.errors import ConfigError, TrainingError
from biounet.core.words import shortened

__all__ = ["MINUTES", "resolve_settings"]


MINUTES = 20.0
"""Budget of a run that names none."""


def resolve_settings(
    changes: Mapping[str, Any] | RunConfig,
    *,
    preset: str | None = None,
    file: Path | None = None,
    resume: Path | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    start: Mapping[str, Any] = MappingProxyType({}),
) -> RunConfig:
    """Complete settings of a run: a preset, a file or a run to resume, with changes and a budget on top.

    Parameters
    ----------
    changes : ``{"train.batch": 4, ...}``, or a whole RunConfig
        A RunConfig takes the place of preset, file and run.
    preset : key of `biounet.config.PRESETS`
        ``default``, if nothing else is named.
    file : Path
        Settings in TOML, such as the ``config.toml`` of a run.
    resume : Path
        Folder of a run that is to go on, with its settings.
    minutes : wall-clock budget
        `MINUTES` where nothing else tells how long to train.
    steps : number of updates
        Minutes or steps given here take the place of those in a file.
    start : ``{"model.width": 16, ...}``
        Settings of a model that training begins with. They take the place of those in a preset or a file, and changes
        take theirs.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of range, a file cannot be read, or two starting points are named.
    TrainingError
        If there is no run to resume.

    Examples
    --------
    >>> resolve_settings({"train.batch": 4}).train.minutes
    20.0
    >>> resolve_settings({}, preset="paper", steps=100).train.steps
    100
    """
    if resume is not None and (preset is not None or file is not None):
        raise ConfigError("--resume goes on with the settings of the run; leave out --config and --preset")
    if start and (resume is not None or isinstance(changes, RunConfig)):
        raise ConfigError(
            "the settings of the run say what it began with; leave out --from"
            if resume is not None
            else "a whole RunConfig names the model to begin with as train.init; leave out init"
        )
    if preset is not None and file is not None:
        raise ConfigError("a file of settings takes the place of a preset; give --config or --preset, not both")
    wanted: dict[str, Any] = {}
    for name, value, other in (("minutes", minutes, "steps"), ("steps", steps, "minutes")):
        if value is not None:
            wanted[f"train.{name}"] = value
            wanted.setdefault(f"train.{other}", None)
    if not isinstance(changes, Mapping | RunConfig) or not all(isinstance(name, str) for name in dict(changes)):
        raise ConfigError(f"settings are names and values, as in {{'train.batch': 4}}, got {shortened(changes)}")
    if isinstance(changes, RunConfig):
        settings = changes
    else:
        settings, wanted = _start(preset, file, resume), {**start, **wanted, **changes}
    settings = settings.updated(wanted) if wanted else settings
    if settings.train.minutes is None and settings.train.steps is None:
        return settings.updated({"train.minutes": MINUTES})
    return settings


def _start(preset: str | None, file: Path | None, resume: Path | None) -> RunConfig:
    """Settings before any change."""
    if resume is not None:
        file = resume / "config.toml"
        if not file.is_file():
            raise TrainingError(f"{resume} holds no run to resume; train without --resume")
    if file is None:
        return RunConfig.preset(preset or "default")
    return RunConfig.read(file)
