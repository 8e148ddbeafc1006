"""A change of the files of an image is noticed, however it was made, and told in words."""

import os
import shutil

import numpy as np
import pytest
import tifffile

from biounet.core.errors import ImageError
from biounet.io import Image, read, write
from biounet.io import identity as identities
from biounet.io.identity import BLOCK, WHOLE, FileIdentity, check_unchanged, unchanged
from biounet.io.tiff import TiffImage

OLD = 1_700_000_000_123_456_789
"""A time of change that is long over, in nanoseconds."""


def old(path, content=b"as it was"):
    path.write_bytes(content)
    os.utime(path, ns=(OLD, OLD))
    return path


def grow(path):
    old(path, b"as it was, and more")


def touch(path):
    os.utime(path, ns=(OLD, OLD + 1))


def overwrite_at_the_same_time(path):
    old(path, b"as it is!")


def replace(path):
    old(path.with_name("other.tif"), b"as it is!").replace(path)


def delete(path):
    path.unlink()


def make_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (grow, "it had 9 bytes and has 19"),
        (touch, "written at 2023-11-14 22:13:20.123 UTC, and again at"),
        (overwrite_at_the_same_time, "another content"),
        (replace, "another content"),
        (delete, "it is gone"),
        (make_a_folder, "it is gone"),
    ],
)
def test_a_file_that_changes_is_told(tmp_path, change, words):
    path = old(tmp_path / "a.tif")
    before = FileIdentity.of(path)
    check_unchanged(path, before, verb="predicted")
    change(path)
    with pytest.raises(
        ImageError, match=rf"^a.tif changed while it was predicted \(.*{words}.*; wait .*, and put it back"
    ):
        check_unchanged(path, before, verb="predicted", remedy="put it back")


def test_what_is_copied_with_its_time_is_the_same(tmp_path):
    before = FileIdentity.of(old(tmp_path / "a.tif"))
    assert before == FileIdentity.of(shutil.copy2(tmp_path / "a.tif", tmp_path / "b.tif"))


def test_of_a_large_file_blocks_from_its_beginning_to_its_end_are_digested(tmp_path):
    path = tmp_path / "a.tif"
    with path.open("wb") as stream:
        stream.truncate(4 * WHOLE)  # sparse
    os.utime(path, ns=(OLD, OLD))
    before = FileIdentity.of(path)
    for place in (0, 2 * WHOLE + 3 * BLOCK, 4 * WHOLE - BLOCK):
        with path.open("r+b") as stream:
            stream.seek(place)
            stream.write(b"x" * 4 * BLOCK if place < 3 * WHOLE else b"x" * BLOCK)
        os.utime(path, ns=(OLD, OLD))
        after = FileIdentity.of(path)
        assert before.difference(after) == "it has another content"
        before = after


def test_a_file_that_was_written_this_moment_is_looked_at_again(tmp_path, monkeypatch):
    path, slept = tmp_path / "a.tif", []
    path.write_bytes(b"one")
    now = path.stat().st_mtime_ns
    monkeypatch.setattr(identities.time, "time_ns", lambda: now + 1000 + int(1e9 * sum(slept)))
    monkeypatch.setattr(identities.time, "sleep", slept.append)
    FileIdentity.of(path)
    assert sum(slept) == pytest.approx((identities.TICK - 1000) / 1e9)
    slept.clear()
    now = 1_700_000_000_000_000_000  # a disk that counts whole seconds
    os.utime(path, ns=(now, now))
    FileIdentity.of(path)
    assert sum(slept) == pytest.approx(2, rel=0.01)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "a.zarr"
    write(path, Image(np.arange(600 * 400, dtype=np.uint16).reshape(600, 400), "YX"))
    return path


def remove_a_chunk(path):
    (path / "0/c/1/1").unlink()


def write_a_chunk_anew(path):
    chunk = path / "0/c/0/1"
    chunk.write_bytes(chunk.read_bytes())
    os.utime(chunk, ns=(OLD, OLD))


def add_a_chunk(path):
    shutil.copy2(path / "0/c/1/1", path / "0/c/9")


def change_metadata(path):
    with (path / "zarr.json").open("a") as stream:
        stream.write(" ")


def exchange_chunks(path):
    first, second = path / "0/c/0/0", path / "0/c/1/0"
    first.rename(path / "x")
    second.rename(first)
    (path / "x").rename(second)


def exchange(path):
    write(path.with_name("b.zarr"), Image(np.ones((600, 400), np.uint16), "YX"))
    path.rename(path.with_name("c.zarr"))
    path.with_name("b.zarr").rename(path)


@pytest.mark.parametrize(
    "change",
    [remove_a_chunk, write_a_chunk_anew, add_a_chunk, change_metadata, exchange_chunks, exchange, shutil.rmtree],
)
def test_a_zarr_that_changes_is_told(folder, change):
    assert FileIdentity.of(folder) == FileIdentity.of(shutil.copytree(folder, folder.with_name("copy.zarr")))
    with pytest.raises(ImageError, match=r"a.zarr changed while it was read"), unchanged(folder, verb="read"):
        change(folder)


def test_labels_and_what_viewers_put_beside_count_only_where_they_are_read(folder):
    before, with_labels = FileIdentity.of(folder), FileIdentity.of(folder, labels=True)
    write(folder / "labels/cells", Image(np.ones((600, 400), np.uint16), "YX"))
    (folder / ".DS_Store").write_bytes(b"x")
    assert before == FileIdentity.of(folder)
    assert with_labels != FileIdentity.of(folder, labels=True)
    assert FileIdentity.of(folder / "labels/cells").files


def test_links_are_followed_but_not_in_circles(tmp_path, folder):
    linked = tmp_path / "linked.zarr"
    linked.mkdir()
    (linked / "0").symlink_to(folder / "0", target_is_directory=True)
    (linked / "self").symlink_to(linked, target_is_directory=True)
    (linked / "nothing").symlink_to(tmp_path / "nothing")
    before = FileIdentity.of(linked)
    assert before.files == FileIdentity.of(folder / "0").files
    remove_a_chunk(folder)
    assert before.difference(FileIdentity.of(linked))


def test_folders_without_end_are_refused(tmp_path):
    deep = tmp_path.joinpath("a.zarr", *"x" * 40)
    deep.mkdir(parents=True)
    with pytest.raises(ImageError, match="more than 32 deep"):
        FileIdentity.of(tmp_path / "a.zarr")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    assert FileIdentity.of(tmp_path / "a.tif").digest == ""


def test_a_whole_image_that_changes_while_it_is_read_is_told(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    write(path, Image(np.zeros((20, 30), np.uint8), "YX"))
    pixels = TiffImage.read

    def interrupted(image, box):
        found = pixels(image, box)
        write(path, Image(np.ones((20, 31), np.uint8), "YX"), overwrite=True)
        return found

    monkeypatch.setattr(TiffImage, "read", interrupted)
    with pytest.raises(ImageError, match=r"a.tif changed while it was read"):
        read(path)


def test_files_that_hold_planes_of_the_same_image_count(tmp_path):
    names = [f"Z{z}.ome.tif" for z in range(3)]
    described = "".join(
        f'<TiffData FirstZ="{z}" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
        for z, name in enumerate(names)
    )
    pixels = 'DimensionOrder="XYZCT" Type="uint8" SizeX="20" SizeY="30" SizeZ="3" SizeC="1" SizeT="1"'
    for z, name in enumerate(names):
        xml = f'<OME UUID="urn:uuid:{z}"><Image Name="a"><Pixels {pixels}>{described}</Pixels></Image></OME>'
        tifffile.imwrite(tmp_path / name, np.full((30, 20), z, np.uint8), description=xml, metadata=None)
    (tmp_path / "notes.txt").touch()
    for identity in (FileIdentity.of, FileIdentity.of_times):
        before = identity(tmp_path / names[0])
        assert before.files == 3
        os.utime(tmp_path / names[2])
        assert "again at" in before.difference(identity(tmp_path / names[0]))
        before = identity(tmp_path / names[0])
        (tmp_path / "notes.txt").write_text("not of the image")
        assert not before.difference(identity(tmp_path / names[0]))


def test_the_file_that_holds_the_pixels_counts(tmp_path):
    header = ["NRRD0004", "type: uint8", "dimension: 2", "sizes: 3 2", "encoding: raw", "data file: a.raw", "", ""]
    (tmp_path / "a.nhdr").write_text("\n".join(header))
    (tmp_path / "a.raw").write_bytes(bytes(6))
    before = FileIdentity.of(tmp_path / "a.nhdr")
    (tmp_path / "a.raw").write_bytes(bytes(7))
    assert before.files == 2
    assert before.difference(FileIdentity.of(tmp_path / "a.nhdr"))


@pytest.mark.parametrize(("file", "inside"), [("a.h5", "a.h5:/volumes/raw"), ("b.zarr.zip", "b.zarr.zip/0")])
def test_a_path_into_a_file_stands_for_the_file(tmp_path, file, inside):
    old(tmp_path / file)
    before = FileIdentity.of(tmp_path / inside)
    assert before == FileIdentity.of(tmp_path / file)
    grow(tmp_path / file)
    assert before.difference(FileIdentity.of(tmp_path / inside)) == "it had 9 bytes and has 19"
