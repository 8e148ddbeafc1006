"""A limit of time for what is read in this process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SECONDS", "within"]

SECONDS = 10
"""Time in which a damaged file must be read or refused."""


@contextmanager
def within(seconds: int = SECONDS) -> Iterator[None]:
    """Let the block run for so long."""

    def stop(number, frame):
        raise TimeoutError(f"no end in {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
