"""Options that say what the numbers of labels mean."""

from typing import Any

from biounet.config.tasks import TASKS
from biounet.core.errors import ConfigError

__all__ = ["meaning"]


def meaning(*, objects: bool, classes: str | None, preset: str | None = None) -> dict[str, Any]:
    """Settings for --objects and --classes.

    Raises
    ------
    ConfigError
        If both are given, or a name twice.

    Examples
    --------
    >>> meaning(objects=False, classes="background, nucleus")
    {'train.target': 'classes', 'train.class_names': ('background', 'nucleus')}
    """
    if objects and classes is not None:
        raise ConfigError("give either --objects or --classes, not both")
    if objects:
        return {"train.target": TASKS["objects"].paper_target if preset == "paper" else TASKS["objects"].target}
    if classes is None:
        return {}
    names = tuple(name.strip() for name in classes.split(","))
    if len(set(names)) < len(names) or "" in names:
        raise ConfigError(f"--classes wants different names with commas, as in background,nucleus, got {classes!r}")
    if len(names) == 1 and names[0].isdecimal():
        names = tuple(f"class {number}" for number in range(int(names[0])))
    return {"train.target": "classes", "train.class_names": names}
