"""Layouts of one folder: images and masks lie side by side, as for Cellpose, or with other ends of their names."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from biounet.core.errors import DatasetError
from biounet.core.problems import Problems
from biounet.data.dataset import Pair
from biounet.data.layout import Layout, Truth
from biounet.data.names import LABEL_ENDS
from biounet.io import image_files, plain_name

__all__ = ["CELLPOSE", "SIDE_BY_SIDE"]

MASKS = ("_cp_masks", "_masks")
"""Ends of the names of masks of Cellpose, without suffix; ``a_masks.tif`` is of ``a.tif`` or ``a_img.tif``."""

OTHERS = (*(f"{divider}{word}" for word in LABEL_ENDS for divider in "_-. "), "_mask")
"""Ends of the names of labels of other programs."""

FLOWS = "_flows"
"""End of the names of flow fields, which Cellpose writes beside its masks."""

DRAWN = "_seg.npy"
"""End of the names of files of Cellpose's window, which are no images."""

Ends = tuple[str, ...]
"""Ends of the names of masks."""

Named = list[tuple[str, Path]]
"""Files, each with the name that an image and its masks share."""


def _pairs(ends: Ends, folder: Path, silver: bool, problems: Problems) -> list[Pair] | None:
    """Pair ``NAME.tif`` with ``NAME_masks.tif`` or ``NAME_cp_masks.png``."""
    of_images, of_masks = _files(ends, folder)
    if not of_masks:
        return None
    images, masks = _by_name(of_images), _by_name(of_masks)
    for name, path in masks.items():
        if name not in images:
            problems.add(DatasetError(f"{path} has no image; add {name}.tif or move the masks away"))
    for name, path in images.items():
        if name not in masks:
            wanted = f"{name}{ends[-1]}.tif"
            problems.add(DatasetError(f"{path} has no masks; add {wanted} or move the image away"))
    paired = [(images[name], masks[name]) for name in sorted(images.keys() & masks.keys())]
    return [Pair(image.name, image, (labels,), image.name) for image, labels in paired]


def _images(ends: Ends, folder: Path) -> list[Path]:
    """List the images, without masks and flow fields."""
    images, masks = _files(ends, folder)
    return [path for _, path in images] if masks else []


def _truths(ends: Ends, folder: Path, result: Path) -> list[Truth]:
    """List the masks; results have the names of the images."""
    of_images, of_masks = _files(ends, folder)
    images = _by_name(of_images) if of_masks else {}
    return [
        Truth(key=plain_name(images[name]) if name in images else name, files=(path,))
        for name, path in _by_name(of_masks).items()
    ]


def _layout(name: str, sign: str, ends: Ends) -> Layout:
    """Layout of a folder in which the names of masks have these ends."""
    return Layout(
        name=name,
        sign=sign,
        pairs=partial(_pairs, ends),
        images=partial(_images, ends),
        truths=partial(_truths, ends),
        says_kind=False,
    )


CELLPOSE = _layout("Cellpose", "NAME_masks or NAME_cp_masks beside images NAME", MASKS)
"""Images and their masks in one folder; the masks have the names of the images and an ending."""

SIDE_BY_SIDE = _layout("side by side", "NAME_mask, NAME_label, NAME_seg, ... beside images NAME", OTHERS)
"""The same with other endings."""


def _files(ends: Ends, folder: Path) -> tuple[Named, Named]:
    """Images and masks of a folder; none where no masks have an image."""
    files = image_files(folder) if folder.is_dir() else ()
    names = {path: plain_name(path) for path in files if not path.name.lower().endswith(DRAWN)}
    masks = [(image, path) for path, name in names.items() if (image := _image_of(ends, name)) is not None]
    others = [path for path, name in names.items() if _image_of(ends, name) is None and not name.endswith(FLOWS)]
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


def _image_of(ends: Ends, name: str) -> str | None:
    """Name of the image that masks are of; ``None`` where the name is not that of masks."""
    return next((name[: -len(end)] for end in ends if name.lower().endswith(end) and len(name) > len(end)), None)
