"""Hashes of the images and labels of a run, so that it is resumed on the same data only."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import RootModel

from biounet.core.atomic_files import replacing
from biounet.core.errors import TrainingError
from biounet.core.json_file import read_json
from biounet.core.text_file import TextFile
from biounet.core.words import shortened_name
from biounet.data.training_set import TrainingSet

__all__ = ["HASHES", "check_same_data", "dataset_hash", "image_hashes", "save_hashes", "shared_images"]


HASHES = "data.json"
"""File with the hashes, in the folder of the checkpoints."""

NAMED = 3  # images that a message names


class _Hashes(RootModel[dict[str, str]], frozen=True):
    """SHA-256 of each image, by its name."""


def image_hashes(data: TrainingSet) -> dict[str, str]:
    """SHA-256 of the pixels and labels of every image to train on and to validate on, by its name."""
    parts = {"train": data.statistics, "validation": [image.statistics for image in data.validation]}
    return {f"{part}/{image.name}": image.hash for part, statistics in parts.items() for image in statistics}


def dataset_hash(hashes: Mapping[str, str]) -> str:
    """One SHA-256 for all images, labels and names together.

    >>> dataset_hash({"a": "1", "b": "2"}) == dataset_hash({"b": "2", "a": "1"})
    True
    """
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()


def save_hashes(folder: Path, hashes: Mapping[str, str]) -> None:
    """Write the hashes of a run into the folder of its checkpoints."""
    with replacing(folder / HASHES, overwrite=True) as temporary:
        temporary.write_text(json.dumps(hashes, indent=1))


def check_same_data(folder: Path, hashes: Mapping[str, str]) -> None:
    """Refuse to resume a run on other images or labels than it was begun with.

    Parameters
    ----------
    folder : Path
        Where `save_hashes` wrote.
    hashes : as `image_hashes` returns them

    Raises
    ------
    TrainingError
        If images were changed, added or taken away, which are named; or if the file is missing.
    """
    path = folder / HASHES
    if not path.is_file():
        raise TrainingError(f"{path} is missing, so there is no run to resume; train without --resume")
    file = TextFile(str(path), TrainingError, "there is no run to resume, so train into another --out")
    before = read_json(path, _Hashes, file).root
    other = sorted(name for name in {*before, *hashes} if before.get(name) != hashes.get(name))
    if other:
        names = ", ".join(shortened_name([name]) for name in other[:NAMED])
        names += f" and {len(other) - NAMED} more" if len(other) > NAMED else ""
        raise TrainingError(
            f"images or labels have changed since the run began: {names}; put them back, or train into another --out"
        )


def shared_images(data: TrainingSet) -> list[str]:
    """A note for people on images that are trained and validated on: equal pixels, whatever their names."""
    trained = {image.image_hash: image.name for image in data.statistics}
    shared = [
        (image.name, trained[image.statistics.image_hash])
        for image in data.validation
        if image.statistics.image_hash in trained
    ]
    if not shared:
        return []
    name, other = shared[0]
    return [
        f"{len(shared)} of {len(data.validation)} images to validate on are trained on, too ({name} is {other}): "
        "scores will be better than on new images"
    ]
