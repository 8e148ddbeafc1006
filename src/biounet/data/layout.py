"""Layouts of datasets: folders and names of images, of their labels, and of results."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from biounet.core.problems import Problems
from biounet.data.dataset import Pair
from biounet.io import images_by_name, plain_name

__all__ = ["Layout", "ResultNames", "Truth"]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Label files that the result of one image is compared with."""

    key: str | None
    """Name of the image without its suffix, or the number of a frame: results are found by it. ``None`` for the only
    image that there is, whatever its result is called."""
    result: str = ""
    """Name of the file to add where a result is missing; empty where that is the key."""
    files: tuple[Path, ...]
    """One label file, or the masks of single objects."""
    masks: bool = False
    """Each file is the mask of one object."""
    section: int | None = None
    """Which Z of the result the labels show, from 0; ``None`` is all of it."""
    ignore: int | None = None
    """Number that means unknown."""
    role: Literal["all", "extent", "markers"] = "all"
    """What the labels are good for: ``extent`` outlines some objects, ``markers`` says where all objects are."""


@dataclass(frozen=True, kw_only=True)
class ResultNames:
    r"""Names of label images that the programs of a challenge look for.

    Examples
    --------
    >>> names = ResultNames(folder=r".*_RES", image=r"t(\d+)\.tif", result="mask{}.tif", dtype="uint16")
    >>> names.of(Path("01/t007.tif"), Path("01_RES")), names.of(Path("01/t007.tif"), Path("results"))
    ('mask007.tif', None)
    >>> names.fit(Path("01_RES/mask007.tif"))
    True
    """

    folder: str
    """Regular expression of the names of folders with results."""
    image: str
    """Regular expression of the names of images, with a group for the number."""
    result: str
    """Name of a result; ``{}`` stands for the number."""
    dtype: str
    """Type of the numbers of objects."""

    def of(self, image: Path, folder: Path) -> str | None:
        """Name of the result of an image in a folder; ``None`` where it is that of the image."""
        found = re.fullmatch(self.image, image.name)
        return self.result.format(found[1]) if found and re.fullmatch(self.folder, folder.name) else None

    def fit(self, result: Path) -> bool:
        """Whether a file is such a result."""
        number = re.escape(self.result).replace(re.escape("{}"), r"\d+")
        return bool(re.fullmatch(number, result.name) and re.fullmatch(self.folder, result.parent.name))


def _no_notes(pairs: Sequence[Pair]) -> list[str]:
    """Nothing to say."""
    return []


def _no_names(folder: Path) -> tuple[str, ...]:
    """No names."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A layout: where training finds pairs, prediction its images, and evaluation the truth and the results."""

    name: str
    """What people call the layout."""
    sign: str
    """What it is recognised by."""
    pairs: Callable[[Path, bool, Problems], list[Pair] | None]
    """(folder, whether computer-made labels are wanted, problems to add to) -> images with labels; ``None`` if the
    layout is another."""
    images: Callable[[Path], Sequence[Path]]
    """Folder -> all images, labelled or not; empty if the layout is another."""
    truths: Callable[[Path, Path], list[Truth]]
    """(folder, folder or file of results) -> labels to compare with; empty if the layout is another."""
    results: Callable[[Path], Mapping[str, Path]] = images_by_name
    """Folder of results -> the files in it, by the keys of their truths."""
    names: ResultNames | None = None
    """Names of results, where they are not those of the images."""
    result_name: Callable[[Path], str] = plain_name
    """Image in a dataset -> name of its result without suffix."""
    class_names: Callable[[Path], tuple[str, ...]] = _no_names
    """Folder -> names of classes 0, 1, ..., where the dataset tells them."""
    says_kind: bool = True
    """The layout says whether numbers of labels are objects or classes; otherwise the labels do."""
    all_labelled: bool = True
    """Every object in an image with labels has a label. Otherwise some, or those at the edges, have none."""
    all_compared: bool = True
    """Every result has a truth. Otherwise there may be more results."""
    notes: Callable[[Sequence[Pair]], list[str]] = _no_notes
    """Pairs -> what a person should know of those who labelled them."""
