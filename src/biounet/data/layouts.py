"""The table of layouts: how datasets lie in folders, as training, prediction and evaluation find them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from biounet.core.errors import DatasetError
from biounet.core.places import check_input
from biounet.core.words import printable
from biounet.data.cell_tracking_layout import CELL_TRACKING
from biounet.data.cellpose_layout import CELLPOSE
from biounet.data.dataset import Pair, by_section
from biounet.data.label_files import numbers_in, read_labels
from biounet.data.layout import Layout, Truth
from biounet.data.paired_files import file_in, folder_in, folders_in, labels_folder, pair_by_name, truths_by_name
from biounet.data.stardist_layout import STARDIST
from biounet.io import image_files

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
    image, labels = file_in(folder, "train-volume.tif"), file_in(folder, "train-labels.tif")
    if image is None:
        return None
    if labels is None:
        raise DatasetError(f"{folder} has train-volume.tif but no train-labels.tif; put it there")
    return list(by_section(Pair(image.name, image, (labels,), image.name)))


def _isbi2012_images(folder: Path) -> list[Path]:
    """List the volumes, without the labels of one."""
    files = image_files(folder) if file_in(folder, "train-volume.tif") else ()
    return [path for path in files if path.name.lower() != "train-labels.tif"]


def _isbi2012_truths(folder: Path, result: Path) -> list[Truth]:
    """Find the labels of the volume."""
    labels = file_in(folder, "train-labels.tif")
    return [Truth(key=None, files=(labels,))] if labels else []


def _dsb2018(folder: Path, silver: bool) -> list[Pair] | None:
    """Pair ``<id>/images/*.png`` and ``<id>/masks/*.png``, one mask per nucleus or one that numbers them."""
    cases = [(case, inside) for case in folders_in(folder) if (inside := folder_in(case, "images"))]
    if not any(folder_in(case, "masks") for case, _ in cases):
        return None
    pairs = []
    for case, inside in cases:
        images, masks = image_files(inside), _masks(case)
        if len(images) != 1:
            raise DatasetError(f"{inside} must hold one image, it holds {len(images)}; leave one")
        if not masks:
            raise DatasetError(f"{case} has an image but no masks; add {case.name}/masks or move the folder away")
        pairs.append(Pair(case.name, images[0], masks, case.name, kind="objects"))
    return [replace(pair, masks=not _numbered(pair.labels)) for pair in pairs]


def _dsb2018_images(folder: Path) -> list[Path]:
    """List the images of all cases."""
    inside = [] if folder_in(folder, "images") else folders_in(folder)
    return [image for case in inside if (images := folder_in(case, "images")) for image in image_files(images)]


def _dsb2018_truths(folder: Path, result: Path) -> list[Truth]:
    """List the masks of all cases; results are called as the cases."""
    inside = [] if folder_in(folder, "images") else folders_in(folder)
    cases = [(case.name, masks) for case in inside if (masks := _masks(case))]
    return [Truth(key=name, files=masks, masks=not _numbered(masks)) for name, masks in cases]


def _masks(case: Path) -> tuple[Path, ...]:
    """The masks of a case."""
    masks = folder_in(case, "masks")
    return image_files(masks) if masks else ()


def _numbered(masks: tuple[Path, ...]) -> bool:
    """Whether the only mask of a case numbers its objects; each of several masks shows one object."""
    return len(masks) == 1 and bool((numbers_in(read_labels(masks[0])[0]) > 0).sum() > 1)


def _images_and_targets(folder: Path, silver: bool) -> list[Pair] | None:
    """Pair the files of ``images`` and ``targets``, their target images, by name without suffix."""
    images, targets, labels = folder_in(folder, "images"), folder_in(folder, "targets"), labels_folder(folder)
    if images is None or targets is None:
        return None
    if labels is not None:
        raise DatasetError(f"{folder} has both targets and {labels.name}; leave there what is to be learnt")
    return [replace(pair, kind="images") for pair in pair_by_name(images, targets, "target")]


def _images_and_labels(folder: Path, silver: bool) -> list[Pair] | None:
    """Pair the files of ``images`` and ``labels`` (or ``masks``) by name without suffix."""
    images, labels = folder_in(folder, "images"), labels_folder(folder)
    if images is None:
        return None
    if labels is None:
        raise DatasetError(
            f"{folder} has images but neither labels nor masks; put one label file per image there, "
            "or one target image into targets"
        )
    return pair_by_name(images, labels, "labels")


def _images_folder(folder: Path) -> Sequence[Path]:
    """List the images of the folder ``images``."""
    images = folder_in(folder, "images")
    return image_files(images) if images else ()


def _targets_folder_truths(folder: Path, result: Path) -> list[Truth]:
    """List the images of ``targets``, where there are no labels."""
    targets = folder_in(folder, "targets")
    found = folder_in(folder, "images") and targets and labels_folder(folder) is None
    return truths_by_name(targets) if targets and found else []


def _labels_folder_truths(folder: Path, result: Path) -> list[Truth]:
    """List the files of ``labels`` or ``masks``."""
    labels = labels_folder(folder)
    return truths_by_name(labels) if labels and folder_in(folder, "images") else []


def _no_files(folder: Path, result: Path | None = None) -> list[Any]:
    """Find nothing: what is no folder holds no other images."""
    return []


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        layout.name: layout
        for layout in (
            Layout(name="two files", pairs=_two_files, images=_no_files, truths=_no_files, says_kind=False),
            Layout(name="ISBI 2012", pairs=_isbi2012, images=_isbi2012_images, truths=_isbi2012_truths),
            STARDIST,
            Layout(name="DSB 2018", pairs=_dsb2018, images=_dsb2018_images, truths=_dsb2018_truths),
            CELL_TRACKING,
            CELLPOSE,
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
    if "," not in str(path):
        check_input(path, DatasetError, what="folder")
    for layout in LAYOUTS.values():
        pairs = layout.pairs(path, silver)
        if pairs == []:
            raise DatasetError(
                f"{path}: it is laid out as {layout.name}, but there are no images with labels; add some"
            )
        if pairs is not None:
            return layout, [replace(pair, name=printable(pair.name)) for pair in pairs]
    if not path.exists():
        raise DatasetError(f"{path}: there is no such folder; check the name")
    if not path.is_dir():
        raise DatasetError(f"{path} is a file; give a folder, or an image and its labels as {path},LABELS")
    known = ", ".join(
        layout.name for layout in LAYOUTS.values() if layout.name not in ("two files", "images and labels")
    )
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
    return LAYOUTS["images and labels"], truths_by_name(folder)
