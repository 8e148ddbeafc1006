"""Progress without a terminal: lines now and then, with the time that is left."""

from types import SimpleNamespace

import pytest

from biounet.cli import progress as module
from biounet.cli.progress import progress


@pytest.mark.parametrize("done", [0.0, 0.5])
def test_time_left_is_that_of_the_pace_of_this_process(monkeypatch, capfd, done):
    """A hundredth in ten seconds, whatever was done before: the rest takes a thousand seconds for the whole."""
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with progress("training") as show:
        for number in range(1, 8):
            now[0] += 10
            show(done + number / 100, f"step {number} loss 0.5000")
    left = [1000 * (1 - done - number / 100) / 60 for number in (3, 6)]
    assert capfd.readouterr().err.splitlines() == [
        f"training: {done + number / 100:.0%}, {minutes:.1f} min left step {number} loss 0.5000"
        for number, minutes in zip((3, 6), left, strict=True)
    ]
