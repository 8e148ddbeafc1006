"""Processes are started together and ended together, and the person hears why."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from biounet.cli import launch as ranks
from biounet.cli.launch import run_processes, started

RANK = "import os, sys, time, signal\nrank = int(os.environ['RANK'])\n"


def script(text: str) -> list[str]:
    return [sys.executable, "-c", RANK + text]


def test_all_end_well(capfd):
    assert run_processes(3, script("print(rank, os.environ['WORLD_SIZE'])")) == 0
    assert capfd.readouterr().out == "0 3\n", "only the first speaks"


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(ranks, "PATIENCE", 0.5)


def test_one_that_is_killed_ends_all_and_is_named(capfd, hurried):
    assert run_processes(2, script("time.sleep(0 if rank else 600); os.kill(os.getpid(), signal.SIGKILL)")) == 1
    assert "process 2 of 2 was killed by signal 9" in capfd.readouterr().err


def test_what_it_said_last_is_told(capfd, hurried):
    assert run_processes(2, script("time.sleep(0 if rank else 600); sys.exit('no room on this disk')")) == 1
    said = capfd.readouterr().err
    assert "process 2 of 2 ended with status 1" in said
    assert "no room on this disk" in said


def test_bad_input_is_said_by_the_first_alone(capfd):
    assert run_processes(2, script("print('bad images', file=sys.stderr); sys.exit(2)")) == 2
    assert capfd.readouterr().err == "bad images\n"


def started_as_a_command(text: str) -> subprocess.Popen[str]:
    """Start two processes as `biounet train --devices 2` does."""
    code = f"import sys; from biounet.cli.launch import run_processes; sys.exit(run_processes(2, {script(text)!r}))"
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_a_run_goes_to_the_first(tmp_path, number):
    """The second must not get it, or it would stop at another step."""
    text = f"""
def stop(*_):
    open({str(tmp_path)!r} + f"/{{rank}}", "w"); sys.exit(0)
signal.signal({number:d}, stop)
open({str(tmp_path)!r} + f"/ready-{{rank}}", "w")
while not os.path.exists({str(tmp_path / "0")!r}): time.sleep(0.02)
"""
    process = started_as_a_command(text)
    wait_for(tmp_path / "ready-0", tmp_path / "ready-1")
    os.killpg(process.pid, number)  # as a terminal, and `timeout`, do: to the whole group
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0
    assert (tmp_path / "0").exists()
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize("all_are_told", [False, True])
def test_processes_that_are_told_to_end_before_they_take_note_end_as_one_that_is(tmp_path, all_are_told):
    text = f"""
open({str(tmp_path)!r} + f"/{{os.getpid()}}", "w").close()
time.sleep(600)
"""
    process = started_as_a_command(text)
    while len(ranks := [int(path.name) for path in tmp_path.iterdir()]) < 2:
        time.sleep(0.02)
    for pid in (process.pid, *(ranks if all_are_told else ())):  # SLURM tells all processes of a step
        os.kill(pid, signal.SIGTERM)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 143


def test_they_end_when_whoever_started_them_is_gone(tmp_path):
    text = f"""
from biounet.cli.launch import started
assert started()
open({str(tmp_path)!r} + f"/{{os.getpid()}}", "w")
time.sleep(600)
"""
    code = f"import sys; from biounet.cli.launch import run_processes; sys.exit(run_processes(2, {script(text)!r}))"
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
