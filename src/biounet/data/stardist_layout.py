"""The layout of StarDist's examples: folders train and test, each with images and masks."""

from collections.abc import Sequence
from pathlib import Path

from biounet.core.errors import DatasetError
from biounet.core.problems import Problems
from biounet.data.dataset import Pair
from biounet.data.layout import Layout, Truth
from biounet.data.paired_files import folder_in, labels_folder, pair_by_name, truths_by_name
from biounet.io import image_files, images_by_name, is_folder_of_images

__all__ = ["STARDIST"]

OTHERS = ("val", "valid", "validation", "test")
"""Folders beside ``train`` whose images are not learnt from."""


def _pairs(folder: Path, silver: bool, problems: Problems) -> list[Pair] | None:
    """Pair ``train/images`` and ``train/masks`` by name."""
    train = folder_in(folder, "train")
    images = folder_in(train, "images") if train else None
    labels = labels_folder(train) if train else None
    return pair_by_name(images, labels, "labels", problems) if images and labels else None


def _images(folder: Path) -> list[Path]:
    """List the images of ``train`` and of the folders beside it."""
    return [image for part in _parts(folder) for image in image_files(part[0])]


def _truths(folder: Path, result: Path) -> list[Truth]:
    """List the labels of each folder that any of the results belongs to; of all, if none does.

    Raises
    ------
    DatasetError
        If images of two folders have one name, so that nobody knows which of them a result is of.
    """
    parts = [labels for _, labels in _parts(folder) if labels is not None]
    results = images_by_name(result).keys() if is_folder_of_images(result) else set()
    asked = [labels for labels in parts if results & images_by_name(labels).keys()] or parts
    found: dict[str | None, Truth] = {}
    for truth in (truth for labels in asked for truth in truths_by_name(labels)):
        other = found.setdefault(truth.key, truth)
        if other is not truth:
            raise DatasetError(
                f"{other.files[0]} and {truth.files[0]} have one name; evaluate with {truth.files[0].parents[1]} alone"
            )
    return list(found.values())


def _notes(pairs: Sequence[Pair]) -> list[str]:
    """Say that the images beside ``train`` are not learnt from."""
    train = pairs[0].image.parents[1]
    others = [images for images, _ in _parts(train.parent) if images.parent != train]
    return [
        f"{train.name} is learnt from; the {len(image_files(images))} images of {images.parent.name} are neither "
        f"trained on nor validated on, unless train.validation={images.parent} asks for it"
        for images in others
    ]


STARDIST = Layout(
    name="StarDist",
    sign="train/images and train/masks",
    pairs=_pairs,
    images=_images,
    truths=_truths,
    says_kind=False,
    notes=_notes,
)
"""Training images, and others beside them that are kept for the last evaluation."""


def _parts(folder: Path) -> list[tuple[Path, Path | None]]:
    """Folders of images and of their labels, of ``train`` and of those beside it; none if the layout is another."""
    train, *others = [folder_in(folder, name) for name in ("train", *OTHERS)]
    if train is None or labels_folder(train) is None:
        return []
    parts = [part for part in (train, *others) if part is not None]
    return [(images, labels_folder(part)) for part in parts if (images := folder_in(part, "images")) is not None]
