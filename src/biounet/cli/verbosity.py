"""The options -v and --quiet, which every command has: how much is told of what it does."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from biounet.core.errors import ConfigError

__all__ = ["DETAILS", "NOTES", "SILENT", "level", "with_verbosity"]


SILENT, NOTES, DETAILS = range(3)
"""Levels: results and errors only; also what a person should know; also how it was reached."""

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Tell details, too.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Tell nothing but results and errors.")]

_level = NOTES


def level() -> int:
    """The level that the command was given."""
    return _level


def with_verbosity(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes -v and --quiet, too."""

    @wraps(command)
    def told(*given: Any, verbose: bool, quiet: bool, **options: Any) -> None:
        global _level
        if verbose and quiet:
            raise ConfigError("give either -v or --quiet, not both")
        _level = SILENT if quiet else DETAILS if verbose else NOTES
        try:
            command(*given, **options)
        finally:
            _level = NOTES

    added = {"verbose": Verbose, "quiet": Quiet}
    signature = inspect.signature(command)
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in added.items()
    ]
    told.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *parameters])  # type: ignore[attr-defined]
    told.__annotations__ = {**command.__annotations__, **added}
    return told
