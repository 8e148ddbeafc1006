"""Folders that StarDist and nnU-Net train on, written from images and their labels."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from biounet.core.atomic_files import replacing
from biounet.core.errors import OutputError, ShapeError
from biounet.core.labels import IGNORE
from biounet.io import Image, write

__all__ = ["LABEL_FOLDERS", "Labelled", "write_nnunet", "write_stardist"]


LARGEST = 65_535
"""Largest number of an object in 16 bits."""


@dataclass(frozen=True)
class Labelled:
    """An image and its labels.

    Raises
    ------
    ShapeError
        If they have not the same size.
    """

    name: str
    image: Image
    labels: Image

    def __post_init__(self) -> None:
        sizes = [array.array.shape[-len(self.labels.spatial_axes) :] for array in (self.image, self.labels)]
        if sizes[0] != sizes[1] or self.image.spatial_axes != self.labels.spatial_axes:
            image, labels = (" x ".join(map(str, size)) for size in sizes)
            raise ShapeError(f"{self.name}: the image has {image} px, its labels {labels}; give its own labels")


def write_stardist(
    folder: Path, pairs: Iterable[Labelled], *, classes: Sequence[str] = (), overwrite: bool = False
) -> None:
    """Write ``train/images`` and ``train/masks`` for StarDist.

    Parameters
    ----------
    folder : Path
    pairs : images, and their labels of objects
    classes : not used
    overwrite : bool

    Raises
    ------
    OutputError
        If a file exists or cannot be written, there are unknown pixels, or numbers that do not fit 16 bits.
    """
    for pair in pairs:
        largest = pair.labels.array.max(initial=0)
        if pair.labels.array.min(initial=0) < 0 or largest > LARGEST:
            what = f"{largest} objects, {LARGEST} fit 16 bits" if largest > LARGEST else "unknown pixels"
            raise OutputError(f"{pair.name}: masks of StarDist cannot hold {what}; cut these out of the image")
        write(folder / "train" / "images" / f"{pair.name}.tif", pair.image, overwrite=overwrite)
        write(folder / "train" / "masks" / f"{pair.name}.tif", pair.labels, overwrite=overwrite)


def write_nnunet(
    folder: Path, pairs: Iterable[Labelled], *, classes: Sequence[str] = (), overwrite: bool = False
) -> None:
    """Write ``imagesTr``, ``labelsTr`` and ``dataset.json`` for nnU-Net.

    Parameters
    ----------
    folder : Path
        ``nnUNet_raw/Dataset001_Cells``, say.
    pairs : images, and their labels of classes
    classes : names of classes 0, 1, ...; the first is the background
    overwrite : bool

    Raises
    ------
    OutputError
        If a file exists or cannot be written, there are no names of classes, or a number has none.

    Notes
    -----
    Every channel is a file of its own. Unknown pixels have the number after the last class, which ``dataset.json``
    names ``ignore``. A stack with a pixel size has it in ``NAME.json`` beside it: z, y, x in micrometres.
    """
    if not classes:
        raise OutputError("nnU-Net learns classes, not objects; name the numbers in the labels by --classes A,B,..")
    channels, count, unknown = 1, 0, False
    for pair in pairs:
        array = pair.labels.array
        if array.max(initial=0) >= len(classes):
            raise OutputError(f"{pair.name}: a label is {array.max()}, --classes has {len(classes)} names; name all")
        unknown, count = unknown or bool((array < 0).any()), count + 1
        known = np.where(array == IGNORE, len(classes), array).astype(np.uint8)
        write(folder / "labelsTr" / f"{pair.name}.tif", replace(pair.labels, array=known), overwrite=overwrite)
        channels = _write_channels(folder / "imagesTr", pair, overwrite=overwrite)
        if pair.image.spacing is not None and "Z" in pair.image.axes:
            spacing = {"spacing": list(pair.image.spacing)}
            for place in ("imagesTr", "labelsTr"):
                _write_json(folder / place / f"{pair.name}.json", spacing, overwrite=overwrite)
    numbers = {name: number for number, name in enumerate([*classes, *["ignore"] * unknown])}
    told = {
        "channel_names": {str(channel): f"channel {channel}" for channel in range(channels)},
        "labels": numbers,
        "numTraining": count,
        "file_ending": ".tif",
    }
    _write_json(folder / "dataset.json", told, overwrite=overwrite)


LABEL_FOLDERS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {"stardist": write_stardist, "nnunet": write_nnunet}
)
"""Word for `biounet convert --to` -> function that writes a folder."""


def _write_channels(folder: Path, pair: Labelled, *, overwrite: bool) -> int:
    """Write each channel of an image, and say how many there are."""
    axis = pair.image.axes.find("C")
    planes = [pair.image.array] if axis < 0 else list(np.moveaxis(pair.image.array, axis, 0))
    for channel, plane in enumerate(planes):
        image = Image(plane, pair.image.axes.replace("C", ""), pair.image.spacing)
        write(folder / f"{pair.name}_{channel:04}.tif", image, overwrite=overwrite)
    return len(planes)


def _write_json(path: Path, told: Mapping[str, Any], *, overwrite: bool) -> None:
    """Write a small file of JSON."""
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
