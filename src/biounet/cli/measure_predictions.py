"""Measurement of objects that were just predicted, with the confidence that prediction has kept."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any

from biounet.cli.measure_files import TABLES, measure_files
from biounet.cli.pair_files import MeasuredFiles
from biounet.cli.progress import say
from biounet.core.csv_file import read_csv
from biounet.core.errors import OutputError
from biounet.core.text_file import ForeignRecord, TextFile
from biounet.inference.confidence_sums import KeptSums
from biounet.io import Selection
from biounet.measurement.frames import FrameTable, ObjectFrame, measure_frame, open_frames

__all__ = ["are_complete", "forget", "measure_predictions"]


def measure_predictions(
    pairs: Sequence[tuple[Path, Path]],
    out: Path,
    *,
    selection: Selection = Selection(),
    channels: int | None = None,
    dims: int = 2,
    link: bool = False,
    unlike: Mapping[Path, str] = MappingProxyType({}),
    keep: bool = False,
) -> None:
    """Measure objects that were predicted, region by region, as `run_measurement` would; replace older tables.

    Prediction has kept their confidence in a folder beside the labels, which is deleted, unless a
    later run, which adds images to the tables, needs it.

    Parameters
    ----------
    pairs : image and labels
    out : folder for the tables
    selection : what was read of the images
    channels : that the network takes; images are measured as it sees them, so all have the same columns
    dims : of the network; one of 2 predicts a stack section by section
    link : the objects of sections were linked to volumes; else each section has objects of its own
    unlike : labels -> in what the image is unlike those learnt from, a column of ``counts.csv``; of all, or of none
    keep : the confidence is kept for a later run
    """
    unknown: dict[str, None] = {}

    def opened(files_of_one: MeasuredFiles, stack: ExitStack) -> Sequence[ObjectFrame]:
        labels, image, _ = files_of_one
        options: dict[str, Any] = {"selection": selection, "channels": channels, "by_section": dims == 2 and not link}
        frames = open_frames(labels, image=image, files=stack, **options)
        remarks = {"unlike": unlike[labels]} if unlike else {}
        volume = len(frames[0].labels.shape) > 3
        sums = KeptSums(labels).of(len(frames), sections=frames[0].labels.shape[1] if volume and link else 1)
        if sums is None:
            unknown[labels.name] = None
            return [replace(frame, remarks=remarks) for frame in frames]
        return [replace(frame, sums=each, remarks=remarks) for frame, each in zip(frames, sums, strict=True)]

    def measure(frames: Sequence[ObjectFrame], _: str) -> Iterator[FrameTable]:
        return map(measure_frame, frames)  # the objects are in one piece: there is nothing to check in whole frames

    files = [(labels, image, None) for image, labels in pairs]
    batch = measure_files(files, opened, measure, out, overwrite=True)
    if unknown:
        some = ", ".join(list(unknown)[:3]) + ", ..." * (len(unknown) > 3)
        say(
            f"note: the confidence of objects is missing for {some}: of what an earlier run finished it is not known; "
            "--overwrite predicts it anew"
        )
    if not keep:
        forget(labels for _, labels in pairs)
    batch.finish(report=say)


def forget(labels: Iterable[Path]) -> None:
    """Delete the confidence of labels, which is in their tables now."""
    for path in labels:
        KeptSums(path).forget()


class _Row(ForeignRecord):
    """A row of ``counts.csv``, as far as it is read."""

    image: str


def are_complete(labels: Sequence[Path], out: Path) -> bool:
    """Whether an earlier run has come to the end of the tables of these labels, and of the labels before.

    Then it may have deleted the confidence of some, and the tables are not to be made anew.
    """
    tables = [out / name for name in TABLES]
    if not all(path.is_file() for path in tables) or all(KeptSums(path).begun for path in labels):
        return False
    written = min(table.stat().st_mtime_ns for table in tables)
    try:
        rows = read_csv(tables[1], _Row, TextFile(str(tables[1]), OutputError, "it is written anew"))
    except OutputError:  # torn, so it is to be made anew
        return False
    images = {row.image for _, row in rows}
    return images == {path.name for path in labels} and all(_changed(path) <= written for path in labels)


def _changed(labels: Path) -> float:
    """When labels were last written, in nanoseconds; infinite if they are not there."""
    # Not that of a folder: it changes with the record, which each run writes anew.
    files = [labels / name for name in ("zarr.json", ".zattrs")] if labels.is_dir() else [labels]
    return max((path.stat().st_mtime_ns for path in files if path.exists()), default=inf)
