"""Datasets as they are found: the layout is recognised, files are checked, and notes say what had to be converted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import DatasetError, LabelError
from biounet.core.problems import Problems
from biounet.data.cell_tracking import FieldStatistics, choose_margin, count_missing, measure_reach
from biounet.data.class_names import class_names_beside
from biounet.data.colours import has_colours
from biounet.data.dataset import Dataset, Pair, by_section, check_sizes, label_strips, raw_labels, read_markers
from biounet.data.dsb2018_layout import in_doubt
from biounet.data.extent import check_extent
from biounet.data.label_files import region, spatial_shape
from biounet.data.label_kind import MOST_GREYS, LabelStatistics, check_doubts, choose_kind, choose_values
from biounet.data.label_notes import explain_labels
from biounet.data.layout import Layout
from biounet.data.layouts import LAYOUTS, recognise
from biounet.data.left_out import left_out
from biounet.io import Selection, notes_of, open_selected, read_selected, root_of

__all__ = ["find_dataset"]


FEW_FOLDERS = 100
"""So many folders of images are searched for files that are left out."""

MOST_PIXELS = 2**30
"""Pixels of images, of all channels, that are read in search of bad ones."""

Labels = tuple[NDArray[np.int32], str | None]
"""Labels, and what had to be converted."""


def find_dataset(
    path: Path | str,
    *,
    silver: bool = False,
    kind: str | None = None,
    ignore_value: int | None = None,
    selection: Selection = Selection(),
) -> Dataset:
    """Recognise a dataset and check that its files fit each other.

    Parameters
    ----------
    path : a folder in one of `biounet.data.LAYOUTS`, or two files or folders ``IMAGES,LABELS``
    silver : bool
        Of the Cell Tracking Challenge, take the computer-made labels of frames and cells that no expert
        labelled. Otherwise those frames are left out, and those cells are unknown.
    kind : classes or objects
        What numbers mean. ``None``: what layout or ``classes.txt`` say, else their pieces, and a note says so.
    ignore_value : number in the labels that means unknown
    selection : what is read of each image file; labels have the axes of their image but C

    Returns
    -------
    Dataset
        With a note on each conversion. All files are opened, label files are read, once (where there are markers
        of all cells, twice); of target images, as many as are needed to see that they are no labels.

    Raises
    ------
    DatasetError
        If the layout is none of `biounet.data.LAYOUTS`, a file lacks its partner, or there are no images, or images
        of different channels.
    ImageError
        If a file cannot be read.
    LabelError
        If labels are no integers, or there is but one class in all of them; or target images are labels; or nobody
        can know what their numbers mean, see `biounet.data.label_kind.check_doubts`.
    ShapeError
        If an image and its labels are of different size.
    ProblemsError
        If there are several of these; then the pixels of images are looked at, too.

    Examples
    --------
    >>> find_dataset("no/such/folder")
    Traceback (most recent call last):
    biounet.core.errors.DatasetError: no/such/folder: there is no such folder; check the name
    """
    problems, path = Problems(), Path(path)
    layout, pairs = recognise(path, silver, problems)
    told: dict[str, Any] = {} if ignore_value is None else {"ignore": ignore_value}
    pairs = [replace(pair, selection=selection, **told) for pair in pairs]
    pairs, notes = _measure(pairs, problems)
    dataset = Dataset(path.name, layout.name, tuple(pairs), tuple(notes), layout.sign)
    with problems.noting():
        if pairs and pairs[0].task.has_labels:
            dataset = replace(dataset, class_names=class_names_beside(root_of(pairs[0].labels[0]).parent))
            dataset = _understand(dataset, layout, kind, problems)
        elif pairs:
            dataset = _with_targets(dataset, problems)
    if problems:
        _look_at_pixels(pairs, problems)
        problems.finish(path.name)
    others = [] if "," in str(path) else _folders_of(pairs)
    return replace(dataset, notes=(*dataset.notes, *layout.notes(dataset.pairs), *left_out(others)))


def _folders_of(pairs: Sequence[Pair]) -> list[Path]:
    """Folders of images, where these are few."""
    folders = list(dict.fromkeys(root_of(pair.image).parent for pair in pairs))
    return folders if len(folders) <= FEW_FOLDERS else []


def _understand(dataset: Dataset, layout: Layout, kind: str | None, problems: Problems) -> Dataset:
    """Read all labels, and find out what their numbers mean."""
    pairs = _measure_reach(dataset.pairs, problems)
    if layout is LAYOUTS["DSB 2018"]:
        doubt = in_doubt(pairs)
        if doubt and kind is None:
            raise LabelError(doubt)
        pairs = [replace(pair, masks=pair.masks and not (doubt and kind == "classes")) for pair in pairs]
    statistics, margin, notes = _read_all_labels(pairs, all_labelled=layout.all_labelled, problems=problems)
    if problems and not statistics:
        return dataset
    told = pairs[0].kind if layout.says_kind else "classes" if dataset.class_names else None
    guessed, kind = kind is None and told is None, kind or told or choose_kind(statistics)
    if guessed:
        check_doubts(statistics, kind)
    values = choose_values(statistics, kind) if statistics else ()
    pairs = [replace(pair, kind=kind, values=values, margin=margin) for pair in pairs]
    notes = [*dataset.notes, *notes, *explain_labels(kind, values, statistics, guessed=guessed)]
    return replace(dataset, pairs=tuple(pairs), notes=tuple(notes))


def _with_targets(dataset: Dataset, problems: Problems) -> Dataset:
    """Open all target images."""
    pairs, notes = _measure_targets(dataset.pairs, problems)
    return replace(dataset, pairs=tuple(pairs), notes=(*dataset.notes, *notes))


def _look_at_pixels(pairs: Sequence[Pair], problems: Problems) -> None:
    """Read the images of a dataset that is refused anyway, as far as they are few, so that bad pixels are told, too."""
    left = MOST_PIXELS
    for pair in pairs:
        left -= prod(pair.shape)
        if left < 0:
            return
        with problems.noting(), open_selected(pair.image, pair.selection) as file:
            file.read(region(file, pair.section, None))


def _measure(pairs: Sequence[Pair], problems: Problems) -> tuple[list[Pair], list[str]]:
    """Divide time series into frames, set shapes and spacings, and choose the channels; all images are opened."""
    opened: list[Pair] = []
    channels: dict[int, Pair] = {}
    coloured = False
    said: dict[str, list[str]] = defaultdict(list)
    for pair in pairs:
        with problems.noting(), open_selected(pair.image, pair.selection) as file:
            check_extent(file, pair)
            for note in notes_of(file):
                said[note].append(pair.image.name)
            frames = by_section(pair) if "T" in file.axes and pair.section is None else (pair,)
            count = file.shape[file.axes.index("C")] if "C" in file.axes else 1
            shape = (count, *spatial_shape(file, frames[0].section))
            spacing = file.spacing and file.spacing[1 - len(shape) :]
            coloured = coloured or (count == 3 and has_colours(file, replace(frames[0], shape=shape)))
            channels.setdefault(count, pair)
            level = _label_level(frames[0], shape[1:])
            opened += [replace(frame, shape=shape, spacing=spacing, label_level=level) for frame in frames]
    if len(channels) > 1 and not set(channels) <= {1, 3}:
        (few, first), *_, (many, last) = sorted(channels.items())
        problems.add(
            DatasetError(f"{first.name} has {few} channels, {last.name} has {many}; bring all images to the same")
        )
        return opened, []
    if not opened:
        return [], []
    wanted = (3 if coloured else 1) if set(channels) <= {1, 3} else next(iter(channels))
    notes = [f"{note} ({_among(names, len(pairs))})" for note, names in said.items()]
    others = sum(pair.shape[0] != wanted for pair in opened)
    if others:
        how = "grey and repeated in 3 channels, to fit those in colour" if coloured else "in colours that are all grey"
        notes.append(f"{others} of {len(opened)} images are {how}")
    return [replace(pair, channels=wanted, shape=(wanted, *pair.shape[1:])) for pair in opened], notes


def _among(names: Sequence[str], count: int) -> str:
    """Say of which images something is true."""
    files = dict.fromkeys(names)
    return next(iter(files)) if len(files) == 1 else f"{len(files)} images of {count}, e.g. {next(iter(files))}"


def _label_level(pair: Pair, shape: tuple[int, ...]) -> int:
    """The level of the labels that has the size of the image: 0, or that of the image."""
    level = pair.selection.level
    if not level or pair.masks:
        return 0
    with open_selected(pair.labels[0], pair.label_selection, labels=True) as file:
        return 0 if spatial_shape(file, pair.section) == shape else level


def _measure_targets(pairs: Sequence[Pair], problems: Problems) -> tuple[list[Pair], list[str]]:
    """Open all target images: check their sizes and that they are no labels, choose their channels."""
    named = [replace(pair, image=pair.labels[0], name=pair.labels[0].name) for pair in pairs]
    targets, notes = _measure(named, problems)
    if len(targets) < len(pairs):
        return list(pairs), []
    for pair, target in zip(pairs, targets, strict=True):
        with problems.noting():
            check_sizes(pair, target.shape[1:])
    _refuse_labels({pair.labels[0]: pair.label_selection for pair in pairs})
    measured = [replace(pair, target_channels=target.channels) for pair, target in zip(pairs, targets, strict=True)]
    return measured, [f"of targets, {note}" for note in notes]


def _refuse_labels(targets: Mapping[Path, Selection]) -> None:
    """Refuse integers of so few values that they are labels rather than images."""
    values: set[int] = set()
    for path, selection in targets.items():
        pixels = read_selected(path, selection).array
        values |= set(np.unique(pixels).tolist()) if pixels.dtype.kind != "f" else set()
        if pixels.dtype.kind == "f" or len(values) > MOST_GREYS:
            return
    raise LabelError(
        f"{next(iter(targets))}: {len(values)} values in all targets are labels, not images; "
        "call the folder labels, or save images of few values as floats"
    )


def _measure_reach(pairs: Sequence[Pair], problems: Problems) -> list[Pair]:
    """Measure in all images that have markers how far the cells with an outline reach from theirs."""
    along_z = along_yx = 0
    good = []
    for pair in pairs:
        with problems.noting():
            _check_truths(pair)
            if pair.markers is not None:
                (labels, _), markers = raw_labels(replace(pair, markers=None, fill=True)), read_markers(pair)
                reach = measure_reach(labels, markers)
                along_z, along_yx = max(along_z, reach[0]), max(along_yx, reach[1])
            good.append(pair)
    return [replace(pair, reach=(along_z, along_yx)) for pair in good]


def _check_truths(pair: Pair) -> None:
    """Refuse labels, silver truth or markers that are not of the size of their image, before they are compared."""
    several = [path for path in (pair.complete, pair.markers) if path is not None]
    for path in [pair.labels[0], *several] if several else ():
        with open_selected(path, pair.label_selection, labels=True) as file:
            check_sizes(replace(pair, labels=(path,)), spatial_shape(file, pair.section))


def _read_all_labels(
    pairs: Sequence[Pair], *, all_labelled: bool, problems: Problems
) -> tuple[list[LabelStatistics], int, list[str]]:
    """Count the labels, check their sizes, find the margin without labels, and collect what had to be converted."""
    statistics: list[LabelStatistics] = []
    fields: list[FieldStatistics] = []
    converted: dict[str, list[Path]] = defaultdict(list)
    unlabelled: list[tuple[int, int]] = []
    for pair in pairs:
        if pair.masks:  # many small files, each an object: `load` checks them
            continue
        with problems.noting():
            parts: Iterable[Labels] = label_strips(pair)
            if not all_labelled:  # whole images tell which objects have no label
                labels, note = raw_labels(pair)
                check_sizes(pair, labels.shape)
                parts = [(labels, note)]
                fields.append(FieldStatistics.of(labels))
                unlabelled.append(_count_unlabelled(pair, labels))
            conversions: set[str] = set()
            statistics.append(LabelStatistics.of(pair.labels[0], _noted(parts, conversions)))
            for note in conversions:
                converted[note].append(pair.labels[0])
    unknown, pixels = (sum(getattr(image, what) for image in statistics) for what in ("unknown", "pixels"))
    notes = [f"{len(set(files))} label files hold {note}, e.g. {files[0].name}" for note, files in converted.items()]
    notes += _explain_unlabelled(unlabelled, pixels)
    margin = choose_margin(fields)
    if margin:
        background = sum(image.background[margin] for image in fields)
        unknown += background
        notes.append(
            f"objects that lie within {margin} px of the edges of images are not labelled: background there is "
            f"unknown ({background / pixels:.1%} of all label pixels)"
        )
    if unknown:
        notes.append(f"{unknown / pixels:.1%} of all label pixels are unknown: they are neither trained on nor scored")
    return statistics, margin, notes


def _noted(parts: Iterable[Labels], notes: set[str]) -> Iterator[NDArray[np.int32]]:
    """Labels, while what had to be converted is noted."""
    for labels, note in parts:
        notes |= set() if note is None else {note}
        yield labels


def _count_unlabelled(pair: Pair, labels: NDArray[np.int32]) -> tuple[int, int]:
    """Number of cells of an image with a marker and no outline, and of unknown pixels around these."""
    if pair.markers is None:
        return 0, 0
    if pair.complete is not None and not pair.fill:  # cells whose outline is not learnt from have one
        labels, _ = raw_labels(replace(pair, fill=True))
    return count_missing(labels, read_markers(pair)), int((labels < 0).sum())


def _explain_unlabelled(unlabelled: Sequence[tuple[int, int]], pixels: int) -> list[str]:
    """Say how many cells have a marker only, and how much is unknown around them."""
    images = [(cells, around) for cells, around in unlabelled if cells]
    if not images:
        return []
    cells, around = (sum(counts) for counts in zip(*images, strict=True))
    return [
        f"{cells} cells in {len(images)} of {len(unlabelled)} images have a marker (TRA) but no outline (SEG): "
        f"background around these markers is unknown ({around / pixels:.1%} of all label pixels), as far as "
        "outlined cells reach from theirs and a quarter farther"
    ]
