"""The table of layouts: how datasets lie in folders, as training, prediction and evaluation find them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from biounet.core.errors import DatasetError
from biounet.core.places import check_input
from biounet.core.problems import Problems
from biounet.core.words import printable
from biounet.data.cell_tracking_layout import CELL_TRACKING
from biounet.data.cellpose_layout import CELLPOSE, SIDE_BY_SIDE
from biounet.data.dataset import Pair, by_section
from biounet.data.dsb2018_layout import DSB2018
from biounet.data.layout import Layout, Truth
from biounet.data.nnunet_layout import NNUNET
from biounet.data.paired_files import file_in, folder_in, folders_in, labels_folder, pair_by_name, truths_by_name
from biounet.data.stardist_layout import STARDIST
from biounet.io import image_files, is_folder_of_images, is_there, plain_name
from biounet.io.ome_tiff import parts_of_others

__all__ = ["LABEL_FOLDERS", "LAYOUTS", "dataset_path", "images_in", "named_images", "recognise", "truths_in"]

LABEL_FOLDERS = ("labels", "masks")
"""Names of the folder of label files, beside ``images``."""


def dataset_path(dataset: Path | str | None, images: Path | str | None, labels: Path | str | None) -> Path:
    """The path of a dataset, or of two files or folders, ``IMAGES,LABELS``.

    Raises
    ------
    DatasetError
        If there is neither, or both, or one of the two does not exist.
    """
    if dataset is not None and images is None and labels is None:
        return Path(dataset)
    if dataset is not None or images is None or labels is None:
        raise DatasetError("give either a dataset, or both --images FOLDER and --labels FOLDER")
    for name, path in (("--images", images), ("--labels", labels)):
        if not is_there(Path(path)):
            raise DatasetError(f"{name} {path}: there is no such file or folder; check the name")
    return Path(f"{images},{labels}")


def _split_paths(path: Path) -> tuple[Path, Path] | None:
    """The two files or folders that a path stands for, each of whose names may have commas; ``None`` if it is one."""
    text = str(path)
    if path.exists() or "," not in text:
        return None
    cuts = [index for index, letter in enumerate(text) if letter == ","]
    both = [(Path(text[:cut]), Path(text[cut + 1 :])) for cut in cuts]
    found = [pair for pair in both if is_there(pair[0]) and is_there(pair[1])]
    for file in () if found else both[0]:
        if not is_there(file):
            raise DatasetError(f"{file}: there is no such file or folder; a pair of them is IMAGES,LABELS")
    return found[0]


def _two_files(path: Path, silver: bool, problems: Problems) -> list[Pair] | None:
    """Pair one image with its labels, ``IMAGE,LABELS``."""
    both = _split_paths(path)
    if both is None or all(map(is_folder_of_images, both)):
        return None
    image, labels = both
    for file, other in (both, both[::-1]):
        if is_folder_of_images(file):
            raise DatasetError(f"{file} is a folder, {other} a file; give two files or two folders")
    return [Pair(image.name, image, (labels,), image.name)]


def _two_folders(path: Path, silver: bool, problems: Problems) -> list[Pair] | None:
    """Pair the files of two folders, ``IMAGES,LABELS``, by their names."""
    both = _split_paths(path)
    return None if both is None else pair_by_name(*both, "labels", problems)


def _isbi2012(folder: Path, silver: bool, problems: Problems) -> list[Pair] | None:
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


def _images_and_targets(folder: Path, silver: bool, problems: Problems) -> list[Pair] | None:
    """Pair the files of ``images`` and ``targets``, their target images, by name without suffix."""
    images, targets, labels = folder_in(folder, "images"), folder_in(folder, "targets"), labels_folder(folder)
    if images is None or targets is None:
        return None
    if labels is not None:
        raise DatasetError(f"{folder} has both targets and {labels.name}; leave there what is to be learnt")
    return [replace(pair, kind="images") for pair in pair_by_name(images, targets, "target", problems)]


def _images_and_labels(folder: Path, silver: bool, problems: Problems) -> list[Pair] | None:
    """Pair the files of ``images`` and ``labels`` (or ``masks``) by name without suffix."""
    images, labels = folder_in(folder, "images"), labels_folder(folder)
    if images is None:
        return None
    if labels is None:
        raise DatasetError(
            f"{folder} has images but neither labels nor masks; put one label file per image there, "
            "or one target image into targets"
        )
    return pair_by_name(images, labels, "labels", problems)


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
            Layout(
                name="two files",
                sign="IMAGE,LABELS",
                pairs=_two_files,
                images=_no_files,
                truths=_no_files,
                says_kind=False,
            ),
            Layout(
                name="two folders",
                sign="--images and --labels",
                pairs=_two_folders,
                images=_no_files,
                truths=_no_files,
                says_kind=False,
            ),
            Layout(
                name="ISBI 2012",
                sign="train-volume.tif and train-labels.tif",
                pairs=_isbi2012,
                images=_isbi2012_images,
                truths=_isbi2012_truths,
            ),
            NNUNET,
            STARDIST,
            DSB2018,
            CELL_TRACKING,
            CELLPOSE,
            SIDE_BY_SIDE,
            Layout(
                name="images and targets",
                sign="folders images and targets",
                pairs=_images_and_targets,
                images=_images_folder,
                truths=_targets_folder_truths,
            ),
            Layout(
                name="images and labels",
                sign="folders images and labels (or masks)",
                pairs=_images_and_labels,
                images=_images_folder,
                truths=_labels_folder_truths,
                says_kind=False,
            ),
        )
    }
)
"""Name of a layout -> how images, labels and results lie in it; the first that fits a folder is taken."""


def recognise(path: Path, silver: bool, problems: Problems) -> tuple[Layout, list[Pair]]:
    """Find the layout of a dataset and pair its files.

    Parameters
    ----------
    path : a folder, or two files or folders ``IMAGES,LABELS``
    silver : whether computer-made labels are wanted, where there are some
    problems : to which files that lack their partner are added

    Raises
    ------
    DatasetError
        If the layout is none of `LAYOUTS`, or no file has its partner.
    """
    if "," not in str(path):
        check_input(path, DatasetError, what="folder")
    for layout in LAYOUTS.values():
        pairs = layout.pairs(path, silver, problems)
        if pairs == []:
            problems.finish(path.name)
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
        layout.name
        for layout in LAYOUTS.values()
        if layout.name not in ("two files", "two folders", "images and labels")
    )
    raise DatasetError(
        f"{path} is no dataset: it holds {_contents(path)}; wanted are folders images and labels, --images FOLDER "
        f"--labels FOLDER, or a layout of {known}"
    )


def _contents(folder: Path) -> str:
    """What lies in a folder, in words.

    >>> import tempfile
    >>> _contents(Path(tempfile.mkdtemp()))
    'nothing'
    """
    folders = [path.name for path in folders_in(folder)]
    files = Counter(path.suffix.lower() or "without suffix" for path in folder.iterdir() if path.is_file())
    said = [f"{len(folders)} folders ({', '.join(folders[:5])}{', ...' * (len(folders) > 5)})"] if folders else []
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in files.most_common(5))
    said += [f"{files.total()} files ({kinds})"] if files else []
    return " and ".join(said) or "nothing"


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
    return tuple(path for _, path in named_images(folder))


def named_images(folder: Path) -> list[tuple[str, Path]]:
    """List the images of a folder as `images_in` does, with the names of their results without suffix.

    An OME-TIFF of several files is one image, with the name of the first of them.
    """
    found = [(layout.result_name, layout.images(folder)) for layout in LAYOUTS.values()]
    found.append((plain_name, image_files(folder)))
    inside = [(name, images) for name, images in found if images and images[0].parent == folder]
    name_of, images = next((each for each in [*inside, *found] if each[1]), (plain_name, ()))
    parts = parts_of_others(images)
    return [(name_of(image), image) for image in images if image not in parts]


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
