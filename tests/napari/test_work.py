"""Work in a thread ends in words: with its result, its error, or because it was stopped."""

from threading import Event

import pytest

from biounet.napari.work import Outcome, Progress, followed


def end_of(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_an_error_of_torch_is_returned():
    def broken():
        yield Progress(0.5)
        raise RuntimeError("out of memory")

    outcome = end_of(followed(broken(), Event()))
    assert isinstance(outcome.error, RuntimeError)
    assert not outcome.stopped


@pytest.mark.parametrize("error", [None, OSError("disk full")])
def test_work_that_is_stopped_is_closed_and_may_fail_then(error):
    closed, stop = [], Event()

    def endless():
        try:
            while True:
                yield Progress(0.5)
        finally:
            closed.append(True)
            if error:
                raise error

    steps = followed(endless(), stop)
    next(steps)
    stop.set()
    assert end_of(steps) == (Outcome(error=error) if error else Outcome(stopped=True))
    assert closed
