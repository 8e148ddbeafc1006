"""The layout of Cellpose: images and masks lie side by side in one folder."""

import os
from collections.abc import Iterable
from pathlib import Path

from biounet.core.errors import DatasetError
from biounet.data.dataset import Pair
from biounet.data.layout import Layout, Truth
from biounet.io import image_files, plain_name

__all__ = ["CELLPOSE"]

MASKS = ("_cp_masks", "_masks")
"""Ends of the names of masks, without suffix (the last in all); ``a_masks.tif`` is of ``a.tif`` or ``a_img.tif``."""

FLOWS = "_flows"
"""End of the names of flow fields, which Cellpose writes beside its masks."""

Named = list[tuple[str, Path]]
"""Files, each with the name that an image and its masks share."""


def _pairs(folder: Path, silver: bool) -> list[Pair] | None:
    """Pair ``NAME.tif`` with ``NAME_masks.tif`` or ``NAME_cp_masks.png``."""
    of_images, of_masks = _files(folder)
    if not of_masks:
        return None
    images, masks = _by_name(of_images), _by_name(of_masks)
    for name, path in masks.items():
        if name not in images:
            raise DatasetError(f"{path} has no image; add {name}.tif or move the masks away")
    missing = [name for name in images if name not in masks]
    if missing:
        others = f", nor have {len(missing) - 1} others" if len(missing) > 1 else ""
        wanted = f"{missing[0]}_masks.tif"
        raise DatasetError(f"{images[missing[0]]} has no masks{others}; add {wanted} or move the image away")
    return [Pair(image.name, image, (masks[name],), image.name) for name, image in images.items()]


def _images(folder: Path) -> list[Path]:
    """List the images, without masks and flow fields."""
    images, masks = _files(folder)
    return [path for _, path in images] if masks else []


def _truths(folder: Path, result: Path) -> list[Truth]:
    """List the masks; results have the names of the images."""
    of_images, of_masks = _files(folder)
    images = _by_name(of_images) if of_masks else {}
    return [
        Truth(key=plain_name(images[name]) if name in images else name, files=(path,))
        for name, path in _by_name(of_masks).items()
    ]


CELLPOSE = Layout(name="Cellpose", pairs=_pairs, images=_images, truths=_truths, says_kind=False)
"""Images and their masks in one folder; the masks have the names of the images and an ending."""


def _files(folder: Path) -> tuple[Named, Named]:
    """Images and masks of a folder; none where no masks have an image."""
    if not folder.is_dir() or not any(MASKS[1] in name.lower() for name in os.listdir(folder)):  # most folders
        return [], []
    names = {path: plain_name(path) for path in image_files(folder)}
    masks = [(image, path) for path, name in names.items() if (image := _image_of(name)) is not None]
    others = [path for path, name in names.items() if _image_of(name) is None and not name.endswith(FLOWS)]
    shared, whole = {name for name, _ in masks}, {names[path] for path in others}
    images = []
    for path in others:
        short = names[path].removesuffix("_img")
        images.append((short if short in shared - whole else names[path], path))
    return (images, masks) if any(name in shared for name, _ in images) else ([], [])


def _by_name(files: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Files by their names, each of which only one may have."""
    found: dict[str, Path] = {}
    for name, path in files:
        other = found.setdefault(name, path)
        if other is not path:
            raise DatasetError(f"{other} and {path.name} are both of {name}; keep one of them")
    return found


def _image_of(name: str) -> str | None:
    """Name of the image that masks are of; ``None`` where the name is not that of masks."""
    return next((name[: -len(end)] for end in MASKS if name.lower().endswith(end) and len(name) > len(end)), None)
