"""Measurement of several label files into one pair of tables, past the files that cannot be read."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from biounet.cli.pair_files import Channels, MeasuredFiles, check_channels
from biounet.cli.progress import progress, say
from biounet.core.batch import Batch
from biounet.io import plain_name
from biounet.io.identity import unchanged
from biounet.measurement.csv_files import empty_table, write_tables
from biounet.measurement.frames import FrameTable, ObjectFrame

__all__ = ["TABLES", "measure_files"]


TABLES = ("objects.csv", "counts.csv")


def measure_files(
    files: Sequence[MeasuredFiles],
    opened: Callable[[MeasuredFiles, ExitStack], Sequence[ObjectFrame]],
    measure: Callable[[Sequence[ObjectFrame], str], Iterator[FrameTable]],
    out: Path,
    *,
    channels: Channels | None = None,
    overwrite: bool,
) -> Batch:
    """Measure files one after the other into the tables, and say how many objects there are.

    All files are opened before the first is measured. A bad file has no rows in the tables: of several files, each is
    measured to its end before its rows are written.

    Parameters
    ----------
    files : labels, each with the image and the probabilities that are measured in them
    opened : function that opens the frames of a file
    measure : function that measures the frames of a file of that name
    out : folder for the tables
    channels : of the probabilities
    overwrite : bool

    Returns
    -------
    Batch
        With the failures, not finished yet.

    Raises
    ------
    BatchError
        If no file could be measured; then no table is written.
    """
    batch = Batch(len(files), verb="measured", again="--overwrite", kind="label images")
    by_class = channels is not None and channels.are_classes
    names = channels.class_names if channels is not None and channels.count > 2 else ()

    def kinds() -> Iterator[FrameTable]:
        first = True
        for each in files:
            with batch.noting(each[0]):
                with ExitStack() as stack:
                    frame = opened(each, stack)[0]
                    check_channels(frame, channels, first=first)
                    kind = empty_table(frame, by_class=by_class, class_names=frame.class_names or names)
                first = False
                yield kind

    def tables() -> Iterator[FrameTable]:
        for done, each in enumerate(files):
            show(done / len(files), each[0].name)
            if each[0] not in batch.failures:
                yield from _tables_of(each)
        if len(batch.failures) == len(files):
            batch.finish(report=say)

    def _tables_of(each: MeasuredFiles) -> Iterator[FrameTable]:
        kept = unchanged(*each, verb="measured", remedy="run again with --overwrite", labels=True)
        with batch.noting(each[0]), kept, ExitStack() as stack:
            frames = measure(opened(each, stack), plain_name(each[0]))
            yield from frames if len(files) == 1 else list(frames)

    with progress("measuring") as show:
        objects = write_tables(tables(), out, kinds=kinds(), overwrite=overwrite)
    count = len(files) - len(batch.failures)
    many, images = "s" * (objects != 1), "s" * (count > 1)
    say(f"{objects} object{many} in {count} label image{images}: {out / TABLES[0]}")
    return batch
