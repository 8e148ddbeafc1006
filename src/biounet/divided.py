"""A dataset that is found and divided: what is trained on, what is validated on, what is learnt; no image is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from types import MappingProxyType

from biounet.errors import DatasetError, ShapeError
from biounet.folders import Dataset, Pair, Split, find_dataset, split
from biounet.folders.dataset import has_labels
from biounet.ondemand import choose_validated
from biounet.targets import TARGETS

__all__ = ["Divided", "divide_dataset"]

OF_OBJECTS: Mapping[str, str] = MappingProxyType({"auto": "distance", "paper": "foreground"})
"""Where the layout decides on the target: what is learnt of objects."""


@dataclass(frozen=True)
class Divided:
    """Images to train on and images held out, before any of them is read.

    dataset, other : those of which the images to train on are, and those held out
    train, held_out : images
    target : what is learnt of labels, as `biounet.training_data.TrainingData` has it
    notes : what a person should know of how files were found and divided
    """

    dataset: Dataset
    other: Dataset
    train: Sequence[Pair]
    held_out: Sequence[Pair]
    target: str
    notes: Sequence[str]

    @classmethod
    def of(cls, dataset: Dataset, other: Dataset, held: Split, *, target: str, pixels: float = inf) -> "Divided":
        """Choose what is validated on of the images held out, and check that all go together; see `divide_dataset`."""
        held_out, said = choose_validated(held.validation, most=pixels, labelled=has_labels)
        target = _choose_target(dataset, other, target)
        _check_alike([*held.train, *held_out])
        return cls(dataset, other, held.train, held_out, target, [*dataset.notes, *held.notes, *said])

    def anew(self, held: Split, *, pixels: float = inf) -> "Divided":
        """The same dataset divided otherwise; it is not found again."""
        return Divided.of(self.dataset, self.dataset, held, target=self.target, pixels=pixels)


def divide_dataset(
    dataset: Path, *, validation: float | str, target: str = "auto", silver: bool = False, pixels: float = inf
) -> Divided:
    """Find annotated images and divide them into training and validation.

    Parameters and errors are those of `biounet.training_data.load_training_data`.
    """
    find = partial(find_dataset, kind="classes" if target == "classes" else "objects" if target in TARGETS else None)
    found = find(dataset, silver=silver)
    if not isinstance(validation, str):
        return Divided.of(found, found, split(found, validation), target=target, pixels=pixels)
    other = find(Path(validation))
    return Divided.of(found, other, Split(found.pairs, other.pairs, other.notes), target=target, pixels=pixels)


def _choose_target(dataset: Dataset, other: Dataset, target: str) -> str:
    """What is to be learnt: as asked for, if the datasets have it."""
    kind = dataset.pairs[0].kind
    if target in OF_OBJECTS:
        target = {"images": "image", "objects": OF_OBJECTS[target], "classes": "classes"}[kind]
    for each in (dataset, other):
        images = each.pairs[0].kind == "images"
        if images != (target == "image"):
            have, wanted = ("targets", "labels") if images else ("labels", "targets, one image to draw per image")
            raise DatasetError(f"{each.name} has {have}, train.target is {target}; it needs a folder {wanted}")
    return target


def _check_alike(pairs: Sequence[Pair]) -> None:
    """Refuse images of different channels or axes, before any is read."""
    first = pairs[0]
    for pair in pairs:
        if pair.shape[0] != first.shape[0] or len(pair.shape) != len(first.shape):
            raise ShapeError(
                f"{pair.name} has shape {pair.shape} (channels first), {first.name} has {first.shape}; "
                "bring all images to the same channels and axes"
            )
