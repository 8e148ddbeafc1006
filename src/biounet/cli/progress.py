"""Progress with the time left: a moving bar on a terminal, plain lines now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from biounet.cli.verbosity import SILENT, level
from biounet.core.words import printable

__all__ = ["CONSOLE", "Show", "progress", "say"]


CONSOLE = Console(stderr=True, highlight=False, soft_wrap=True)
"""The one way to the terminal, so that lines stand above a bar that moves, and never in it."""

PLAIN_EVERY = 30.0  # seconds between lines where there is no terminal


class Show(Protocol):
    """Show how far a job is."""

    def __call__(self, share: float, text: str) -> None:
        """Take a share in [0, 1] of the work, and a few words."""


def say(line: str, *, loud: bool = False) -> None:
    """Print a line for the person at the terminal, in red if it is `loud`; results proper go to standard output."""
    if level() > SILENT:
        CONSOLE.print(Text(printable(line), style="bold red" if loud else ""))


@contextmanager
def progress(job: str) -> Iterator[Show]:
    """Show the progress of a job while the block runs.

    Examples
    --------
    >>> with progress("counting") as show:
    ...     show(0.5, "half")
    """
    if level() == SILENT:
        yield lambda share, text: None
        return
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[text]}"))
        with Progress(*columns, *times, console=CONSOLE, transient=True) as bar:
            task = bar.add_task(job, total=1.0, text="")
            yield lambda share, text: bar.update(task, completed=share, text=text)
        return
    said = time.monotonic()
    first: tuple[float, float] | None = None

    def plain(share: float, text: str) -> None:
        nonlocal said, first
        now = time.monotonic()
        since, before = first = first or (
            now,
            share,
        )  # a job that goes on has done a share of its work in another process
        if now - said >= PLAIN_EVERY and share > before:
            said = now
            left = (now - since) * (1 - share) / (share - before)
            say(f"{job}: {share:.0%}, {left / 60:.1f} min left {text}")

    yield plain
