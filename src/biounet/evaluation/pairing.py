"""Which result is compared with which truth: files by name, frames by number."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from biounet.core.errors import DatasetError
from biounet.io import image_files, images_by_name, is_folder_of_images

__all__ = ["FilePair", "pair_files"]


@dataclass(frozen=True)
class FilePair:
    """A result and its truth.

    Attributes
    ----------
    name : str
        Of the result, as it stands in the table.
    result : Path
    truth : one label file, or a mask for each object
    masks : bool
        Each truth file is the mask of one object.
    section : from 0
        Which Z of the result the truth shows; ``None`` is all of them.
    role : what the truth is good for
        In the Cell Tracking Challenge, ``SEG`` shows the extent of some objects, ``TRA`` only marks where
        objects are, but all of them: that is for DET alone.
    """

    name: str
    result: Path
    truth: tuple[Path, ...]
    masks: bool = False
    section: int | None = None
    role: Literal["all", "extent", "markers"] = "all"


def pair_files(result: Path, truth: Path) -> list[FilePair]:
    """Pair results with truths.

    Parameters
    ----------
    result : Path
        A file, or a folder of files.
    truth : Path
        A file; a folder with files of the same names (suffixes may differ); a dataset: ISBI 2012, DSB 2018,
        ``images/`` with ``labels/``, ``masks/`` or ``targets/``; or ``01_GT`` of the Cell Tracking Challenge, with
        ``SEG``, ``TRA`` or both. Frames of that are ``mask000.tif`` or ``t000.tif`` in `result`; of them more
        than the truth has may be there.

    Raises
    ------
    DatasetError
        If one is missing or extra, which it names.

    Examples
    --------
    >>> pair_files(Path("no/such/result.tif"), Path("truth.tif"))
    Traceback (most recent call last):
    biounet.core.errors.DatasetError: no/such/result.tif: there is no such file or folder; check the name
    """
    for path in (result, truth):
        if not path.exists():
            raise DatasetError(f"{path}: there is no such file or folder; check the name")
    truth = _inside(truth, result)
    if (truth / "SEG").is_dir() or (truth / "TRA").is_dir():
        return list(_frames(result, truth))
    if is_folder_of_images(result) != is_folder_of_images(truth):
        folder, file = (result, truth) if is_folder_of_images(result) else (truth, result)
        raise DatasetError(f"{folder} is a folder, {file} a file; give two files or two folders")
    if not is_folder_of_images(truth):
        return [FilePair(result.name, result, (truth,))]
    cases = _masks_of_cases(truth)
    truths = cases or {stem: (path,) for stem, path in images_by_name(truth).items()}
    return [replace(pair, masks=bool(cases)) for pair in _by_stem(images_by_name(result), truths, truth)]


def _inside(truth: Path, result: Path) -> Path:
    """Find the labels in the folder of a dataset."""
    gold = truth / result.name.replace("_RES", "_GT")
    labels = [truth / "train-labels.tif", *(truth / name for name in ("labels", "masks", "targets"))]
    if result.name.endswith("_RES") and gold.is_dir():
        return gold
    if labels[0].exists():
        return labels[0]
    return next((folder for folder in labels[1:] if folder.is_dir() and (truth / "images").is_dir()), truth)


def _masks_of_cases(truth: Path) -> dict[str, tuple[Path, ...]]:
    """The masks of each case of the Data Science Bowl, ``<id>/masks``; empty if it is no such folder."""
    return {case.name: image_files(case / "masks") for case in sorted(truth.iterdir()) if (case / "masks").is_dir()}


def _by_stem(results: Mapping[str, Path], truths: Mapping[str, tuple[Path, ...]], truth: Path) -> list[FilePair]:
    """Pair by name; refuse what has no partner."""
    missing, extra = sorted(truths.keys() - results.keys()), sorted(results.keys() - truths.keys())
    if missing:
        raise DatasetError(f"{truths[missing[0]][0]} has no result{_more(missing)}; add {missing[0]} or move it away")
    if extra:
        raise DatasetError(f"{results[extra[0]]} has no truth in {truth}{_more(extra)}; add it or move the result away")
    if not results:
        raise DatasetError(f"{truth} holds no images; give the folder of the label files")
    return [FilePair(results[stem].name, results[stem], truths[stem]) for stem in sorted(results)]


def _frames(result: Path, truth: Path) -> Iterator[FilePair]:
    """Pair frames of the Cell Tracking Challenge by number."""
    if not is_folder_of_images(result):
        raise DatasetError(f"{result} is a file, {truth} a sequence; give the folder of its frames")
    frames = _frames_by_number(result)
    for folder, kind in ((truth / "SEG", "man_seg"), (truth / "TRA", "man_track")):
        for labels in image_files(folder) if folder.is_dir() else ():
            found = re.fullmatch(rf"{kind}_?(\d+)(?:_(\d+))?", labels.stem)
            if found is None:
                raise DatasetError(f"{labels}: its name must be {kind} and the number of a frame; move it away")
            if int(found[1]) not in frames:
                raise DatasetError(f"{labels} has no result; add {result / f'mask{found[1]}.tif'}")
            path, section = frames[int(found[1])], int(found[2]) if found[2] else None
            name = path.name if section is None else f"{path.name}[{section}]"
            yield FilePair(name, path, (labels,), section=section, role="extent" if kind == "man_seg" else "markers")


def _frames_by_number(result: Path) -> dict[int, Path]:
    """Frames of a result, ``mask000.tif`` or ``t000.tif``, by their numbers."""
    frames: dict[int, Path] = {}
    for path in image_files(result):
        found = re.fullmatch(r"(?:mask|t)?_?(\d+)", path.stem)
        if found is None:
            raise DatasetError(f"{path}: a frame must be called mask and its number, such as mask000.tif; rename it")
        other = frames.setdefault(int(found[1]), path)
        if other != path:
            raise DatasetError(f"{path} and {other.name} are the same frame; keep one of them")
    return frames


def _more(names: list[str]) -> str:
    """Say how many others there are."""
    return f", nor have {len(names) - 1} others" if len(names) > 1 else ""
