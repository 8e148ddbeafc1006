"""Training on annotated layers as work that yields: `biounet.train` in a thread, whose monitor is a queue."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any

import biounet
from biounet.core.errors import DatasetError
from biounet.napari.annotation import Annotated, write_dataset
from biounet.napari.work import Progress, Work

__all__ = ["train_on_layers"]


class _Queue:
    """A monitor that puts lines and progress into a queue, and stops the run when it is asked to."""

    def __init__(self, again: str) -> None:
        self.again = again
        self.told: SimpleQueue[Progress | None] = SimpleQueue()
        self.stop = Event()
        self._share = 0.0

    def say(self, line: str) -> None:
        """Put a line into the queue."""
        self.told.put(Progress(self._share, line, line))

    @contextmanager
    def watch(self, *, is_main_process: bool) -> Iterator[Callable[[float, str], str]]:
        """Put the progress of every step into the queue."""

        def after_step(share: float, text: str) -> str:
            self._share = share
            self.told.put(Progress(share, text))
            return "stopped in napari" if self.stop.is_set() else ""

        yield after_step


def train_on_layers(
    annotated: Sequence[Annotated],
    out: Path,
    *,
    init: str | None = None,
    minutes: float | None = None,
    volumes: bool = False,
    unpainted: str = "background",
    settings: dict[str, Any] | None = None,
) -> Work:
    """Training on annotated layers; it returns the folder of the run.

    Closing the work stops the run after the step under way; its state and its best model are kept.

    Parameters
    ----------
    annotated : pairs of layers
    out : Path
        Folder of the run, see `biounet.train`. The images are written into a temporary folder.
    init, minutes, settings : as for `biounet.train`
    volumes, unpainted : as for `biounet.napari.annotation.write_dataset`

    Yields
    ------
    Progress
        It shows lines about the run.

    Raises
    ------
    DatasetError
        If no visible labels lie over an image, or nothing is painted.
    BiounetError
        As `biounet.train`.
    """
    if not annotated:
        raise DatasetError("labels over an image are wanted: show both, with equal sizes, and paint")
    with tempfile.TemporaryDirectory(prefix="biounet-") as folder, ThreadPoolExecutor(1) as thread:
        count = write_dataset(annotated, Path(folder), volumes=volumes, unpainted=unpainted)
        yield Progress(0, f"{count} annotated images", f"{count} annotated images")
        monitor = _Queue(again="the Train widget, with another folder")
        options: dict[str, Any] = {"init": init, "minutes": minutes, "settings": settings or {}, "monitor": monitor}
        run = thread.submit(biounet.train, folder, out, **options)
        run.add_done_callback(lambda _: monitor.told.put(None))
        try:
            yield from iter(monitor.told.get, None)
        finally:
            monitor.stop.set()
        run.result()
    return out
