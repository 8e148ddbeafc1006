"""Names of results: the file that the result of each image goes to, and the number type that a challenge expects."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from biounet.config.tasks import LABELS
from biounet.core.errors import BiounetError, ImageError, OutputError
from biounet.core.places import check_output
from biounet.data.layouts import LABEL_FOLDERS, LAYOUTS, named_images
from biounet.data.left_out import left_out
from biounet.data.nnunet_layout import case_of
from biounet.io import (
    CHANNELS,
    format_of,
    images_at,
    is_folder_of_images,
    is_image,
    of_channels,
    plain_name,
    suffixes,
)

__all__ = ["check_annotations", "label_type", "name_outputs"]

_NAMES = tuple(layout.names for layout in LAYOUTS.values() if layout.names is not None)
"""Names of results that challenges want."""


def name_outputs(
    inputs: Sequence[Path], out: Path, *, save: str = "labels", as_one: bool = False
) -> list[tuple[Path, Path]]:
    """Pair every image with the file that its result goes to.

    Parameters
    ----------
    inputs : images, folders of images, or datasets, see `biounet.data.images_in`
    out : Path
        A file if its name is that of an image, else a folder in which results have the names of their images. In a
        folder such as ``01_RES``, labels of frames of the Cell Tracking Challenge have the names that it wants.
    save : what is written
    as_one : bool
        A plate or another set of images is one input, since one of its images was selected.

    Raises
    ------
    ImageError
        If a folder holds no images.
    OutputError
        If several results would have one name, or a result that of an image.

    Examples
    --------
    >>> [target.as_posix() for _, target in name_outputs([Path("a.png"), Path("b.tif")], Path("results"))]
    ['results/a.tif', 'results/b.tif']
    >>> [target.as_posix() for _, target in name_outputs([Path("01/t007.tif")], Path("01_RES"))]
    ['01_RES/mask007.tif']
    """
    check_output(out, file=is_image(out))
    named = _apart(list(dict.fromkeys(each for given in inputs for each in _images_in(given, as_one=as_one))))
    images = [path for _, path in named]
    if is_image(out):
        if len(images) > 1:
            raise OutputError(f"{out} is one file, there are {len(images)} images; give a folder as --out")
        pairs = [(images[0], out)]
    else:
        pairs = [(path, out / name) for path, name in zip(images, _names(named, out, save), strict=True)]
    folders: dict[str, str] = {}
    given, taken = {_real(image, folders) for image in images}, dict[Path, Path]()
    for path, target in pairs:
        if target in taken:
            raise OutputError(f"{taken[target]} and {path} would both become {target}; predict them into two folders")
        if _real(target, folders) in given:
            raise OutputError(f"{target} is an image to predict; choose another --out")
        check_output(target)
        taken[target] = path
    return pairs


def check_annotations(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Refuse results that would replace annotations: label files of a dataset that an image belongs to.

    Parameters
    ----------
    pairs : images and results, as `name_outputs` gives them

    Raises
    ------
    OutputError
        If there is such a result.
    """
    replaced = [(image, target) for image, target in pairs if target.exists()]
    truths = _annotations({image.parent for image, _ in pairs}) if replaced else set()
    folders: dict[str, str] = {}
    for image, target in replaced:
        if os.path.realpath(target) in truths:
            raise OutputError(f"{target} is an annotation of the dataset; choose another --out")
        around, images = os.path.split(os.path.dirname(_real(image, folders)))
        beside, labels = os.path.split(_real_folder(os.path.dirname(target), folders))
        if images == "images" and labels in LABEL_FOLDERS and beside == around:
            raise OutputError(f"{target} is an annotation of {image.name}; choose another --out")


def _annotations(folders: Iterable[Path]) -> set[str]:
    """Label files of datasets in which these folders lie."""
    around = {place for folder in folders for place in (folder, *folder.parents)[:3]}
    found: set[str] = set()
    results = {Path(f"{folder.resolve().name}_RES") for folder in folders}  # of cell tracking
    for place, layout, result in product(sorted(around), LAYOUTS.values(), sorted(results)):
        with suppress(BiounetError, OSError):  # it is no dataset, or not a whole one
            found |= {os.path.realpath(file) for truth in layout.truths(place, result) for file in truth.files}
    return found


def label_type(path: Path, usual: np.dtype[Any]) -> np.dtype[Any]:
    """Type of the numbers in a result of labels: the usual one, or what the programs of a challenge expect.

    >>> label_type(Path("01_RES/mask007.tif"), np.dtype("uint32"))
    dtype('uint16')
    """
    dtypes = (names.dtype for names in _NAMES if names.fit(path))
    return np.dtype(next(dtypes, usual))


def _names(named: Sequence[tuple[str, Path]], out: Path, save: str) -> list[str]:
    """Names of results in a folder: those that a challenge gives to all of them, or those of the images."""
    for names in _NAMES if save in ("labels", "objects") else ():
        given = [names.of(image, out) for _, image in named]
        if None not in given:
            return [str(name) for name in given]
    return [f"{name}{_suffix(image, save)}" for name, image in named]


def _real(path: Path, folders: dict[str, str]) -> str:
    """The path without symbolic links; `folders` keeps those of folders, so that each is looked up once."""
    text = os.fspath(path)
    if os.path.islink(text):
        return os.path.realpath(text)
    folder, name = os.path.split(text)
    if name in ("", "..", "."):
        return os.path.realpath(text)
    return f"{_real_folder(folder, folders)}/{name}"


def _real_folder(folder: str, known: dict[str, str]) -> str:
    """A folder without symbolic links."""
    if folder not in known:
        known[folder] = os.path.realpath(folder)
    return known[folder]


def _suffix(image: Path, save: str) -> str:
    """Suffix of the result of an image: nnU-Net wants labels in files like its images."""
    form = format_of(image)
    if of_channels(image) and save in LABELS and form.write is not None and form.exact:
        return image.name.rpartition(CHANNELS)[2]
    return form.result


def _images_in(given: Path, *, as_one: bool) -> list[tuple[str, Path]]:
    """The images that an input stands for, with the names of their results: itself, or those of a folder or dataset."""
    if not is_folder_of_images(given) or (as_one and images_at(given) != (given,)):
        given = case_of(given)  # whoever names all files of nnU-Net means its cases
        return [(plain_name(image), image) for image in ([given] if as_one else images_at(given))]
    found = named_images(given)
    if not found:
        said = "; ".join(left_out([given]))
        raise ImageError(
            f"{given} holds no images{f' ({said})' if said else ''}; give files, folders or datasets of "
            f"{', '.join(suffixes())}"
        )
    return found


def _apart(named: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Images with names of results; those in ``CASE/images`` that share one have the name of their case."""
    counts = Counter(name for name, _ in named)
    cases = Counter(path.parents[1].resolve() for name, path in named if counts[name] > 1 and _in_case(path))

    def name_of(name: str, path: Path) -> str:
        if counts[name] == 1 or not _in_case(path):
            return name
        case = path.parents[1].resolve()
        return case.name if cases[case] == 1 else f"{case.name}_{name}"

    return [(name_of(name, path), path) for name, path in named]


def _in_case(path: Path) -> bool:
    """Whether an image lies in ``CASE/images``."""
    return path.parent.name.lower() == "images" and len(path.parents) > 1
