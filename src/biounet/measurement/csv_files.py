"""Tables of objects as files: ``objects.csv``, a row per object, and ``counts.csv``, a row per image."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path

import numpy as np

from biounet.core.atomic_files import replacing
from biounet.core.errors import ConfigError
from biounet.core.words import printable
from biounet.measurement.class_columns import with_classes
from biounet.measurement.frames import FrameTable, ObjectFrame
from biounet.measurement.region_properties import measure_objects

__all__ = ["counts_of", "empty_table", "place_of", "write_tables"]


AXIS_NAMES = {"T": "frame", "Z": "section"}
"""Axis of a file -> name of the column with the place of a frame on it."""


def place_of(frame: FrameTable | ObjectFrame) -> dict[str, object]:
    """File, time point and section of a frame: the first columns of its rows.

    >>> place_of(FrameTable("a.tif", (("T", 3),), 100, {}))
    {'image': 'a.tif', 'frame': 3}
    """
    return {"image": printable(frame.name), **{AXIS_NAMES[axis]: index for axis, index in frame.position}}


def counts_of(frame: FrameTable) -> dict[str, object]:
    """Number and mean properties of the objects of a frame: a row of ``counts.csv``.

    Examples
    --------
    >>> from biounet.measurement.region_properties import measure_objects
    >>> counts_of(FrameTable("a.tif", (), 4, measure_objects(np.array([[1, 2, 2, 0]]))))
    {'image': 'a.tif', 'objects': 2, 'covered': 0.75, 'area_px_mean': 1.5, 'touching': 2, 'touching_border': 2}
    """
    table, objects = frame.table, len(frame.table["label"])
    size = next(name for name in ("volume_px", "area_px") if name in table)
    means = [name for name in table if name in (size, "area_um2", "volume_um3", "confidence")]
    return {
        **place_of(frame),
        "objects": objects,
        "covered": float(table[size].sum() / frame.pixels) if frame.pixels else 0.0,
        **{
            name if name == "confidence" else f"{name}_mean": float(table[name].mean()) if objects else None
            for name in means
        },
        "touching": int((table["neighbours"] > 0).sum()),
        "touching_border": int(table["touches_border"].sum()),
        **frame.remarks,
    }


def empty_table(frame: ObjectFrame, *, by_class: bool = False, class_names: Sequence[str] = ()) -> FrameTable:
    """Table of a frame without objects, which has the columns of the frame; no pixel is read.

    Parameters
    ----------
    frame : ObjectFrame
    by_class : as for `biounet.measurement.measure_objects`
    class_names : of the classes of objects, or of labels that are classes; see `with_classes`
    """
    spatial = (1,) * len(frame.labels.shape[1:])
    image, probabilities = (
        None if reader is None else np.zeros((reader.shape[0], *spatial))
        for reader in (frame.image, frame.probabilities)
    )
    if frame.sums is not None:
        probabilities = np.zeros((1, *spatial))
    table = measure_objects(
        np.zeros(spatial, np.uint8), image=image, probabilities=probabilities, by_class=by_class, spacing=frame.spacing
    )
    return with_classes(FrameTable(frame.name, frame.position, 1, table, frame.remarks), class_names)


def write_tables(
    frames: Iterable[FrameTable], folder: Path, *, kinds: Iterable[FrameTable] = (), overwrite: bool = False
) -> int:
    """Files ``objects.csv``, with a row per object, and ``counts.csv``, with a row per frame; the number of objects.

    Parameters
    ----------
    frames : of one file or of several
    folder : Path
        Made if it is missing.
    kinds : tables that have all columns together, for example `empty_table` of each file
        For frames of which a pixel size is known for some only, or that differ in channels or axes: cells are empty
        in columns that a frame has not. All are looked at before the first frame. If there are none, the first frame
        has all columns.
    overwrite : bool

    Returns
    -------
    how many objects there are

    Raises
    ------
    OutputError
        If a file exists, or cannot be written.
    ConfigError
        If a frame has columns that neither `kinds` nor the first frame have.

    Notes
    -----
    Commas between columns, points in numbers, nine digits; truth values are 0 and 1. What ``pandas.read_csv`` and the
    tables of Fiji take.
    """
    objects = 0
    columns, sums = _headings(kinds)
    with ExitStack() as stack:
        streams = [
            stack.enter_context(
                stack.enter_context(replacing(folder / name, overwrite=overwrite)).open(
                    "w", newline="", encoding="utf-8"
                )
            )
            for name in ("objects.csv", "counts.csv")
        ]
        rows, counts = (csv.writer(stream, lineterminator="\n") for stream in streams)
        for number, frame in enumerate(frames):
            if not columns:
                columns, sums = _headings([frame])
            if number == 0:
                rows.writerow(columns)
                counts.writerow(sums)
            _check_columns(frame, columns)
            rows.writerows(_rows(frame, columns))
            summary = counts_of(frame)
            counts.writerow(_text(summary.get(name)) for name in sums)
            objects += len(frame.table["label"])
    return objects


def _headings(kinds: Iterable[FrameTable]) -> tuple[list[str], list[str]]:
    """The columns of both tables."""
    columns: list[str] = []
    sums: list[str] = []
    for kind in kinds:
        _add_names(columns, [*place_of(kind), *kind.table])
        _add_names(sums, counts_of(kind))
    return columns, sums


def _add_names(names: list[str], more: Iterable[str]) -> None:
    """Insert names behind the names before them: a, b and a, c become a, c, b."""
    place = 0
    for name in more:
        if name not in names:
            names.insert(place, name)
        place = names.index(name) + 1


def _rows(frame: FrameTable, columns: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """The cells of a frame under a heading."""
    place, objects = place_of(frame), len(frame.table["label"])
    return zip(
        *(
            map(_text, frame.table[name].tolist()) if name in frame.table else repeat(place.get(name), objects)
            for name in columns
        ),
        strict=True,
    )


def _check_columns(frame: FrameTable, columns: Sequence[str]) -> None:
    """Refuse rows with columns that the heading does not have."""
    other = sorted({*place_of(frame), *frame.table} - set(columns))
    if other:
        raise ConfigError(
            f"{frame.name} is measured in columns that the images before it have not ({', '.join(other)}); give its "
            "kind beforehand, or measure it apart"
        )


def _text(value: object) -> object:
    """Text of a cell."""
    if isinstance(value, bool):
        return int(value)
    return f"{value:.9g}" if isinstance(value, float) else value
