"""How a command is stopped: by Ctrl-C, or by being told to end, as SLURM, `timeout`, `docker stop` and `kill` do."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, MappingProxyType
from typing import Any, NoReturn

from biounet.cli.progress import say

__all__ = ["Interrupt", "handling", "leave", "stop_between_steps", "stop_when_told", "wait_for_the_first"]


Handler = Callable[[int, FrameType | None], Any] | signal.Handlers

WORDS: Mapping[int, str] = MappingProxyType({signal.SIGINT: "Ctrl-C", signal.SIGTERM: "told to end (SIGTERM)"})
"""Signals that stop a command, in words."""


@contextmanager
def handling(handler: Handler, *numbers: signal.Signals) -> Iterator[None]:
    """Handle signals while the block runs, and then as before; nothing changes in threads, where Python allows none."""
    if threading.current_thread() is not threading.main_thread():
        numbers = ()
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def leave(number: int) -> NoReturn:
    """End a command that a signal has stopped, with the status that shells give it: 130 or 143."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt  # to which the command line gives the last word and the status
    say("biounet: stopped")
    raise SystemExit(128 + number)


@contextmanager
def stop_when_told() -> Iterator[None]:
    """End the block at once, as by Ctrl-C, when the process is told to: files that are not complete vanish."""

    def end(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # `timeout` and SLURM say it twice, and clearing up is to come to its end
        leave(number)

    with handling(end, signal.SIGTERM):
        yield


class Interrupt:
    """A handler of signals that asks a run to stop between two steps; a second Ctrl-C ends the run at once."""

    def __init__(self) -> None:
        self.number = 0
        """The signal that has asked to stop; 0 as long as none has."""
        self.finishing = False
        """Whether the last step is made, so that the run comes to its end and is not stopped."""

    @property
    def reason(self) -> str:
        """The signal that has asked to stop, in words."""
        return WORDS[self.number]

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Take note of a signal."""
        if self.number and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.number:  # told once more, as `timeout` and SLURM do: patience ends by SIGKILL
            return
        self.number = number
        now = "finishing: all steps are made, the model is finalised" if self.finishing else "stopping after this step"
        say(f"{now}; Ctrl-C again to stop at once" if number == signal.SIGINT else f"{self.reason}: {now}")


@contextmanager
def stop_between_steps() -> Iterator[Interrupt]:
    """Take note of Ctrl-C, and of being told to end, while the block runs."""
    interrupt = Interrupt()
    with handling(interrupt, *map(signal.Signals, WORDS)):
        yield interrupt


def wait_for_the_first() -> AbstractContextManager[None]:
    """Ignore signals while the block runs, since the main process stops all of them between two steps."""
    return handling(signal.SIG_IGN, *map(signal.Signals, WORDS))
