"""Files that are left out of a folder: counted, named and explained."""

import os
import shutil
from pathlib import Path

import pytest

from biounet.data import images_in
from biounet.data.left_out import left_out, unread_images

SAMPLE = Path(os.environ.get("BIOUNET_DATA", "")) / "formats" / "ome-tiff" / "multifile"


def test_nothing_is_said_of_images_folders_and_hidden_files(tmp_path):
    for name in ("a.tif", ".DS_Store", "desktop.ini", "a.json"):
        (tmp_path / name).touch()
    (tmp_path / "inside").mkdir()
    assert left_out([tmp_path]) == []


@pytest.mark.skipif(not SAMPLE.exists(), reason="BIOUNET_DATA is not set")
def test_files_of_one_image_are_one_image(tmp_path):
    folder = Path(shutil.copytree(SAMPLE, tmp_path / "raw"))
    assert [path.name for path in images_in(folder)] == ["multifile-Z1.ome.tiff"]
    (line,) = left_out([folder])
    assert "5 files are left out: multifile-Z2.ome.tiff, " in line
    assert "parts of the image of another file" in line


def test_other_files_are_counted_by_reason(tmp_path):
    for name in ("a.tif", "b.vsi", "c.VSI", "d.ims", "e.oif", "notes.txt", "README"):
        (tmp_path / name).touch()
    (line,) = left_out([tmp_path])
    assert "6 files are left out" in line
    assert "b.vsi, c.VSI, d.ims and 1 others (.ims Imaris, .oif Olympus, .vsi Olympus: of formats that are not" in line
    assert "README, notes.txt (no suffix, .txt: no images)" in line
    assert set(unread_images(tmp_path)) == {"b", "c", "d", "e"}
