"""The table of layouts: how datasets lie in folders, as training, prediction and evaluation find them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from biounet.core.errors import DatasetError
from biounet.data.cell_tracking_layout import CELL_TRACKING
from biounet.data.dataset import Pair, by_section
from biounet.data.layout import Layout, Truth
from biounet.io import image_files, images_by_name

__all__ = ["LABEL_FOLDERS", "LAYOUTS", "images_in", "recognise", "truths_in"]

LABEL_FOLDERS = ("labels", "masks")
"""Names of the folder of label files, beside ``images``."""


def _two_files(path: Path, silver: bool) -> list[Pair] | None:
    """Pair one image with its labels, ``IMAGE,LABELS``."""
    if path.exists() or str(path).count(",") != 1:
        return None
    image, labels = map(Path, str(path).split(","))
    for file in (image, labels):
        if not file.exists():
            raise DatasetError(f"{file}: there is no such file; a pair of files is IMAGE,LABELS")
    return [Pair(image.name, image, (labels,), image.name)]


def _isbi2012(folder: Path, silver: bool) -> list[Pair] | None:
    """Pair the sections of ``train-volume.tif`` and ``train-labels.tif``; 255 is inside a cell."""
    image, labels = folder / "train-volume.tif", folder / "train-labels.tif"
    if not image.exists():
        return None
    if not labels.exists():
        raise DatasetError(f"{folder} has train-volume.tif but no train-labels.tif; put it there")
    return list(by_section(Pair(image.name, image, (labels,), image.name)))


def _isbi2012_images(folder: Path) -> list[Path]:
    """List the volumes, without the labels of one."""
    files = image_files(folder) if (folder / "train-volume.tif").exists() else ()
    return [path for path in files if path.name != "train-labels.tif"]


def _isbi2012_truths(folder: Path, result: Path) -> list[Truth]:
    """Find the labels of the volume."""
    labels = folder / "train-labels.tif"
    return [Truth(key=None, files=(labels,))] if labels.exists() else []


def _dsb2018(folder: Path, silver: bool) -> list[Pair] | None:
    """Pair ``<id>/images/*.png`` and ``<id>/masks/*.png``, one mask per nucleus."""
    cases = [case for case in _folders(folder) if (case / "images").is_dir()]
    if not any((case / "masks").is_dir() for case in cases):
        return None
    pairs = []
    for case in cases:
        images = image_files(case / "images")
        masks = image_files(case / "masks") if (case / "masks").is_dir() else ()
        if len(images) != 1:
            raise DatasetError(f"{case / 'images'} must hold one image, it holds {len(images)}; leave one")
        if not masks:
            raise DatasetError(f"{case} has an image but no masks; add {case.name}/masks or move the folder away")
        pairs.append(Pair(case.name, images[0], masks, case.name, kind="objects", masks=True))
    return pairs


def _dsb2018_images(folder: Path) -> list[Path]:
    """List the images of all cases."""
    inside = [] if (folder / "images").is_dir() else _folders(folder)
    return [image for case in inside if (case / "images").is_dir() for image in image_files(case / "images")]


def _dsb2018_truths(folder: Path, result: Path) -> list[Truth]:
    """List the masks of all cases; results are called as the cases."""
    inside = [] if (folder / "images").is_dir() else _folders(folder)
    masks = {case.name: image_files(case / "masks") for case in inside if (case / "masks").is_dir()}
    return [Truth(key=name, files=files, masks=True) for name, files in masks.items() if files]


def _images_and_targets(folder: Path, silver: bool) -> list[Pair] | None:
    """Pair the files of ``images`` and ``targets``, the images to draw of them, by name without suffix."""
    images, targets, labels = folder / "images", folder / "targets", _labels_folder(folder)
    if not (images.is_dir() and targets.is_dir()):
        return None
    if labels is not None:
        raise DatasetError(f"{folder} has both targets and {labels.name}; leave there what is to be learnt")
    return [replace(pair, kind="images") for pair in _paired(images, targets, "target")]


def _images_and_labels(folder: Path, silver: bool) -> list[Pair] | None:
    """Pair the files of ``images`` and ``labels`` (or ``masks``) by name without suffix."""
    images, labels = folder / "images", _labels_folder(folder)
    if not images.is_dir():
        return None
    if labels is None:
        raise DatasetError(
            f"{folder} has images but neither labels nor masks; put one label file per image there, "
            "or one image to draw into targets"
        )
    return _paired(images, labels, "labels")


def _images_folder(folder: Path) -> Sequence[Path]:
    """List the images of the folder ``images``."""
    return image_files(folder / "images") if (folder / "images").is_dir() else ()


def _targets_folder_truths(folder: Path, result: Path) -> list[Truth]:
    """List the images of ``targets``, where there are no labels."""
    targets = folder / "targets"
    found = (folder / "images").is_dir() and targets.is_dir() and _labels_folder(folder) is None
    return _by_name(targets) if found else []


def _labels_folder_truths(folder: Path, result: Path) -> list[Truth]:
    """List the files of ``labels`` or ``masks``."""
    labels = _labels_folder(folder)
    return _by_name(labels) if labels is not None and (folder / "images").is_dir() else []


def _no_files(folder: Path, result: Path | None = None) -> list[Any]:
    """Find nothing: what is no folder holds no other images."""
    return []


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        layout.name: layout
        for layout in (
            Layout(name="two files", pairs=_two_files, images=_no_files, truths=_no_files, says_kind=False),
            Layout(name="ISBI 2012", pairs=_isbi2012, images=_isbi2012_images, truths=_isbi2012_truths),
            Layout(name="DSB 2018", pairs=_dsb2018, images=_dsb2018_images, truths=_dsb2018_truths),
            CELL_TRACKING,
            Layout(
                name="images and targets",
                pairs=_images_and_targets,
                images=_images_folder,
                truths=_targets_folder_truths,
            ),
            Layout(
                name="images and labels",
                pairs=_images_and_labels,
                images=_images_folder,
                truths=_labels_folder_truths,
                says_kind=False,
            ),
        )
    }
)
"""Name of a layout -> how images, labels and results lie in it; the first that fits a folder is taken."""


def recognise(path: Path, silver: bool) -> tuple[Layout, list[Pair]]:
    """Find the layout of a dataset and pair its files.

    Parameters
    ----------
    path : a folder, or two files ``IMAGE,LABELS``
    silver : whether computer-made labels are wanted, where there are some

    Raises
    ------
    DatasetError
        If the layout is none of `LAYOUTS`, or a file lacks its partner.
    """
    for layout in LAYOUTS.values():
        pairs = layout.pairs(path, silver)
        if pairs == []:
            raise DatasetError(
                f"{path}: it is laid out as {layout.name}, but there are no images with labels; add some"
            )
        if pairs is not None:
            return layout, pairs
    if not path.exists():
        raise DatasetError(f"{path}: there is no such folder; check the name")
    if not path.is_dir():
        raise DatasetError(f"{path} is a file; give a folder, or an image and its labels as {path},LABELS")
    known = ", ".join(layout.name for layout in LAYOUTS.values() if layout.says_kind)
    raise DatasetError(f"{path} is no dataset: wanted are folders images and labels, or a layout of {known}")


def images_in(folder: Path) -> tuple[Path, ...]:
    """List the images of a folder, labelled or not: those that lie in it, else those of a dataset in one of `LAYOUTS`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("images/a.png", "images/b.png", "masks/a.png"):
    ...     (folder / name).parent.mkdir(exist_ok=True)
    ...     (folder / name).touch()
    >>> [path.relative_to(folder).as_posix() for path in images_in(folder)]
    ['images/a.png', 'images/b.png']
    """
    found = [*(layout.images(folder) for layout in LAYOUTS.values()), image_files(folder)]
    inside = [images for images in found if images and images[0].parent == folder]
    return tuple(next(filter(None, [*inside, *found]), ()))


def truths_in(folder: Path, result: Path) -> tuple[Layout, list[Truth]]:
    """List the labels in a folder: those of a dataset in one of `LAYOUTS`, else all files that lie in it.

    Parameters
    ----------
    folder : a dataset, or a folder of label files
    result : that they are compared with

    Returns
    -------
    Layout
        It says how results are called.
    list of Truth
    """
    for layout in LAYOUTS.values():
        truths = layout.truths(folder, result)
        if truths:
            return layout, truths
    return LAYOUTS["images and labels"], _by_name(folder)


def _folders(folder: Path) -> list[Path]:
    """Folders in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _labels_folder(folder: Path) -> Path | None:
    """The folder of label files."""
    return next((folder / name for name in LABEL_FOLDERS if (folder / name).is_dir()), None)


def _by_name(folder: Path) -> list[Truth]:
    """One truth for each file of a folder."""
    return [Truth(key=name, files=(path,)) for name, path in sorted(images_by_name(folder).items())]


def _paired(images: Path, others: Path, what: str) -> list[Pair]:
    """Pair the files of two folders by name."""
    by_stem, truth = images_by_name(images), images_by_name(others)
    missing, extra = sorted(by_stem.keys() - truth.keys()), sorted(truth.keys() - by_stem.keys())
    if missing:
        raise DatasetError(
            f"{by_stem[missing[0]]} has no {what}{_more(missing)}; add {others.name}/{missing[0]}.tif "
            "or move the image away"
        )
    if extra:
        raise DatasetError(f"{truth[extra[0]]} has no image{_more(extra)}; add it or move the {what} away")
    return [Pair(image.name, image, (truth[stem],), image.name) for stem, image in by_stem.items()]


def _more(names: Iterable[str]) -> str:
    """Say how many others there are."""
    others = len(list(names)) - 1
    return f", nor have {others} others" if others else ""
