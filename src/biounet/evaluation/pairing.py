"""Pairs of results and truths: files by name, frames by number."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from biounet.core.errors import DatasetError
from biounet.core.places import check_input
from biounet.data.layout import Truth
from biounet.data.layouts import truths_in
from biounet.data.names import match_names
from biounet.io import Selection, is_folder_of_images
from biounet.io.inner_path import split_inner

__all__ = ["FilePair", "pair_files", "select_files"]


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
    ignore : number in the truth that means unknown
    role : what the truth is good for
        In the Cell Tracking Challenge, ``SEG`` shows the extent of some objects, ``TRA`` only marks where
        objects are, but all of them: that is for DET alone.
    of_result, of_truth : Selection
        What is read of the files.
    """

    name: str
    result: Path
    truth: tuple[Path, ...]
    masks: bool = False
    section: int | None = None
    ignore: int | None = None
    role: Literal["all", "extent", "markers"] = "all"
    of_result: Selection = Selection()
    of_truth: Selection = Selection()


def pair_files(result: Path, truth: Path, *, ignore: int | None = None) -> list[FilePair]:
    """Pair results with truths.

    Parameters
    ----------
    result : Path
        A file, or a folder of files.
    truth : Path
        A file; a folder with files of the same names (suffixes may differ); a dataset in one of
        `biounet.data.LAYOUTS`; or ``01_GT`` of the Cell Tracking Challenge, with ``SEG``, ``TRA`` or both. Frames of
        that are ``mask000.tif`` or ``t000.tif`` in `result`, where more of them than the truth has may be. Where no
        names are equal, those of labels may have other ends, see `biounet.data.names.match_names`.
    ignore : number in the truth that means unknown, where the dataset names none

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
        check_input(split_inner(path)[0], DatasetError, what="file or folder")
    if is_folder_of_images(truth):
        layout, truths = truths_in(truth, result)
        single = [each for each in truths if each.key is None]
    else:
        single = [Truth(key=None, files=(truth,))]
    if is_folder_of_images(result) == bool(single):
        folder, file = (result, single[0].files[0]) if single else (truth, result)
        raise DatasetError(f"{folder} is a folder, {file} a file; give two files or two folders")
    if single:
        return [FilePair(result.name, result, single[0].files, ignore=ignore)]
    truths = [each if each.ignore is not None else replace(each, ignore=ignore) for each in truths]
    return _by_key(_renamed(layout.results(result), truths), truths, truth, all_compared=layout.all_compared)


def select_files(
    result: Path,
    truth: Path,
    *,
    ignore_value: int | None = None,
    axes: str | None = None,
    series: int | str | None = None,
    channel: int | None = None,
    level: int = 0,
) -> list[FilePair]:
    """Pair results with truths, as `pair_files` does, with what is read of both; see `biounet.evaluation.evaluate`."""
    of_result = Selection(axes, channel=None if channel is None else (channel,))
    of_truth = Selection(axes, series, level=level)
    found = pair_files(result, truth, ignore=ignore_value)
    return [replace(pair, of_result=of_result, of_truth=of_truth) for pair in found]


def _renamed(results: Mapping[str, Path], truths: Sequence[Truth]) -> Mapping[str, Path]:
    """Results by the keys of their truths, where their own names are similar."""
    keys = [str(each.key) for each in truths]
    if results.keys() >= set(keys):
        return results
    found = match_names(list(results), list(dict.fromkeys(keys)))
    return {found.get(name, name): path for name, path in results.items()}


def _by_key(
    results: Mapping[str, Path], truths: Sequence[Truth], folder: Path, *, all_compared: bool
) -> list[FilePair]:
    """Pair by the keys of the truths; refuse what has no partner."""
    keys = {each.key for each in truths}
    missing = [each for each in truths if each.key not in results]
    extra = sorted(results.keys() - keys) if all_compared else []
    if missing:
        first, wanted = missing[0].files[0], missing[0].result or missing[0].key
        raise DatasetError(
            f"{first} has no result{_more({each.key for each in missing})}; add {wanted} or move it away"
        )
    if extra:
        raise DatasetError(
            f"{results[extra[0]]} has no truth in {folder}{_more(extra)}; add it or move the result away"
        )
    if not truths:
        raise DatasetError(f"{folder} holds no images; give the folder of the label files")
    return [_pair(results[str(each.key)], each) for each in truths]


def _pair(result: Path, truth: Truth) -> FilePair:
    """Pair a result with its truth."""
    name = result.name if truth.section is None else f"{result.name}[{truth.section}]"
    return FilePair(
        name, result, truth.files, masks=truth.masks, section=truth.section, ignore=truth.ignore, role=truth.role
    )


def _more(lacking: Collection[Any]) -> str:
    """Say how many others lack a partner."""
    return f", nor have {len(lacking) - 1} others" if len(lacking) > 1 else ""
