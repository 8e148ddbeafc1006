"""Tests of places that a person names: what cannot work is said in one line, before any work."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from biounet.core.atomic_files import sayable
from biounet.core.errors import ImageError, OutputError
from biounet.core.places import LONGEST_NAME, check_input, check_output, explained, real_path


def refused_input(path, words):
    with pytest.raises(ImageError, match=words) as caught:
        check_input(path, ImageError, what="image")
    assert "\n" not in str(caught.value)


def test_files_and_folders_are_read(tmp_path):
    (tmp_path / "a.tif").touch()
    (tmp_path / "b.tif").symlink_to(tmp_path / "a.tif")
    for path in (tmp_path, *tmp_path.iterdir()):
        check_input(path, ImageError)


def test_what_is_missing_is_said(tmp_path):
    (tmp_path / "a.tif").touch()
    (tmp_path / "b.tif").symlink_to(tmp_path / "gone.tif")
    refused_input(tmp_path / "c.tif", "c.tif: there is no such image; check the name")
    refused_input(tmp_path / "a.tif" / "c.tif", "there is no such image")
    refused_input(tmp_path / "b.tif", r"b.tif: it is a link to .*gone.tif, which is missing; check the name")
    refused_input(tmp_path / ("a" * 300), "the name is too long for the disk; take a shorter one")
    refused_input(tmp_path / "a\0b", "there is no such image")


def test_a_link_to_itself_is_said(tmp_path):
    (tmp_path / "a.tif").symlink_to(tmp_path / "a.tif")
    refused_input(tmp_path / "a.tif", "a link that leads back to itself")
    assert real_path(tmp_path / "a.tif") == tmp_path / "a.tif"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes among files")
def test_what_would_be_waited_for_without_end_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    os.mkfifo("a.tif")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("b.tif")
        refused_input(Path("a.tif"), "it is a named pipe, which is no image; save what comes from it first")
        refused_input(Path("b.tif"), "it is a socket")
        refused_input(Path("/dev/null"), "it is a device")
        for name in ("a.tif", "b.tif", "/dev/null"):
            with pytest.raises(OutputError, match="no place for a result; choose another --out"):
                check_output(Path(name))


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "/", "./"])
def test_an_output_has_a_name_of_its_own(name):
    with pytest.raises(OutputError, match="no name of its own; give a name, such as results"):
        check_output(Path(name))


@pytest.mark.parametrize("name", [".tif", ".zarr", "a/.json", "..tif"])
def test_a_suffix_is_no_name_of_a_file(tmp_path, name):
    if name == "..tif":
        check_output(tmp_path / name, file=True)
        return
    check_output(tmp_path / name)  # a hidden folder may be meant
    with pytest.raises(OutputError, match=f"such as results{Path(name).name}"):
        check_output(Path(name), file=True)


def test_names_are_as_long_as_a_disk_takes(tmp_path):
    check_output(tmp_path / ("a" * LONGEST_NAME))
    (tmp_path / ("a" * (LONGEST_NAME + 30))).touch()
    for name in ("a" * (LONGEST_NAME + 1), "ä" * (LONGEST_NAME // 2 + 1)):
        with pytest.raises(OutputError, match=f"a name of {len(name.encode())} bytes is too long"):
            check_output(tmp_path / name)
    with pytest.raises(OutputError, match="the name is too long for the disk"):
        check_output(Path("/".join(["a" * 100] * 50)))


def test_no_folder_is_made_below_a_file(tmp_path):
    (tmp_path / "a.txt").touch()
    check_output(tmp_path / "a.txt")
    with pytest.raises(OutputError, match=r"a.txt is a file, and no folder; choose another --out"):
        check_output(tmp_path / "a.txt" / "b" / "c")


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # the superuser may everything
    with pytest.raises(OutputError, match=r"cannot be written to: you have no permission for it; ask its owner"):
        check_output(tmp_path / "a" / "b")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    refused_input(tmp_path, "you have no permission for it")


def test_errors_of_the_system_have_words():
    with (
        pytest.raises(OutputError, match=r"a.tif could not be written: the disk is full; free some room"),
        sayable(Path("a.tif")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert explained(OSError(errno.EINVAL, "Invalid argument")) is None
    assert explained(OSError("without a number")) is None


def test_a_folder_that_is_gone_is_said():
    code = (
        "import os, sys, tempfile; place = tempfile.mkdtemp(); os.chdir(place); os.rmdir(place);"
        "sys.argv = ['biounet', 'predict', 'model', 'a.tif', '--out', 'b.tif']; from biounet.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "biounet: the folder that you are in was removed; change to another by cd, and run again\n"
