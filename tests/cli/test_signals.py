"""Ctrl-C, and being told to end: what happens at once, what between two steps, and that all is as before afterwards."""

import signal
import threading

import pytest

from biounet.cli.signals import stop_between_steps, stop_when_told, wait_for_the_first

BOTH = (signal.SIGINT, signal.SIGTERM)


def handlers():
    return [signal.getsignal(number) for number in BOTH]


@pytest.mark.parametrize("numbers", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGTERM, signal.SIGTERM)])
def test_the_first_asks_and_a_ctrl_c_after_it_ends_at_once(numbers, capfd):
    before = handlers()
    with stop_between_steps() as interrupt:
        assert interrupt.number == 0
        for number in numbers:
            signal.raise_signal(number)
        assert interrupt.number == numbers[0]
        assert len(capfd.readouterr().err.splitlines()) == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert handlers() == before


def test_to_be_told_to_end_after_ctrl_c_changes_nothing():
    with stop_between_steps() as interrupt:
        for number in BOTH:
            signal.raise_signal(number)
        assert (interrupt.number, interrupt.reason) == (signal.SIGINT, "Ctrl-C")


def test_who_is_told_to_end_clears_up_however_often_it_is_told(capfd):
    before, cleared = handlers(), []

    @stop_when_told()
    def told():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            cleared.append("temporary files")

    with pytest.raises(SystemExit) as stopped:
        told()
    assert cleared
    assert stopped.value.code == 143
    assert capfd.readouterr().err == "biounet: stopped\n"
    assert handlers() == before


def test_other_processes_than_the_first_leave_it_to_that(capfd):
    before = handlers()
    with wait_for_the_first():
        for number in BOTH:
            signal.raise_signal(number)
    assert handlers() == before
    assert capfd.readouterr().err == ""


def test_in_another_thread_signals_are_left_to_the_main_one():
    ended = []

    def work():
        with stop_when_told(), stop_between_steps() as interrupt, wait_for_the_first():
            ended.append((interrupt.number, handlers()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [(0, handlers())]
