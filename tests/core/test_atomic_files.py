"""Files appear whole or not at all."""

import errno

import pytest

from biounet.core.atomic_files import check_absent, replacing
from biounet.core.errors import OutputError


def test_nothing_is_left_of_a_failed_write(tmp_path):
    def write():
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise KeyError("a fault")

    with pytest.raises(KeyError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_the_old_file_stays(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with replacing(path, overwrite=True) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match="the disk is full"):
        write()
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_existing_files_are_refused_before_work_begins(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        check_absent(tmp_path / "a.txt")
    check_absent(tmp_path / "a.txt", overwrite=True)


def test_folders_are_replaced_whole(tmp_path):
    target = tmp_path / "store.zarr"
    target.mkdir()
    (target / "old").write_text("old")
    with replacing(target, overwrite=True) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("new")
    assert [path.name for path in target.iterdir()] == ["new"]


def test_a_file_does_not_replace_a_folder(tmp_path):
    folder = tmp_path / "a.tif"
    folder.mkdir()
    (folder / "old").write_text("old")

    def write():
        with replacing(folder, overwrite=True) as temporary:
            temporary.write_text("new")

    with pytest.raises(OutputError, match="is a folder"):
        check_absent(folder, overwrite=True, file=True)
    with pytest.raises(OutputError, match="is a folder"):
        write()
    assert [path.name for path in tmp_path.rglob("*")] == ["a.tif", "old"]
