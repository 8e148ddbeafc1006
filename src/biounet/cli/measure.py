"""The command `biounet measure`: tables, pictures and regions of interest of label images."""

import csv
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.cli.measure_files import TABLES, measure_files
from biounet.cli.pair_files import Channels, MeasuredFiles, pair_files
from biounet.cli.progress import say
from biounet.core.atomic_files import remove_parts, replacing
from biounet.core.batch import BAD_FILE
from biounet.core.boxes import ArrayReader, Box, Reader
from biounet.core.components import in_pieces, split_objects
from biounet.core.errors import ConfigError, LabelError
from biounet.core.labels import check_labels
from biounet.core.output_lock import holding
from biounet.core.overwriting import Inputs
from biounet.core.places import check_output
from biounet.core.words import printable
from biounet.io import Image, Selection, write
from biounet.io.imagej_rois import write_sections
from biounet.io.label_formats import label_format_of
from biounet.measurement import uncertain_regions
from biounet.measurement.class_columns import classes_of_parts, with_classes
from biounet.measurement.csv_files import place_of
from biounet.measurement.frames import FrameTable, ObjectFrame, measure_frame, open_frames
from biounet.measurement.overlay import draw_objects

__all__ = ["run_measurement"]


FOLDERS = ("labels", "outlines", "rois")
"""Folders of what is written beside the tables."""

ROLES = ("a label image", "an image", "the probabilities")
"""What the files are for, that are measured together."""

WHOLE = 2**28
"""Pixels of a frame that is still taken into memory as a whole: for pictures, outlines and the search for pieces."""


def run_measurement(
    labels: Path,
    out: Path,
    *,
    image: Path | None = None,
    probabilities: Path | None = None,
    model: Path | None = None,
    axes: str | None = None,
    selection: Selection = Selection(),
    by_section: bool = False,
    split: bool = False,
    pictures: bool = False,
    rois: bool = False,
    annotate: int = 0,
    region: int = 256,
    ignore_value: int | None = None,
    overwrite: bool = False,
) -> None:
    """Measure the objects of label images.

    Parameters
    ----------
    labels : a file or a folder of files
    out : folder for the tables and all else
    image, probabilities : a file, or a folder in which files have the same names or numbers
    model : that gave the probabilities
        If it learnt classes, each object has one. Without a model all channels but the first are foreground.
    axes, selection, by_section : as in `biounet.measurement.frames.open_frames`
    split : number the pieces of objects apart, and write these labels
    pictures, rois : write ``outlines/NAME.png``, ``rois/NAME.zip``
    annotate : how many regions of `region` pixels per side to list in ``annotate.csv``
    ignore_value : number in the labels that is no object, but unknown
    overwrite : bool

    Raises
    ------
    BatchError
        At the end, if some of several label images cannot be measured; the tables hold the others.
    """
    if annotate and probabilities is None:
        raise ConfigError("--annotate needs --probabilities: it lists where the model is least sure")
    if model is not None and probabilities is None:
        raise ConfigError("--model needs --probabilities: it tells what their channels are")
    check_output(out)
    files = pair_files(labels, image, probabilities)
    read = Inputs({role: filter(None, paths) for role, paths in zip(ROLES, zip(*files, strict=True), strict=True)})
    channels = None if model is None else Channels.of(model)
    task = _Task(out, split, pictures, rois, annotate, region, overwrite, channels, read)

    noted: dict[str, None] = {}

    def opened(files_of_one: MeasuredFiles, stack: ExitStack) -> Sequence[ObjectFrame]:
        path, pixels, shares = files_of_one
        options: dict[str, Any] = {
            "axes": axes, "selection": selection, "by_section": by_section, "ignore": ignore_value,
        }  # fmt: skip
        frames = open_frames(path, image=pixels, probabilities=shares, files=stack, **options)
        task.check_size(frames)
        if frames[0].class_names and not split:
            noted.setdefault(f"each row is a class ({', '.join(frames[0].class_names)}); --split measures their parts")
        return frames

    tables = [out / name for name in (*TABLES, *(["annotate.csv"] if annotate else []))]
    with ExitStack() as stack:
        stack.enter_context(holding(tables))
        for table in tables:
            read.check(table, overwrite=overwrite, kind="table")
        remove_parts(tables)
        for folder in (out / name for name, wanted in zip(FOLDERS, (split, pictures, rois), strict=True) if wanted):
            stack.enter_context(holding((), folder=folder))
            remove_parts((), folder=folder)
        batch = measure_files(files, opened, task.measure, out, channels=channels, overwrite=overwrite)
        if annotate:
            task.write_regions()
    for note in noted:
        say(f"note: {printable(note)}")
    _tell_pictures(labels, image, out, drawn=pictures)
    batch.finish(report=say)


def _tell_pictures(labels: Path, image: Path | None, out: Path, *, drawn: bool) -> None:
    """Say where the pictures of the objects are, or how to draw them."""
    if drawn:
        say(f"look at {out / 'outlines'}: they show which row of the tables is which object")
        return
    given = [] if image is None else ["--image", str(image)]
    words = ["biounet", "measure", str(labels), *given, "--out", str(out), "--pictures", "--overwrite"]
    say(f"draw which row of the tables is which object: {shlex.join(words)}")


@dataclass(frozen=True)
class _Task:
    """Pictures, outlines and split labels of each file, which are made with the tables."""

    out: Path
    split: bool
    pictures: bool
    rois: bool
    annotate: int
    region: int
    overwrite: bool
    channels: Channels | None
    read: Inputs
    """What is measured, so that nothing of it is replaced."""
    regions: list[dict[str, Any]] = field(default_factory=list)
    drawn: list[Path] = field(default_factory=list)
    """Pictures of the file that is being measured."""

    @property
    def by_class(self) -> bool:
        """Whether the probabilities are of classes, of which each object has one."""
        return self.channels is not None and self.channels.are_classes

    def check_size(self, frames: Sequence[ObjectFrame]) -> None:
        """Refuse what needs a whole frame in memory, if it is too large; frames of a file have one size."""
        wanted = {"--split": self.split, "--pictures": self.pictures, "--rois": self.rois, "--annotate": self.annotate}
        asked = [name for name, value in wanted.items() if value]
        if asked and _is_large(frames[0]):
            raise ConfigError(
                f"{frames[0].name} has {_size(frames[0])} pixels, too many for {', '.join(asked)}; crop it, or leave "
                "that out"
            )

    def measure(self, frames: Sequence[ObjectFrame], stem: str) -> Iterator[FrameTable]:
        """Measure the frames of a file one by one; of a bad file no picture or region to annotate stays."""
        listed = len(self.regions)
        self.drawn.clear()
        try:
            yield from self._measure(frames, stem)
        except BAD_FILE:
            del self.regions[listed:]
            for path in self.drawn:
                path.unlink(missing_ok=True)
            raise

    def _measure(self, frames: Sequence[ObjectFrame], stem: str) -> Iterator[FrameTable]:
        """Measure frames, draw them, and write the labels and outlines of the file."""
        if _is_large(frames[0]):
            say(
                f"note: {frames[0].name} has {_size(frames[0])} pixels; whether objects are in one piece is not checked"
            )
            yield from (self._table(frame) for frame in frames)
            return
        new = []
        for frame in frames:
            labels = self._labels(frame)
            if self.split:
                new.append(labels)
            elif not frame.class_names:
                self._say_pieces(frame, labels)
            if self.pictures:
                self._draw(frame, labels, stem)
            if self.annotate:
                self._find_regions(frame)
            yield self._table(frame, labels)
        if self.split:
            axes = "".join(axis for axis, _ in frames[0].position)
            sizes = [frames[-1].position[index][1] + 1 for index in range(len(axes))]
            stack = np.stack(new).reshape(*sizes, *new[0].shape)
            image = Image(stack, axes + "ZYX"[-new[0].ndim :], self._spacing(frames[0], axes))
            path = self.out / "labels" / f"{stem}.tif"
            self.read.check(path, overwrite=self.overwrite, kind="TIFF")
            label_format_of(path).write(path, image, overwrite=self.overwrite)
        if self.rois:
            path = self.out / "rois" / f"{stem}.zip"
            self.read.check(path, overwrite=self.overwrite, kind="zip")
            write_sections(path, self._sections(frames), overwrite=self.overwrite)

    def _table(self, frame: ObjectFrame, labels: NDArray[Any] | None = None) -> FrameTable:
        """Table of a frame, or of other labels in its place, with the names of classes."""
        if labels is None:
            table = measure_frame(frame, by_class=self.by_class)
        else:
            table = measure_frame(replace(frame, labels=ArrayReader(labels[np.newaxis])), by_class=self.by_class)
        if frame.class_names:
            of_parts = classes_of_parts(labels, _whole(frame.labels)[0]) if labels is not None else None
            return with_classes(table, frame.class_names, classes=of_parts)
        return with_classes(table, self.channels.class_names) if self.channels and "class" in table.table else table

    def write_regions(self) -> None:
        """List the regions of all files that are most worth annotating, the best first."""
        best = sorted(self.regions, key=lambda region: -region["entropy"])[: self.annotate]
        with (
            replacing(self.out / "annotate.csv", overwrite=self.overwrite) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as stream,
        ):
            rows = csv.DictWriter(
                stream, list(dict.fromkeys(name for row in best for name in row)), lineterminator="\n"
            )
            rows.writeheader()
            rows.writerows({**row, "entropy": f"{row['entropy']:.4f}"} for row in best)

    def _labels(self, frame: ObjectFrame) -> NDArray[Any]:
        labels: NDArray[Any] = _whole(frame.labels)[0]
        try:
            check_labels(labels, masks=True, axes=("YX", "ZYX"))
            return split_objects(labels) if self.split else labels
        except LabelError as error:
            raise LabelError(f"{frame.name}: {error}") from error

    def _sections(self, frames: Sequence[ObjectFrame]) -> Iterator[tuple[NDArray[Any], dict[str, int]]]:
        """Label images (Y, X), and where each stands."""
        for frame in frames:
            labels = self._labels(frame)
            place = dict(frame.position)
            if labels.ndim == 2:
                yield labels, place
            else:
                yield from ((section, {**place, "Z": z}) for z, section in enumerate(labels))

    def _draw(self, frame: ObjectFrame, labels: NDArray[Any], stem: str) -> None:
        """Write the picture of a frame, of a volume its middle section."""
        middle = len(labels) // 2 if labels.ndim == 3 else None
        image = None if frame.image is None else _whole(frame.image, section=middle)
        picture = draw_objects(image, labels if middle is None else labels[middle])
        place = "".join(f"_{axis.lower()}{index:03d}" for axis, index in frame.position)
        path = self.out / "outlines" / f"{stem}{place}.png"
        self.read.check(path, overwrite=self.overwrite, kind="PNG")
        write(path, Image(np.moveaxis(picture, -1, 0), "CYX"), overwrite=self.overwrite)
        self.drawn.append(path)

    def _find_regions(self, frame: ObjectFrame) -> None:
        assert frame.probabilities is not None  # was asked for at the beginning
        spatial = frame.probabilities.shape[1:]
        size = (min(self.region, spatial[0]),) * (len(spatial) == 3) + (self.region,) * 2
        shares = _whole(frame.probabilities)
        for box, mean in uncertain_regions(shares, size=size, count=self.annotate, by_class=self.by_class):
            axes = "zyx"[-len(size) :]
            ends = (("start", box.start), ("stop", box.stop))
            self.regions.append(
                {
                    **place_of(frame),
                    **{f"{end}_{axis}": at for end, place in ends for axis, at in zip(axes, place, strict=True)},
                    "entropy": mean,
                }
            )

    def _say_pieces(self, frame: ObjectFrame, labels: NDArray[Any]) -> None:
        pieces = in_pieces(labels)
        if pieces:
            some = ", ".join(f"{label} in {count}" for label, count in list(pieces.items())[:3])
            what = f"{len(pieces)} object{'s' * (len(pieces) > 1)} in several pieces"
            say(f"note: {_title(frame)} has {what} ({some}); each is measured as one, --split numbers them apart")

    def _spacing(self, frame: ObjectFrame, axes: str) -> tuple[float, ...] | None:
        """Pixel size of split labels; that between sections is not known where they are images of their own."""
        return None if "Z" in axes else frame.spacing


def _is_large(frame: ObjectFrame) -> bool:
    return prod(frame.labels.shape[1:]) > WHOLE


def _size(frame: ObjectFrame) -> str:
    return " x ".join(map(str, frame.labels.shape[1:]))


def _whole(reader: Reader, *, section: int | None = None) -> NDArray[Any]:
    """All pixels of a frame, or those of one section of a volume."""
    start, stop = [0] * len(reader.shape), list(reader.shape)
    if section is None:
        return reader.read(Box(tuple(start), tuple(stop)))
    start[1], stop[1] = section, section + 1
    return reader.read(Box(tuple(start), tuple(stop)))[:, 0]


def _title(frame: ObjectFrame) -> str:
    image, *place = place_of(frame).items()
    return " ".join([str(image[1]), *(f"{name} {index}" for name, index in place)])
