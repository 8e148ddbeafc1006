"""Files of a dataset by name: its folders in upper or lower case, and images with the labels that have their names."""

import os
from collections.abc import Iterable
from pathlib import Path

from biounet.core.errors import DatasetError
from biounet.data.dataset import Pair
from biounet.data.layout import Truth
from biounet.io import images_by_name

__all__ = ["file_in", "folder_in", "folders_in", "labels_folder", "pair_by_name", "truths_by_name"]


def folder_in(folder: Path, name: str) -> Path | None:
    """The folder of a name inside another folder; upper and lower case are alike.

    Raises
    ------
    DatasetError
        If several folders have the name.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "Images").mkdir()
    >>> folder_in(folder, "images").name
    'Images'
    """
    return _only(path for path in _named(folder, name) if path.is_dir())


def file_in(folder: Path, name: str) -> Path | None:
    """The file of a name inside a folder; upper and lower case are alike.

    Raises
    ------
    DatasetError
        If several files have the name.
    """
    return _only(path for path in _named(folder, name) if path.is_file())


def folders_in(folder: Path) -> list[Path]:
    """Folders in a folder, by name."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if entry.is_dir())


def labels_folder(folder: Path) -> Path | None:
    """The folder of label files, ``labels`` or else ``masks``."""
    return folder_in(folder, "labels") or folder_in(folder, "masks")


def truths_by_name(folder: Path) -> list[Truth]:
    """List the label files of a folder, one truth for each."""
    return [Truth(key=name, files=(path,)) for name, path in sorted(images_by_name(folder).items())]


def pair_by_name(images: Path, others: Path, what: str) -> list[Pair]:
    """Pair the files of two folders by name without suffix.

    Raises
    ------
    DatasetError
        If a file has no partner.
    """
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


def _named(folder: Path, name: str) -> list[Path]:
    """Files and folders of a name in any case."""
    if not folder.is_dir():
        return []
    return [folder / found for found in sorted(os.listdir(folder)) if len(found) == len(name) and found.lower() == name]


def _only(found: Iterable[Path]) -> Path | None:
    """The only one of the paths that have one name."""
    paths = list(found)
    if len(paths) > 1:
        raise DatasetError(f"{paths[0]} and {paths[1].name} differ in upper and lower case only; keep one of them")
    return paths[0] if paths else None


def _more(names: Iterable[str]) -> str:
    """Say how many others there are."""
    others = len(list(names)) - 1
    return f", nor have {others} others" if others else ""
