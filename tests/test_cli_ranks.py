"""Processes are started together and ended together, and the person hears why."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from biounet.cli import ranks
from biounet.cli.ranks import run_ranks, started

RANK = "import os, sys, time, signal\nrank = int(os.environ['RANK'])\n"


def script(text: str) -> list[str]:
    return [sys.executable, "-c", RANK + text]


def test_all_end_well(capfd):
    assert run_ranks(3, script("print(rank, os.environ['WORLD_SIZE'])")) == 0
    assert capfd.readouterr().out == "0 3\n", "only the first speaks"


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(ranks, "PATIENCE", 0.5)


def test_one_that_is_killed_ends_all_and_is_named(capfd, hurried):
    assert run_ranks(2, script("time.sleep(0 if rank else 600); os.kill(os.getpid(), signal.SIGKILL)")) == 1
    assert "process 2 of 2 was killed by signal 9" in capfd.readouterr().err


def test_what_it_said_last_is_told(capfd, hurried):
    assert run_ranks(2, script("time.sleep(0 if rank else 600); sys.exit('no room on this disk')")) == 1
    said = capfd.readouterr().err
    assert "process 2 of 2 ended with status 1" in said
    assert "no room on this disk" in said


def test_bad_input_is_said_by_the_first_alone(capfd):
    assert run_ranks(2, script("print('bad images', file=sys.stderr); sys.exit(2)")) == 2
    assert capfd.readouterr().err == "bad images\n"


def test_ctrl_c_goes_to_the_first(tmp_path):
    """The second must not get it, or it would stop at another step."""
    text = f"""
def stop(*_):
    open({str(tmp_path)!r} + f"/{{rank}}", "w"); sys.exit(0)
signal.signal(signal.SIGINT, stop)
open({str(tmp_path)!r} + f"/ready-{{rank}}", "w")
while not os.path.exists({str(tmp_path / "0")!r}): time.sleep(0.02)
"""
    code = f"import sys; from biounet.cli.ranks import run_ranks; sys.exit(run_ranks(2, {script(text)!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    wait_for(tmp_path / "ready-0", tmp_path / "ready-1")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    assert process.wait(60) == 0
    assert (tmp_path / "0").exists()
    assert not (tmp_path / "1").exists()


def test_they_end_when_whoever_started_them_is_gone(tmp_path):
    text = f"""
from biounet.cli.ranks import started
assert started()
open({str(tmp_path)!r} + f"/{{os.getpid()}}", "w")
time.sleep(600)
"""
    code = f"import sys; from biounet.cli.ranks import run_ranks; sys.exit(run_ranks(2, {script(text)!r}))"
    process = subprocess.Popen([sys.executable, "-c", code])
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.02)
    process.kill()
    process.wait()
    pids = [int(path.name) for path in tmp_path.iterdir()]
    for _ in range(3000):
        if not any(map(lives, pids)):
            return
        time.sleep(0.02)
    pytest.fail("they live on")


def test_a_process_that_was_started_alone_is_alone():
    assert not started()


def wait_for(*paths: Path) -> None:
    while not all(path.exists() for path in paths):
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
