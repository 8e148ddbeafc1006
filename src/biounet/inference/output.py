"""Names of results, and the type of labels that goes with a name."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biounet.core.errors import ImageError, OutputError
from biounet.data import images_in
from biounet.io import FORMATS, plain_name

__all__ = ["label_type", "name_outputs"]


FRAME, MASK = re.compile(r"t(\d+)\.tif"), re.compile(r"mask\d+\.tif")
"""Names of images and results of the Cell Tracking Challenge."""


def name_outputs(inputs: Sequence[Path], out: Path, *, save: str = "labels") -> list[tuple[Path, Path]]:
    """Pair every image with the file that its result goes to.

    Parameters
    ----------
    inputs : images, folders of images, or datasets, see `biounet.data.images_in`
    out : Path
        A file if its suffix is that of an image, else a folder in which results have the names of their images. In a
        folder such as ``01_RES``, labels of frames of the Cell Tracking Challenge have the names that it wants.
    save : what is written

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
    images = [path for given in inputs for path in _images_in(given)]
    if out.suffix.lower() in FORMATS or out.parent.name == "labels":  # labels of an OME-Zarr image need no suffix
        if len(images) > 1:
            raise OutputError(f"{out} is one file, there are {len(images)} images; give a folder as --out")
        pairs = [(images[0], out)]
    elif save == "labels" and _is_challenge(out) and all(FRAME.fullmatch(path.name) for path in images):
        pairs = [(path, out / FRAME.sub(r"mask\1.tif", path.name)) for path in images]
    else:
        pairs = [(path, out / f"{plain_name(path)}{_suffix(path)}") for path in images]
    taken: dict[Path, Path] = {}
    for path, target in pairs:
        if target in taken:
            raise OutputError(f"{taken[target]} and {path} would both become {target}; predict them into two folders")
        if target.resolve() in {image.resolve() for image in images}:
            raise OutputError(f"{target} is an image to predict; choose another --out")
        taken[target] = path
    return pairs


def _is_challenge(folder: Path) -> bool:
    """Whether the Cell Tracking Challenge looks for results in a folder of this name."""
    return folder.name.endswith("_RES")


def _images_in(given: Path) -> list[Path]:
    """The images that an input stands for: itself, or those of a folder or dataset."""
    if not given.is_dir() or given.suffix.lower() in FORMATS:
        return [given]
    found = images_in(given)
    if not found:
        raise ImageError(f"{given} holds no images; give files, folders or datasets of {', '.join(FORMATS)}")
    return list(found)


def _suffix(path: Path) -> str:
    """Stores stay stores, all else becomes TIFF."""
    return ".zarr" if path.suffix.lower() == ".zarr" else ".tif"


def label_type(path: Path, usual: "np.dtype[Any]") -> "np.dtype[Any]":
    """Type of the labels in a file: 16 bits where the Cell Tracking Challenge wants them, else the usual type."""
    return np.dtype(np.uint16) if MASK.fullmatch(path.name) and _is_challenge(path.parent) else usual
