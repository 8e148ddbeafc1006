"""Label images of any size and axes, measured frame by frame and region by region."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box, Reader
from biounet.core.errors import LabelError, ShapeError
from biounet.io import LazyImage, Selection, meaning_of, open_lazily, open_selected
from biounet.io.frames import Frame, Frames, Position, frames_of
from biounet.measurement.confidence import ForegroundSums
from biounet.measurement.counts import RegionCounts, join
from biounet.measurement.region_counts import count_region
from biounet.measurement.region_properties import Table, table_of
from biounet.segmentation.regions import Regions, region_size

__all__ = ["FrameTable", "ObjectFrame", "measure_frame", "open_frames"]


REGION = 40 * 2048**2
"""Bytes for a region that is measured at a time: 2048 x 2048 pixels. Channels come on top."""


@dataclass(frozen=True)
class ObjectFrame:
    """Labels of one frame of a file, with the image and the probabilities that are measured in its objects.

    Attributes
    ----------
    name : of the label file
    position : where the frame stands in the file
    labels : Reader, axes 1(Z)YX
    image, probabilities : Reader, axes C(Z)YX
    spacing : micrometres per pixel, one number per spatial axis
    sums : of the probability of the foreground in objects, where that was added up before
    class_names : of the numbers of the labels, where each is a class and no object
    remarks : further cells of the row of the frame in ``counts.csv``, by column
    """

    name: str
    position: Position
    labels: Reader
    image: Reader | None
    probabilities: Reader | None
    spacing: tuple[float, ...] | None
    sums: ForegroundSums | None = None
    class_names: tuple[str, ...] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FrameTable:
    """Table of the objects of one frame.

    Attributes
    ----------
    name : of the label file
    position : where the frame stands in the file
    pixels : of the frame
    table : Table
    remarks : as of the frame
    """

    name: str
    position: Position
    pixels: int
    table: Table
    remarks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Converted:
    """A frame of a file whose pixels are checked and converted when they are read."""

    frame: Frame
    convert: Callable[[NDArray[Any], str], NDArray[Any]]
    """(pixels, name of the file) -> pixels"""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.frame.shape

    def read(self, box: Box) -> NDArray[Any]:
        return self.convert(self.frame.read(box), self.frame.name)


def _as_labels(array: NDArray[Any], name: str, *, ignore: int | None = None) -> NDArray[Any]:
    """Labels as integers, without what is to be ignored; an error if a number is not whole."""
    if ignore is not None:
        array = np.where(array == ignore, np.zeros((), array.dtype), array)
    if array.dtype.kind != "f":
        return array
    whole = np.abs(array) <= 2**53
    whole &= array == np.rint(array)
    if not whole.all():
        raise LabelError(
            f"{name}: labels must be whole numbers, got {array[~whole].flat[0]:g}; give a label image, "
            "not probabilities or intensities"
        )
    return array.astype(np.int64)


def _as_probabilities(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Probabilities from numbers of a file; integers are divided by the largest of their type."""
    if array.dtype.kind in "iu":
        return array / np.float32(np.iinfo(array.dtype).max)
    if array.size and not 0 <= array.min() <= array.max() <= 1 + 1e-6:
        raise ShapeError(
            f"{name}: probabilities must be from 0 to 1, got {array.min():g} to {array.max():g}; "
            "predict with --save probabilities"
        )
    return array


def open_frames(
    labels: Path,
    *,
    image: Path | None = None,
    probabilities: Path | None = None,
    axes: str | None = None,
    selection: Selection = Selection(),
    channels: int | None = None,
    by_section: bool = False,
    ignore: int | None = None,
    files: ExitStack,
) -> Sequence[ObjectFrame]:
    """Frames of a label image, each with the image and the probabilities that are measured in its objects.

    Parameters
    ----------
    labels : Path
    image, probabilities : Path
        With the same frames.
    axes : of the labels, where the file does not tell
    selection : what is read of the image; its axes are those of the labels, if not given
    channels : int
        That a network takes: the image is measured as it sees it, grey repeated, equal channels as one. All that the
        file has, if not given.
    by_section : bool
        The sections of a stack are images of their own; else a stack is a volume.
    ignore : number in the labels that means unknown; it is no object
    files : ExitStack
        Closes the files.

    Raises
    ------
    ImageError, ShapeError
        If a file cannot be read, or has other frames than the labels.
    """
    source = files.enter_context(open_lazily(labels, axes=axes, labels=True))
    dims = 2 if by_section or "Z" not in source.axes else 3
    frames = frames_of(source, dims=dims, channels=1, name=labels.name)
    others: list[Frames | None] = []
    spacing = source.spacing
    shared = axes if axes and "C" not in axes else None
    of_image = replace(selection, axes=selection.axes or shared)
    for path, own, wanted in ((image, of_image, channels), (probabilities, Selection(shared), None)):
        if path is None:
            others.append(None)
            continue
        other = files.enter_context(open_selected(path, own))
        others.append(_fitting(other, frames, path, wanted))
        spacing = spacing or other.spacing
    pixels, shares = others
    meaning = meaning_of(source)
    names = meaning.class_names if meaning is not None and meaning.kind == "classes" else ()
    return _ObjectFrames(frames, pixels, shares, spacing[-dims:] if spacing else None, ignore, names)


@dataclass(frozen=True)
class _ObjectFrames(Sequence[ObjectFrame]):
    """Frames of a file, each made when it is asked for."""

    labels: Frames
    image: Frames | None
    probabilities: Frames | None
    spacing: tuple[float, ...] | None
    ignore: int | None
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> ObjectFrame: ...

    @overload
    def __getitem__(self, index: slice) -> list[ObjectFrame]: ...

    def __getitem__(self, index: int | slice) -> ObjectFrame | list[ObjectFrame]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        frame = self.labels[index]
        return ObjectFrame(
            frame.name,
            frame.position,
            _Converted(frame, partial(_as_labels, ignore=self.ignore)),
            None if self.image is None else self.image[index],
            None if self.probabilities is None else _Converted(self.probabilities[index], _as_probabilities),
            self.spacing,
            class_names=self.class_names,
        )


def _fitting(other: LazyImage, frames: Frames, path: Path, channels: int | None) -> Frames:
    """Frames of another file of the same image."""
    wanted = frames[0].shape[1:]
    have = other.shape[other.axes.index("C")] if "C" in other.axes else 1
    fitting = frames_of(other, dims=len(wanted), channels=channels or have, name=path.name)
    if len(fitting) != len(frames) or fitting[0].shape[1:] != wanted:
        came, want = (f"{len(row)} of {' x '.join(map(str, row[0].shape[1:]))} pixels" for row in (fitting, frames))
        raise ShapeError(f"{path.name} has frames {came}, the labels {frames[0].name} have {want}; give the same image")
    return fitting


def measure_frame(frame: ObjectFrame, *, by_class: bool = False, memory: int = REGION) -> FrameTable:
    """Table of the objects of a frame of any size, measured region by region.

    Parameters
    ----------
    frame : ObjectFrame
    by_class : as for `biounet.measurement.measure_objects`
    memory : bytes
        For one region.

    Raises
    ------
    ImageError, LabelError, ShapeError
        If a file cannot be read, or holds no labels or probabilities.

    Notes
    -----
    The table is that of `biounet.measurement.measure_objects`; memory grows with the number of objects, not of pixels.
    """
    shape = frame.labels.shape[1:]
    region_counts: list[RegionCounts] = []
    regions = Regions(shape, region_size(shape, memory))
    for core in map(regions.box, regions):
        outer = core.grown((1,) * len(shape), shape)
        image, probabilities = (_read(reader, outer) for reader in (frame.image, frame.probabilities))
        region_counts.append(
            count_region(
                frame.labels.read(Box((0, *outer.start), (1, *outer.stop)))[0],
                image=image,
                probabilities=probabilities,
                by_class=by_class,
                core=core.relative_to(outer.start),
                origin=outer.start,
            )
        )
        while len(region_counts) > 1 and len(region_counts[-2].labels) <= 2 * len(region_counts[-1].labels):
            region_counts[-2:] = [join(region_counts[-2:])]  # joins of like sizes, so that no object is joined often
    counts = join(region_counts)
    if frame.sums is not None:
        counts = replace(counts, scores=frame.sums.at(counts.labels)[:, np.newaxis])
    table = table_of(counts, shape=shape, spacing=frame.spacing)
    return FrameTable(frame.name, frame.position, prod(shape), table, frame.remarks)


def _read(reader: Reader | None, box: Box) -> NDArray[Any] | None:
    """All channels of a region."""
    return None if reader is None else reader.read(Box((0, *box.start), (reader.shape[0], *box.stop)))
