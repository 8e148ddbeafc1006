"""Files appear whole or not at all."""

import errno

import pytest

from biounet.core import atomic_files
from biounet.core.atomic_files import check_absent, put_folder, remove_parts, replacing
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
    with pytest.raises(OutputError, match="is a folder"), replacing(target, overwrite=True):
        pass
    with replacing(target, overwrite=True, check_folder=lambda path: None) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("new")
        assert [path.name for path in target.iterdir()] == ["old"]
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["store.zarr"]


@pytest.mark.parametrize("killed", [False, True])
def test_where_names_cannot_be_exchanged_the_old_folder_comes_back(tmp_path, monkeypatch, killed):
    monkeypatch.setattr(atomic_files, "_exchange", lambda one, other: False)
    new, target = tmp_path / ".store.1-a.part.zarr", tmp_path / "store.zarr"
    for folder in (new, target):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    if killed:
        replace = type(target).replace

        def replace_until_killed(path, to):
            if path == new:
                raise KeyboardInterrupt
            return replace(path, to)

        monkeypatch.setattr(type(target), "replace", replace_until_killed)
        with pytest.raises(KeyboardInterrupt):
            put_folder(new, target)
        assert not target.exists()
        monkeypatch.setattr(type(target), "replace", replace)
    else:
        put_folder(new, target)
    remove_parts([target])
    assert [path.name for path in tmp_path.iterdir()] == ["store.zarr"]
    assert (target / "name").read_text() == ("store.zarr" if killed else new.name)


def test_parts_of_other_files_stay(tmp_path):
    others = {".a.b.4711.part.tif", ".a.4711.part.png", ".a[1].4711.part.tif", "a.tif", ".a.part.tif"}
    for name in others | {".a.4711.part.tif", ".a.4711-0f.part.tif"}:
        (tmp_path / name).touch()
    remove_parts([tmp_path / "a.tif", tmp_path / "missing" / "b.tif"])
    assert {path.name for path in tmp_path.iterdir()} == others
    remove_parts([tmp_path / "a[1].tif"])
    assert ".a[1].4711.part.tif" not in {path.name for path in tmp_path.iterdir()}
    remove_parts((), folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.tif", ".a.part.tif"}


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
