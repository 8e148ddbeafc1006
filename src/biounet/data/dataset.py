"""Pairs of images and labels, and how they are read."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config.tasks import TASKS, Task
from biounet.core.errors import LabelError, ShapeError
from biounet.core.labels import IGNORE
from biounet.data.cell_tracking import Reach, mark_around, mark_margin
from biounet.data.label_files import counted_axis, fill_missing, merge_masks, read_labels, region, spatial_shape
from biounet.io import LazyImage, Selection, fit_channels, open_selected

__all__ = [
    "Dataset",
    "Pair",
    "by_section",
    "check_sizes",
    "has_labels",
    "label_strips",
    "load",
    "raw_labels",
    "read_markers",
    "strips",
]


STRIP = 2**24
"""Pixels that are looked at together where one look at all of an image is enough."""


@dataclass(frozen=True)
class Pair:
    """One image to learn from, and where its labels are.

    Parameters
    ----------
    name : str
        What people call it: the file, and the section in a stack, e.g. ``train-volume.tif[3]``.
    image : Path
    labels : one file, or several masks
    group : str
        Images of one stack or sequence share it: neighbours are too alike to validate on each other.
    kind : key of `biounet.config.tasks.TASKS`
        What the numbers of the labels mean; or that the label file is the target image.
    section : from 0
        Which time point of the file, or Z where there is no time; ``None`` is all of it.
    rows : first and last but one row
        Which part along Y; ``None`` is all of it.
    ignore : number in the label file that means unknown
    values : of the label file, those that stand for class 0, 1, ...
        Empty where the numbers are to be taken as they are.
    masks : bool
        Each of the label files is the mask of one object.
    complete : Path
        Labels of less quality in which no cell is missing; what only they know is IGNORE.
    fill : bool
        What only they know is learnt from.
    markers : Path
        Of all cells, also of those that neither `labels` nor `complete` outlines; around these background is IGNORE.
    reach : pixels along Z, and along Y and X
        So far from their markers the labels of cells reach at most; see `biounet.data.cell_tracking`.
    margin : pixels
        So near to the edges along Y and X objects are not labelled: background there is IGNORE.
    channels : int
        Those that the image shall have. Grey is repeated, equal colours are merged.
    shape : (C, Y, X) or (C, Z, Y, X)
        As `load` gives it.
    spacing : micrometres per pixel and spatial axis, where the file has it
    target_channels : int
        Those that the target image shall have; 0 where there are labels.
    selection : Selection
        What is read of the image file.
    label_level : int
        Level of the labels that has the size of the image.
    """

    name: str
    image: Path
    labels: tuple[Path, ...]
    group: str
    kind: str = "classes"
    section: int | None = None
    rows: tuple[int, int] | None = None
    ignore: int | None = None
    values: tuple[int, ...] = ()
    masks: bool = False
    complete: Path | None = None
    fill: bool = False
    markers: Path | None = None
    reach: Reach = (0, 0)
    margin: int = 0
    channels: int = 1
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] | None = None
    target_channels: int = 0
    selection: Selection = Selection()
    label_level: int = 0

    @property
    def label_selection(self) -> Selection:
        """What is read of the label files, or of a target image."""
        return replace(self.selection.of_labels if self.task.has_labels else self.selection, level=self.label_level)

    @property
    def task(self) -> Task:
        """Task that a network is trained for with the pair."""
        return TASKS[self.kind]

    @property
    def extent(self) -> tuple[int, int]:
        """First and last but one row."""
        return self.rows or (0, self.shape[-2])

    @property
    def by_rows(self) -> bool:
        """Whether the labels of some rows can be read without those of the others."""
        return not (self.masks or self.margin or self.markers or self.complete)


@dataclass(frozen=True)
class Dataset:
    """Images and labels in a folder whose layout was recognised.

    Parameters
    ----------
    name : str
    layout : str
        A key of `biounet.data.LAYOUTS`.
    pairs : tuple[Pair, ...]
        In the order of their groups, sections and names.
    notes : tuple[str, ...]
        What a person should know of how the files were read.
    sign : str
        What the layout was recognised by.
    class_names : of classes 0, 1, ..., where the dataset tells them
    """

    name: str
    layout: str
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()
    sign: str = ""
    class_names: tuple[str, ...] = ()

    def load(self, pair: Pair) -> tuple[NDArray[Any], NDArray[Any]]:
        """Read one image and its labels, or its target image; see `load`."""
        return load(pair)


def load(pair: Pair) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read an image and its labels, or its target image.

    Returns
    -------
    image : (C, Y, X) or (C, Z, Y, X), of the type in the file
    labels : (Y, X) or (Z, Y, X), int32; or an image (C, Y, X) or (C, Z, Y, X), of the type in the file
        0 is background, above are classes or objects, `IGNORE` is unknown.

    Raises
    ------
    ImageError
        If a file cannot be read, or an image holds NaN.
    LabelError
        If the labels are no integers, or hold values that no other label file of the dataset has.
    ShapeError
        If image and labels are of different size.
    """
    image = _read_image(pair, pair.image, pair.channels, pair.selection)
    sized = replace(pair, shape=image.shape)
    if not pair.task.has_labels:
        target = _read_image(pair, pair.labels[0], pair.target_channels, pair.label_selection)
        check_sizes(sized, target.shape[1:])
        return image, target
    labels, _ = raw_labels(pair)
    check_sizes(sized, labels.shape)
    return image, _as_classes(labels, pair) if pair.values else labels


def _read_image(pair: Pair, path: Path, channels: int, selection: Selection) -> NDArray[Any]:
    """Read the section and rows of a pair from an image, (C, *spatial)."""
    with open_selected(path, selection) as file:
        box = region(file, pair.section, pair.rows)
        image, axes = file.read(box), file.axes
    if counted := counted_axis(axes, pair.section):
        image, axes = image.take(0, axes.index(counted)), axes.replace(counted, "")
    return fit_channels(image if "C" in axes else image[None], channels, path.name)


def raw_labels(pair: Pair) -> tuple[NDArray[np.int32], str | None]:
    """Read the labels with the numbers of the file, and say what had to be converted."""
    if pair.masks:
        merged = merge_masks(pair.labels)
        return (merged if pair.rows is None else merged[..., slice(*pair.rows), :]), None
    if pair.rows is not None and not pair.by_rows:
        labels, note = raw_labels(replace(pair, rows=None))
        return labels[..., slice(*pair.rows), :], note

    def check(file: LazyImage) -> None:  # before it is read: it may be larger than the image, and than memory
        if pair.shape:
            check_sizes(pair, spatial_shape(file, pair.section))

    which: dict[str, Any] = {"ignore": pair.ignore, "selection": pair.label_selection}
    labels, note = read_labels(pair.labels[0], section=pair.section, rows=pair.rows, check=check, **which)
    if pair.complete is not None or pair.markers is not None:
        labels = _know_missing(labels, pair)
    return mark_margin(labels, pair.margin) if pair.margin else labels, note


def _know_missing(labels: NDArray[np.int32], pair: Pair) -> NDArray[np.int32]:
    """Labels in which no missing cell is background: added or unknown where silver truth or a marker shows one."""
    known = labels
    if pair.complete is not None:
        which = pair.label_selection
        others, _ = read_labels(pair.complete, section=pair.section, rows=pair.rows, selection=which)
        known = fill_missing(labels, others)
    if pair.markers is not None:
        known = mark_around(known, read_markers(pair), pair.reach)
    return known if pair.fill else np.where(known > labels.max(initial=0), IGNORE, known)


def label_strips(pair: Pair) -> Iterator[tuple[NDArray[np.int32], str | None]]:
    """Read the labels as `raw_labels` does, in `strips` where rows can be read alone; all of them if it is few.

    Raises
    ------
    ShapeError
        If image and labels are of different size.
    """
    for part in strips(pair) if pair.by_rows else [pair]:
        labels, note = raw_labels(part)
        if part is pair:
            check_sizes(pair, labels.shape)
        yield labels, note


def has_labels(pair: Pair) -> bool:
    """Whether any pixel of an image, or of its rows, is labelled; those of a target image are."""
    parts = strips(pair) if pair.by_rows else iter([pair])
    return not pair.task.has_labels or any(bool((raw_labels(part)[0] >= 0).any()) for part in parts)


def strips(pair: Pair) -> Iterator[Pair]:
    """Divide an image along Y into parts of up to `STRIP` pixels; it alone if it has no more.

    >>> [part.rows for part in strips(Pair("a", Path("a.tif"), (), "a", shape=(3, 5000, 8192)))]
    [(0, 2048), (2048, 4096), (4096, 5000)]
    """
    *others, _, columns = pair.shape[1:]
    start, stop = pair.extent
    height = max(1, STRIP // (prod(others) * columns))
    if stop - start <= height:
        return iter([pair])
    return (replace(pair, rows=(top, min(top + height, stop))) for top in range(start, stop, height))


def read_markers(pair: Pair) -> NDArray[np.int32]:
    """Read the markers of a pair that has some; of a section also those of sections that cells reach to it from."""
    assert pair.markers is not None
    markers, _ = read_labels(pair.markers, selection=pair.label_selection)
    if pair.section is None or markers.ndim == 2:
        return markers
    _, near = pair.reach  # along Y and X: sections do not lie nearer to each other than pixels
    around: NDArray[np.int32] = markers[max(pair.section - near, 0) : pair.section + near + 1].max(axis=0)
    return around


def by_section(pair: Pair) -> tuple[Pair, ...]:
    """Divide the pair of a stack into one pair per section (or time point), a group of neighbours.

    Raises
    ------
    ImageError
        If the image cannot be opened.
    """
    with open_selected(pair.image, pair.selection) as file:
        counted = counted_axis(file.axes, 0)
        sections = file.shape[file.axes.index(counted)] if counted else 1
    return tuple(
        replace(pair, name=f"{pair.name}[{section}]", group=pair.name, section=section) for section in range(sections)
    )


def check_sizes(pair: Pair, labels: tuple[int, ...]) -> None:
    """Refuse labels of another size than their image.

    Raises
    ------
    ShapeError
        If the shape `labels` is not that of the pair without channels.
    """
    image = pair.shape[1:]
    if labels != image:
        wanted, came = (" x ".join(map(str, shape)) for shape in (image, labels))
        raise ShapeError(
            f"{pair.labels[0]} has {came} pixels, its image {pair.image.name} has {wanted}; save both in one size"
        )


def _as_classes(labels: NDArray[np.int32], pair: Pair) -> NDArray[np.int32]:
    """Replace grey values by the numbers of their classes."""
    values = np.array(pair.values)
    number = np.searchsorted(values, labels).clip(max=len(values) - 1)
    wrong = (values[number] != labels) & (labels >= 0)
    if wrong.any():
        raise LabelError(
            f"{pair.labels[0]} holds {labels[wrong][0]}, the other labels only {', '.join(map(str, pair.values))}; "
            "save it as they are"
        )
    return np.where(labels < 0, labels, number).astype(np.int32)
