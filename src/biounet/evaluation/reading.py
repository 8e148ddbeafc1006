"""A pair of files to arrays that can be compared image by image."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from biounet.core.components import label_objects
from biounet.core.errors import ConfigError, ImageError, LabelError, ShapeError
from biounet.core.labels import IGNORE
from biounet.data.label_files import merge_masks, read_labels
from biounet.data.label_kind import LabelStatistics
from biounet.evaluation.pairing import FilePair
from biounet.io import Image, Meaning, open_selected, read_selected
from biounet.io.decoding import check_whole
from biounet.metrics.checks import EightBitWarning, as_probabilities
from biounet.segmentation import link_slices, number_apart

__all__ = ["Case", "pick_sections", "read_case"]


SCORED = 16
"""Bytes per pixel that a result, its truth and the tables of both take together, about."""

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Case:
    """A result and its truth in memory, with equal axes.

    Attributes
    ----------
    name, truth_name : str
        Of the result, as it stands in the table; of the file of the truth.
    truth : (T) (Z) Y X, int32
    result : of the same shape, as in the file, but for labels: those are integers, and not negative
    axes : str
        Those of both.
    first : int
        Number of the first section (or frame) in the file of the truth.
    spacing : micrometres per pixel, one number for each of (Z) Y X
    notes : tuple[str, ...]
    meaning : what the numbers mean, as the result tells, or else names of classes beside the truth; None: not known
    """

    name: str
    truth_name: str
    truth: NDArray[np.int32]
    result: np.ndarray
    axes: str
    first: int
    spacing: tuple[float, ...]
    notes: tuple[str, ...]
    meaning: Meaning | None = None

    @property
    def has_mask(self) -> bool:
        """Whether truth or result show foreground only: 255, or a 1 in several pieces."""
        return any(_shows_foreground(labels, self.name) for labels in (self.truth, self.result.astype(np.int32)))

    def probabilities(self) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """The result as probabilities, and what had to be converted."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", EightBitWarning)
            values = as_probabilities(self.result)
        return values, tuple(f"{self.name}: {warning.message}" for warning in caught)

    def images(self, result: np.ndarray, *, planar: bool) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Divide into frames, and if `planar` into sections: name, truth and result of each."""
        stacked = self.truth.ndim - (2 if planar else 2 + ("Z" in self.axes))
        for index in np.ndindex(self.truth.shape[:stacked]):
            numbers = (index[0] + self.first, *index[1:]) if index else ()
            yield self.name + "".join(f"[{number}]" for number in numbers), self.truth[index], result[index]

    def check_classes(self) -> None:
        """Refuse numbered objects where classes are wanted."""
        if self.meaning is not None and self.meaning.numbers_objects:
            raise LabelError("the result holds numbered objects, not classes; ask for objects or overlap")

    def check_objects(self) -> None:
        """Refuse classes and masks where numbered objects are wanted."""
        if self.meaning is not None and self.meaning.kind in ("classes", "parts"):
            raise LabelError(
                f"the result holds {self.meaning.shown}, not numbered objects; ask for classes or overlap, or number "
                "their parts by: biounet measure RESULT --split"
            )
        for what, labels in ((f"its truth {self.truth_name}", self.truth), ("the result", self.result)):
            if labels.dtype.kind in "iu" and labels.max() == 255 and _is_mask(labels):
                raise LabelError(f"{what} is a mask (0 and 255), not numbered objects; ask for overlap or isbi2012")


def read_case(
    pair: FilePair,
    *,
    sections: slice | None = None,
    spacing: Sequence[float] | None = None,
    class_names: Sequence[str] = (),
) -> Case:
    """Read a pair of files and bring them to equal axes.

    `class_names` stand beside the truth: they hold where the result does not tell, and no number goes beyond them.

    Raises
    ------
    ImageError, LabelError
        If a file cannot be read, or the result has several channels.
    ShapeError
        If the two are of different size.
    ConfigError
        If `sections` selects nothing.
    """
    with open_selected(pair.result, pair.of_result, labels=True) as file:
        check_whole(file, pair.result, pixel=SCORED)
    image = _as_stack(read_selected(pair.result, pair.of_result, labels=True))
    truth, axes, truth_spacing, notes = _read_truth(pair, stack=image.array.shape if "Z" in image.axes else ())
    if "C" in image.axes:
        channels = image.array.shape[image.axes.index("C")]
        raise ImageError(f"{pair.result} has {channels} channels, wanted is one; save one channel, or classes")
    result = image.array
    if pair.section is not None:
        result = result[pair.section]
    if result.ndim == truth.ndim + 1 and len(result) == 1:
        result = result[0]
    result, conversions = _as_labels(result, pair.result.name)
    first = 0
    if sections is not None and truth.ndim > 2:
        first = sections.indices(len(truth))[0]
        truth, result = pick_sections(truth, result, sections, name=pair.truth[0].name)
    if truth.shape != result.shape:
        wanted, came = (" x ".join(map(str, array.shape)) for array in (truth, result))
        raise ShapeError(
            f"{pair.result.name} has {came} pixels, {pair.truth[0].name} has {wanted}; pick sections or predict anew"
        )
    if truth.size and truth.max() < 0:
        conversions = (
            *conversions,
            f"{pair.truth[0].name} has no known pixel, all are negative (IGNORE); nothing of it is scored",
        )
    if image.meaning is not None and image.meaning.numbers_objects and _shows_foreground(truth, pair.truth[0].name):
        truth = _number_parts(truth, like=result)
        said = f"{pair.truth[0].name} is a mask; its connected components in each section are its objects"
        conversions = (*conversions, said)
    steps = spacing or truth_spacing or image.spacing
    steps = tuple(steps)[-len(axes.replace("T", "")) :] if steps else (1.0,) * len(axes.replace("T", ""))
    truth_name = pair.name if pair.masks else pair.truth[0].name
    silent = image.meaning is None and result.dtype.kind != "f"
    told = class_names if silent and max(truth.max(initial=0), result.max(initial=0)) <= len(class_names) else ()
    meaning = Meaning(kind="classes", class_names=tuple(told)) if told else image.meaning
    return Case(pair.name, truth_name, truth, result, axes, first, steps, notes + conversions, meaning)


def pick_sections(
    truth: NDArray[T], result: np.ndarray, sections: slice, *, name: str, axis: int = 0
) -> tuple[NDArray[T], np.ndarray]:
    """Take sections (or frames) of the truth along an axis, and of a result that has all of them.

    Raises
    ------
    ConfigError
        If none are selected of the truth, a file of that name.

    Examples
    --------
    >>> pick_sections(np.array([[1], [2], [3]]), np.array([[7]]), slice(1, 2), name="truth.tif")
    (array([[2]]), array([[7]]))
    """
    count, chosen = truth.shape[axis], (*(slice(None),) * axis, sections)
    if not range(count)[sections]:
        ends = ":".join("" if end is None else str(end) for end in (sections.start, sections.stop))
        raise ConfigError(f"sections {ends} select nothing of the {count} in {name}")
    whole = result.ndim == truth.ndim and result.shape[axis] == count
    return truth[chosen], result[chosen] if whole else result


def _read_truth(
    pair: FilePair, *, stack: tuple[int, ...]
) -> tuple[NDArray[np.int32], str, tuple[float, ...] | None, tuple[str, ...]]:
    """Labels, their axes and spacing, and what had to be converted; `stack` is the shape of a result with sections."""
    path = pair.truth[0]
    if pair.masks:
        labels = merge_masks(pair.truth)
        return labels, "ZYX"[-labels.ndim :], None, ()
    with open_selected(path, pair.of_truth, labels=True) as file:
        axes, shape, spacing = file.axes, file.shape, file.spacing
    if axes == "CYX" and shape[1:] == stack[1:]:
        stacked = _as_stack(read_selected(path, pair.of_truth, labels=True))
        with np.errstate(invalid="ignore"):  # what does not fit is refused
            labels = stacked.array.astype(np.int32)
        if (labels != stacked.array).any():
            raise LabelError(f"{path}: labels must be integers of up to 31 bits; save them so, numbered from 1")
        if pair.ignore is not None:
            labels[labels == pair.ignore] = IGNORE
        return labels, stacked.axes, spacing, ()
    if "T" in axes:
        frames = [
            read_labels(path, section=frame, ignore=pair.ignore, selection=pair.of_truth)
            for frame in range(shape[axes.index("T")])
        ]
        labels, note = np.stack([labels for labels, _ in frames]), frames[0][1]
    else:
        labels, note = read_labels(path, ignore=pair.ignore, selection=pair.of_truth)
    return labels, axes.replace("C", ""), spacing, () if note is None else (f"{path.name} holds {note}",)


def _as_labels(result: np.ndarray, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read whole numbers above 1 as labels, for they are no probabilities, and IGNORE as background; with notes."""
    notes: tuple[str, ...] = ()
    largest = np.abs(result).max(initial=0) if result.dtype.kind == "f" else 0
    if result.dtype == np.uint64 and result.max(initial=0) > np.iinfo(np.int64).max:
        raise LabelError(f"{name}: label {result.max()} does not fit 63 bits; renumber the labels from 1")
    if 1 < largest <= 2**53 and (result == np.rint(result)).all():
        result, notes = result.astype(np.int64), (f"{name} holds floats that are whole numbers, read as integers",)
    if result.dtype.kind == "i" and result.min(initial=0) < 0:
        result, notes = np.maximum(result, 0), (*notes, f"{name} holds negative labels (IGNORE), taken as background")
    return result, notes


def _as_stack(image: Image) -> Image:
    """Take channels of a plane for sections: a stack of three or four is easily saved as colours. Drop a single one."""
    if image.axes == "CYX" and len(image.array) > 1:
        return Image(image.array, "ZYX", meaning=image.meaning)
    if "C" in image.axes and image.array.shape[image.axes.index("C")] == 1:
        array = image.array.squeeze(image.axes.index("C"))
        return replace(image, array=array, axes=image.axes.replace("C", ""))
    return image


def _shows_foreground(labels: NDArray[np.int32], name: str) -> bool:
    """Whether labels of that name are 255, or a 1 in several pieces, where they are not 0."""
    return _is_mask(labels) and (labels.max() == 255 or LabelStatistics.of(Path(name), [labels]).pieces > 1)


def _number_parts(mask: NDArray[np.int32], *, like: np.ndarray) -> NDArray[np.int32]:
    """Connected components of each section of a mask as objects, linked through the sections if those of `like` are.

    >>> _number_parts(np.array([[[255, 0, 255]], [[255, -1, 0]]], np.int32), like=np.array([[[1, 0, 2]], [[1, 0, 0]]]))
    array([[[ 1,  0,  2]],
    <BLANKLINE>
           [[ 1, -1,  0]]], dtype=int32)
    """
    sections = mask.reshape(-1, *mask.shape[-2:])
    parts = np.stack([label_objects(section > 0) for section in sections])
    found = [np.unique(section[section > 0]) for section in like.reshape(sections.shape)]
    linked = mask.ndim == 3 and sum(map(len, found)) > len(np.unique(like[like > 0]))
    numbers = (link_slices if linked else number_apart)(parts).reshape(mask.shape)
    return np.where(mask < 0, mask, numbers).astype(np.int32)


def _is_mask(labels: np.ndarray) -> bool:
    """Whether all positive numbers are 1, or all are 255."""
    positive = labels[labels > 0]
    return bool(positive.size) and positive[0] in (1, 255) and bool((positive == positive[0]).all())
