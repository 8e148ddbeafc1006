"""Processes that tests start, and that do not outlive them."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["process_of"]


@contextmanager
def process_of(words: Sequence[Any], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a command, which is killed once the block is left if it has not ended by then.

    The block of Popen itself waits for the command, so that a test which fails there would not end.
    """
    with subprocess.Popen(words, **options) as process:
        try:
            yield process
        finally:
            process.kill()
