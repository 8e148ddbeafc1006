"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from biounet.core.errors import ConfigError

__all__ = [
    "Also",
    "Axes",
    "Channel",
    "Classes",
    "DatasetPath",
    "Device",
    "From",
    "IgnoreValue",
    "ImagesPath",
    "LabelsPath",
    "Level",
    "Minutes",
    "Objects",
    "Overwrite",
    "Preset",
    "Seed",
    "Series",
    "Unlabelled",
    "channel_numbers",
    "size_of_objects",
]


Axes = Annotated[str | None, typer.Option(help="Axes of the images in the order of the files, as in TYX.")]
Series = Annotated[str | None, typer.Option(help="Number, from 0, or name of an image in files of several.")]
Channel = Annotated[str | None, typer.Option(help="Channels to read, numbers from 0, as in 0,2.")]
Level = Annotated[int, typer.Option(min=0, help="Level of a pyramid; 0 has all pixels.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="MODEL", help="Begin with a run, model file or shipped model.")
]
Also = Annotated[Path | None, typer.Option(metavar="DATASET", help="Learn from these images as well.")]
Unlabelled = Annotated[Path | None, typer.Option(metavar="PATH", help="Images without labels to learn from, or none.")]
Minutes = Annotated[float | None, typer.Option(help="Wall-clock budget; 20 if nothing is said.")]
Preset = Annotated[str | None, typer.Option(help="default, if nothing is said, or paper.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
DatasetPath = Annotated[Path | None, typer.Argument(help="Folder of images and labels.")]
ImagesPath = Annotated[Path | None, typer.Option(help="Folder of images, in place of a dataset.")]
LabelsPath = Annotated[Path | None, typer.Option(help="Folder of their labels; names may end in _mask and the like.")]
Objects = Annotated[bool, typer.Option("--objects", help="Each number in the labels is one object.")]
Classes = Annotated[str | None, typer.Option(metavar="A,B,..", help="Each number is a class; their names.")]
IgnoreValue = Annotated[int | None, typer.Option(help="Number in the labels that means unknown, such as 255.")]
Seed = Annotated[int | None, typer.Option(help="Of all chance in the run; 0 if not given.")]


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


def size_of_objects(text: str | None) -> float | str | None:
    """A diameter as a person gives it: pixels, or ``auto`` to measure it.

    Raises
    ------
    ConfigError
        If it is no number.

    Examples
    --------
    >>> size_of_objects("40"), size_of_objects("auto")
    (40.0, 'auto')
    """
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--diameter wants pixels, as in 40, or auto, got {text!r}") from None
