"""Options of all commands that read images: what lies in a file beside what is wanted."""

from typing import Annotated

import typer

from biounet.core.errors import ConfigError

__all__ = ["Axes", "Channel", "Level", "Series", "channel_numbers"]


Axes = Annotated[str | None, typer.Option(help="Axes of the images in the order of the files, as in TYX.")]
Series = Annotated[str | None, typer.Option(help="Number, from 0, or name of an image in files of several.")]
Channel = Annotated[str | None, typer.Option(help="Channels to read, numbers from 0, as in 0,2.")]
Level = Annotated[int, typer.Option(min=0, help="Level of a pyramid; 0 has all pixels.")]


def channel_numbers(text: str | None) -> tuple[int, ...] | None:
    """Numbers of channels as a person gives them.

    Raises
    ------
    ConfigError
        If one is no whole number from 0.

    Examples
    --------
    >>> channel_numbers("0, 2")
    (0, 2)
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise ConfigError(f"--channel wants numbers from 0, as in 0,2, got {text!r}")
    return tuple(int(word) for word in words)
