"""Long work in a thread: a button that begins it, a bar of its progress, and a button that stops it."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from threading import Event
from typing import Any

from biounet.core.errors import BiounetError, need

__all__ = ["Outcome", "Progress", "Work", "Worker", "followed"]


HEIGHT = 72
"""Pixels for the line of words, which wraps."""


@dataclass(frozen=True)
class Progress:
    """State of long work: how far it is, in words, and what there is to show."""

    share: float
    """Of the work that is done, in [0, 1]."""
    text: str = ""
    shown: Any = None


@dataclass(frozen=True)
class Outcome:
    """End of long work: its result, or its error, or neither if it was stopped."""

    result: Any = None
    error: Exception | None = None
    stopped: bool = False


Work = Generator[Progress, None, Any]
"""Work that yields its progress and returns its result; closing it stops the work."""


def followed(work: Work, stop: Event) -> Generator[Progress, None, Outcome]:
    """Work that is closed in its own thread when it is to stop, and whose errors are returned.

    A worker of napari raises no ``RuntimeError`` of a generator, which is what torch raises.

    Parameters
    ----------
    work : Work
    stop : Event
        Looked at before every step.

    Examples
    --------
    >>> def count():
    ...     yield Progress(0.5)
    ...     return "done"
    >>> steps = followed(count(), Event())
    >>> next(steps).share
    0.5
    >>> next(steps)
    Traceback (most recent call last):
    StopIteration: Outcome(result='done', error=None, stopped=False)
    """
    try:
        while not stop.is_set():
            try:
                progress = next(work)
            except StopIteration as end:
                return Outcome(result=end.value)
            yield progress
        work.close()
    except Exception as error:  # every one is shown in the window
        return Outcome(error=error)
    return Outcome(stopped=True)


class Worker:
    """A button, a bar, a button that stops, a line of words, and the thread between them.

    Parameters
    ----------
    words : str
        On the button that begins the work.
    begin : Callable
        Called in the window's thread when the button is pressed; returns the work.
    show : Callable
        Takes what there is to show, in the window's thread.
    finish : Callable
        Takes the result and returns a line about it.
    leave : Callable
        Called if the work was stopped or has failed.
    """

    def __init__(
        self,
        words: str,
        begin: Callable[[], Work],
        *,
        finish: Callable[[Any], str],
        show: Callable[[Any], None] = lambda shown: None,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        widgets = need("magicgui.widgets")
        self._begin, self._show, self._finish, self._leave = begin, show, finish, leave
        self.start = widgets.PushButton(text=words)
        self.bar = widgets.ProgressBar(min=0, max=1000, value=0, label="")
        self.stop = widgets.PushButton(text="Stop", enabled=False)
        self.line = widgets.Label(value="")
        self.line.native.setWordWrap(True)
        self.line.native.setMinimumHeight(HEIGHT)
        self.widget = widgets.Container(widgets=[self.start, self.bar, self.stop, self.line], labels=False)
        self.widget.margins = (0, 0, 0, 0)
        self.thread: Any = None
        """The worker of napari while work is under way."""
        self._asked = Event()
        self.start.changed.connect(lambda: self.run())
        self.stop.changed.connect(lambda: self.ask_to_stop())

    def run(self) -> None:
        """Begin the work in a thread of its own; what is missing is said in the line."""
        try:
            work = self._begin()
        except BiounetError as error:
            self.line.value = str(error)
            return
        self._asked.clear()
        self.start.enabled, self.stop.enabled, self.bar.value, self.line.value = False, True, 0, "begins"
        threading = need("napari.qt.threading")
        self.thread = threading.create_worker(followed, work, self._asked, _start_thread=False)
        self.thread.yielded.connect(self._follow)
        self.thread.returned.connect(self._end)
        self.thread.start()

    def ask_to_stop(self) -> None:
        """Stop the work after the step under way."""
        self._asked.set()
        self.stop.enabled, self.line.value = False, "stops after the step under way"

    def _follow(self, progress: Progress) -> None:
        self.bar.value = round(1000 * progress.share)
        if not self._asked.is_set():
            self.line.value = progress.text
        if progress.shown is not None:
            self._show(progress.shown)

    def _end(self, outcome: Outcome) -> None:
        self.thread, self.start.enabled, self.stop.enabled = None, True, False
        if outcome.error is None and not outcome.stopped:
            self.bar.value, self.line.value = 1000, self._finish(outcome.result)
            return
        self._leave()
        self.line.value = "stopped" if outcome.stopped else str(outcome.error)
        if outcome.error is not None and not isinstance(outcome.error, BiounetError):
            raise outcome.error  # a fault of ours: napari shows where
