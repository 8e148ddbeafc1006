"""The layout of the Data Science Bowl 2018: a folder for each case, with its image and a mask for each nucleus."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from biounet.core.components import label_objects
from biounet.core.errors import DatasetError
from biounet.core.problems import Problems
from biounet.data.dataset import Pair
from biounet.data.label_files import numbers_in, read_labels
from biounet.data.layout import Layout, Truth
from biounet.data.paired_files import folder_in, folders_in
from biounet.io import image_files

__all__ = ["DSB2018", "in_doubt"]


def _pairs(folder: Path, silver: bool, problems: Problems) -> list[Pair] | None:
    """Pair ``<id>/images/*.png`` and ``<id>/masks/*.png``, one mask per nucleus or one that numbers them."""
    cases = [(case, inside) for case in folders_in(folder) if (inside := folder_in(case, "images"))]
    if not any(folder_in(case, "masks") for case, _ in cases):
        return None
    pairs = []
    for case, inside in cases:
        with problems.noting():
            images, masks = image_files(inside), _masks(case)
            if len(images) != 1:
                raise DatasetError(f"{inside} must hold one image, it holds {len(images)}; leave one")
            if not masks:
                raise DatasetError(f"{case} has an image but no masks; add {case.name}/masks or move the folder away")
            pair = Pair(case.name, images[0], masks, case.name, kind="objects")
            pairs.append(replace(pair, masks=not _numbered(masks)))
    return pairs


def _images(folder: Path) -> list[Path]:
    """List the images of all cases."""
    inside = [] if folder_in(folder, "images") else folders_in(folder)
    return [image for case in inside if (images := folder_in(case, "images")) for image in image_files(images)]


def _truths(folder: Path, result: Path) -> list[Truth]:
    """List the masks of all cases; results are called as the cases."""
    inside = [] if folder_in(folder, "images") else folders_in(folder)
    cases = [(case.name, masks) for case in inside if (masks := _masks(case))]
    return [Truth(key=name, files=masks, masks=not _numbered(masks)) for name, masks in cases]


DSB2018 = Layout(
    name="DSB 2018",
    sign="CASE/images and CASE/masks",
    pairs=_pairs,
    images=_images,
    truths=_truths,
    result_name=lambda image: image.parents[1].name,
)
"""Cases with a mask for each object, or one that numbers them."""


def in_doubt(pairs: Sequence[Pair]) -> str:
    """Question where each case has but one mask, which shows several pieces: one object, several, or a class?

    Returns
    -------
    str
        Empty where there is no doubt.
    """
    if len(pairs) < 2 or any(len(pair.labels) > 1 or not pair.masks for pair in pairs):
        return ""
    for pair in pairs:
        labels = read_labels(pair.labels[0])[0]
        pieces = int(label_objects(labels > 0).max(initial=0))
        if pieces > 1:
            return (
                f"{pair.labels[0]}: the only mask of its case shows {pieces} pieces; say --classes A,B if it is the "
                "mask of a class, --objects if all of it is one object, or number the objects"
            )
    return ""


def _masks(case: Path) -> tuple[Path, ...]:
    """The masks of a case."""
    masks = folder_in(case, "masks")
    return image_files(masks) if masks else ()


def _numbered(masks: tuple[Path, ...]) -> bool:
    """Whether the only mask of a case numbers its objects; each of several masks shows one object."""
    return len(masks) == 1 and bool((numbers_in(read_labels(masks[0])[0]) > 0).sum() > 1)
