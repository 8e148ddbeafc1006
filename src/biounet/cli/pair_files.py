"""Pair files: labels with the images and probabilities of the same name or number, and what their channels are."""

import re
from dataclasses import dataclass
from pathlib import Path

from biounet.cli.progress import say
from biounet.core.errors import ConfigError, DatasetError, ShapeError
from biounet.io import image_files, is_folder_of_images, plain_name
from biounet.io.outline_files import as_image
from biounet.measurement.frames import ObjectFrame

__all__ = ["Channels", "MeasuredFiles", "check_channels", "pair_files"]


MeasuredFiles = tuple[Path, Path | None, Path | None]
"""Labels, image and probabilities."""


def pair_files(labels: Path, image: Path | None, probabilities: Path | None) -> list[MeasuredFiles]:
    """Label files, each with the files of the same name, or else of the same number, in the other folders."""
    files = image_files(labels) if is_folder_of_images(labels) else (labels,)
    if not files:
        others = (hint for path in sorted(labels.iterdir()) if (hint := as_image(path)))
        remedy = next(others, "give a file, or a folder of .tif or .png files")
        raise DatasetError(f"{labels} holds no label images; {remedy}")
    return [
        (path, image and _partner(path, image, len(files)), probabilities and _partner(path, probabilities, len(files)))
        for path in files
    ]


@dataclass(frozen=True)
class Channels:
    """Channels of the probabilities of a model.

    Attributes
    ----------
    model : Path
    count : int
    are_classes : bool
        Of which an object has one; else they are parts of every object, such as interior and border.
    class_names : of the classes, where an object has one
    """

    model: Path
    count: int
    are_classes: bool
    class_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Path) -> "Channels":
        """Read the model file, or that of a run.

        Raises
        ------
        ModelFileError
            If there is none.
        ConfigError
            If it gives no probabilities.
        """
        from biounet.inference.ensemble import member_files
        from biounet.models.model_file import read_card

        card = read_card(member_files(model)[0])
        if not card.task.has_labels:
            raise ConfigError(f"{model} draws images, in which there are no probabilities; leave --model out")
        return cls(model, card.model.classes, card.task.has_classes, card.class_names)


def check_channels(frame: ObjectFrame, channels: Channels | None, *, first: bool) -> None:
    """Refuse probabilities that are not of the model; without one say, the first time, what is taken for granted.

    Raises
    ------
    ShapeError
        If there are more channels than the model gives, or less.
    """
    if frame.probabilities is None:
        return
    have = frame.probabilities.shape[0]
    if channels is not None and have != channels.count and (have, channels.count) != (1, 2):
        raise ShapeError(
            f"the probabilities of {frame.name} have {have} channels, {channels.model} gives {channels.count}; "
            "give the model that they were predicted with"
        )
    if channels is None and have > 2 and first:
        say(
            f"note: of {have} channels of probabilities all but the first are taken as foreground, since they may be "
            "parts of objects; if they are classes, of which an object has one, give --model RUN"
        )


def _partner(path: Path, other: Path, files: int) -> Path:
    """The file that belongs to a label file."""
    if not is_folder_of_images(other):
        if files > 1:
            raise DatasetError(f"{other} is one file, there are {files} label images; give a folder")
        return other
    there = image_files(other)
    for key in (plain_name, _number):
        fitting = [file for file in there if key(file) is not None and key(file) == key(path)]
        if len(fitting) == 1:
            return fitting[0]
    raise DatasetError(
        f"{other} has no file named or numbered as {path.name}; names must be the same, suffixes may differ"
    )


def _number(path: Path) -> int | None:
    """The last number in a name: 7 of man_seg007.tif."""
    digits = re.findall(r"\d+", plain_name(path))
    return int(digits[-1]) if digits else None
