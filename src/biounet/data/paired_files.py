"""Files of a dataset by name: its folders in upper or lower case, and images with the labels that have their names."""

import os
from collections.abc import Iterable
from pathlib import Path

from biounet.core.errors import DatasetError
from biounet.core.problems import Problems
from biounet.data.dataset import Pair
from biounet.data.layout import Truth
from biounet.data.left_out import unread_images
from biounet.data.names import match_names
from biounet.io import images_by_name
from biounet.io.outline_files import as_image

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


def pair_by_name(images: Path, others: Path, what: str, problems: Problems) -> list[Pair]:
    """Pair the files of two folders by name, see `biounet.data.names.match_names`; what has no partner is a problem.

    Raises
    ------
    DatasetError
        If two files of a folder have one name, or there are no images but such that are not read here.
    """
    by_stem, truth, unread = images_by_name(images), images_by_name(others), unread_images(images)
    if not by_stem and unread:
        raise DatasetError(
            f"{images}: its images are {', '.join(sorted({path.suffix for path in unread.values()}))}, a format that "
            "is not read here; save them as .ome.tif"
        )
    found = match_names(by_stem, truth)
    missing = sorted(by_stem.keys() - found.keys())
    outlines = {path.name: hint for path in sorted(others.iterdir()) if (hint := as_image(path))} if missing else {}
    for name in missing:
        hints = (hint for file, hint in outlines.items() if file.startswith(name))
        wanted = next(hints, f"add {others.name}/{name}.tif or move the image away")
        problems.add(DatasetError(f"{by_stem[name]} has no {what}; {wanted}"))
    for name in sorted(truth.keys() - set(found.values())):
        if name in unread:
            problems.add(DatasetError(f"{unread[name]} is of a format that is not read here; save it as .ome.tif"))
        else:
            problems.add(DatasetError(f"{truth[name]} has no image; add it or move the {what} away"))
    # In the order of the names without suffixes, so that a format or layout does not change what is learnt.
    both = [(by_stem[stem], truth[found[stem]]) for stem in sorted(found)]
    return [Pair(image.name, image, (labels,), image.name) for image, labels in both]


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
