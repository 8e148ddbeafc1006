"""One holder per output: others are told who it is, and a process that is killed is never in the way."""

import errno
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from biounet.core.errors import OutputError
from biounet.core.output_lock import holding, is_lock

CONTEXT = multiprocessing.get_context("spawn")


def hold(connection, files, folder, no_locks):
    """Hold outputs in a process of its own until the connection says that it is over."""
    if no_locks:
        without_locks(lambda module, name, value: setattr(module, name, value), no_locks)
    try:
        with holding(files, folder=folder):
            connection.send("held")
            connection.recv()
    except OutputError as error:
        connection.send(str(error))


def without_locks(set_attribute, number):
    """Let every lock of the system fail, as on some shared folders."""
    import fcntl

    def flock(*_):
        raise OSError(number, os.strerror(number))

    set_attribute(fcntl, "flock", flock)


@pytest.fixture
def other():
    """Starts a process that holds outputs; gives it and the connection to it."""
    begun = []

    def start(*files, folder=None, no_locks=0):
        here, there = CONTEXT.Pipe()
        process = CONTEXT.Process(target=hold, args=(there, files, folder, no_locks))
        process.start()
        begun.append((process, here))
        assert here.recv() == "held"
        return process, here

    yield start
    for process, here in begun:
        if process.is_alive():
            here.send("over")
        process.join()


@pytest.fixture(params=[0, errno.ENOSYS, errno.ENOLCK], ids=["locks", "unknown call", "no locks"])
def no_locks(request, monkeypatch):
    """The error of a folder whose system has no locks, for all processes; 0 where there are locks."""
    if request.param:
        if sys.platform == "win32":
            pytest.skip("flock is of other systems")
        without_locks(monkeypatch.setattr, request.param)
    return request.param


def test_the_second_is_told_who_holds_it(other, tmp_path, no_locks):
    process, here = other(tmp_path / "a.tif", no_locks=no_locks)
    who = rf"a\.tif is being written by process {process.pid} on \S+ since [-\d]+ [:\d]+ \(.+\); wait for its end"
    with pytest.raises(OutputError, match=who), holding([tmp_path / "a.tif"]):
        pass
    with holding([tmp_path / "b.tif"]):
        assert process.is_alive()
    here.send("over")
    process.join()
    with holding([tmp_path / "a.tif"]):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_is_not_in_the_way(other, tmp_path, no_locks):
    process, _ = other(tmp_path / "a.tif", no_locks=no_locks)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert len(list(tmp_path.iterdir())) == 2
    with holding([tmp_path / "a.tif"]):
        assert len(list(tmp_path.iterdir())) == 2, "what the dead process left is gone"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_held_with_all_that_is_written_into_it(other, tmp_path, no_locks):
    other(folder=tmp_path / "run", no_locks=no_locks)
    for outputs in ({"files": [tmp_path / "run" / "a.tif"]}, {"folder": tmp_path / "run"}):
        with (
            pytest.raises(OutputError, match=r"run(/a\.tif)? is being written by process"),
            holding(**{"files": ()} | outputs),
        ):
            pass
    with pytest.raises(OutputError, match="run is being"), holding([tmp_path / "b.tif"], folder=tmp_path / "run"):
        pass


def test_a_file_keeps_its_folder_from_being_taken_as_a_whole(other, tmp_path):
    other(tmp_path / "out" / "a.tif")
    with pytest.raises(OutputError, match=r"a\.tif is being written"), holding((), folder=tmp_path / "out"):
        pass


def test_one_place_has_one_holder_however_it_is_spelled(other, tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "a.tif").symlink_to(tmp_path / "real" / "a.tif")
    other(tmp_path / "real" / "a.tif")
    monkeypatch.chdir(tmp_path / "real")
    for path in (Path("a.tif"), tmp_path / "link" / "a.tif", tmp_path / "real" / ".." / "real" / "a.tif"):
        with pytest.raises(OutputError, match="is being written"), holding([path]):
            pass
    with pytest.raises(OutputError, match="is being written"), holding([tmp_path / "a.tif"]):
        pass


def test_nobody_holds_twice_in_one_process_either(tmp_path, no_locks):
    with holding((), folder=tmp_path):
        with pytest.raises(OutputError, match=rf"written by process {os.getpid()} "), holding([tmp_path / "a.tif"]):
            pass
        assert len(list(tmp_path.iterdir())) == 2
    with holding([tmp_path / "a.tif"]):
        pass


def test_several_outputs_are_all_held_or_none(other, tmp_path):
    other(tmp_path / "b" / "b.tif")
    with pytest.raises(OutputError, match=r"b\.tif"), holding([tmp_path / "a" / "a.tif", tmp_path / "b" / "b.tif"]):
        pass
    assert not (tmp_path / "a").exists(), "folders that were made for nothing are gone"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_other_errors_of_folders_without_locks_are_known(tmp_path, monkeypatch, number):
    without_locks(monkeypatch.setattr, number)
    with holding([tmp_path / "a.tif"]):
        assert all(is_lock(path) for path in tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="could not be written"), holding([tmp_path / "a.tif"]):
        pass


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="out could not be written"), holding([tmp_path / "out" / "a.tif"]):
        pass


def test_what_is_left_of_the_removal_of_a_dead_lock_is_removed(tmp_path):
    left = tmp_path / ".biounet-1234-00ff.lock.break.99.aa"
    left.touch()
    with holding([tmp_path / "a.tif"]):
        assert not left.exists()
    left.touch()
    with FileLock(tmp_path / ".biounet-1234-00ff.lock"), holding([tmp_path / "a.tif"]):
        assert left.exists()  # it may hold the mark of the process that lives


def test_what_is_left_of_the_removal_of_a_dead_guard_is_removed(tmp_path, no_locks):
    left = tmp_path / ".biounet-guard.break.99.aa"
    left.touch()
    with holding([tmp_path / "a.tif"]):
        assert left.exists()  # another process may be at it in this moment
    os.utime(left, (0, 0))
    with holding([tmp_path / "a.tif"]):
        assert not left.exists()
