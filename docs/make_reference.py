"""Tables of the command line and of the settings, made from the code whenever the site is built."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import typer

from biounet.cli import app
from biounet.config import RunConfig
from biounet.config.object_rules import ObjectRules
from biounet.config.settings import AugmentConfig, ModelConfig, Settings, TrainConfig

__all__ = ["TABLES", "commands", "settings"]

GROUPS = MappingProxyType({"model": ModelConfig, "augment": AugmentConfig, "train": TrainConfig})
"""Groups of settings, as they are called in ``config.toml`` and by ``--set``."""
LARGE = 1e6
"""Ends of ranges from here on only keep absurd values out."""


def commands() -> str:
    """Markdown of every command: what it does, how it is called, and a table of its options."""
    group: Any = typer.main.get_command(app)
    return "\n\n".join(_command(name, command) for name, command in sorted(group.commands.items()))


def _command(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=f"biounet {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    rows = []
    for parameter in command.get_params(context):
        words, meaning = parameter.get_help_record(context) or (parameter.name.upper(), parameter.help or "")
        rows.append((f"`{words}`", meaning))
    return f"## {name}\n\n{command.help}\n\n```\nbiounet {name} {usage}\n```\n\n{_table(('option', 'meaning'), rows)}"


def settings() -> str:
    """Markdown of every setting, group by group: its name for ``--set``, its values, the presets, its meaning."""
    presets = {name: RunConfig.preset(name) for name in ("default", "paper")}
    chosen = presets["default"].train.auto
    parts = []
    for group, model in GROUPS.items():
        rows = []
        for name, (values, meaning) in _fields(model).items():
            each = {key: _code(getattr(getattr(preset, group), name)) for key, preset in presets.items()}
            default = "chosen" if f"{group}.{name}" in chosen else each["default"]
            default = "all that is chosen" if name == "auto" else default
            rows.append((f"`{group}.{name}`", default, each["paper"], values, meaning))
        heads = ("name", "preset `default`", "preset `paper`", "values", "meaning")
        parts.append(f"## {group}\n\n{_summary(model)}\n\n{_table(heads, rows)}")
    rows = [
        (f"`{name}`", _code(ObjectRules.model_fields[name].get_default()), values, meaning)
        for name, (values, meaning) in _fields(ObjectRules).items()
    ]
    table = _table(("name", "before tuning", "values", "meaning"), rows)
    return "\n\n".join([*parts, f"## Rules of objects\n\n{_summary(ObjectRules)}\n\n{table}"])


def _summary(model: type[Settings]) -> str:
    return (inspect.getdoc(model) or "").partition("\n")[0]


def _fields(model: type[Settings]) -> dict[str, tuple[str, str]]:
    """Values that each setting may have, and its meaning, by name."""
    schema = model.model_json_schema()["properties"]
    meanings = _docstrings(model)
    return {name: (_values(schema[name]), meanings.get(name, "")) for name in model.model_fields}


def _docstrings(model: type[Settings]) -> dict[str, str]:
    """The strings that stand below the fields of a class, by field."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0].body  # type: ignore[attr-defined]
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _values(schema: Mapping[str, Any]) -> str:
    """Words for the values that a JSON schema allows."""
    if "anyOf" in schema:
        return " or ".join(_values(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(_code(value) for value in schema["enum"])
    if schema["type"] == "array":
        return "list" + (f" of {_values(schema['items'])}" if schema.get("items", {}).get("type") else "")
    words = {"null": "none", "boolean": "`true`, `false`", "string": "text", "integer": "whole"}
    return f"{words.get(schema['type'], '')} {_range(schema)}".strip() or "number"


def _range(schema: Mapping[str, Any]) -> str:
    """The range of a number; ends that only keep absurd values out are not told."""
    low, high = schema.get("minimum"), schema.get("maximum", LARGE)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is not None and schema["type"] == "integer":
        low, above = above + 1, None
    start = "" if low is above is None else f"above {above:g}" if low is None else f"{low:g}"
    end = f"to below {below:g}" if below is not None else f"to {high:g}" if high < LARGE else ""
    return f"{start} {end}".strip() if end else f"from {start}" if low is not None else start


def _code(value: Any) -> str:
    if value is None or value == ():
        return "none"
    text = f"{value:.4g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(
        f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


TABLES: Mapping[str, Callable[[], str]] = MappingProxyType({"commands": commands, "settings": settings})
"""What a page writes as ``<!-- name -->``, and the function whose text stands there."""

if __name__ == "__main__":
    print(commands(), settings(), sep="\n\n")
