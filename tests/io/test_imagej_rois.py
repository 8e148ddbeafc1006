"""Regions of interest of ImageJ: files of ImageJ and Cellpose, stacks, and files that are none."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import roifile

from biounet.core.errors import BiounetError, ImageError, LabelError, OutputError
from biounet.io import Image, read
from biounet.io.imagej_rois import read_rois, write_rois, write_sections
from biounet.io.shapes import Grid

SAMPLES = Path(os.environ.get("BIOUNET_DATA", "")) / "formats"
needs_samples = pytest.mark.skipif(not (SAMPLES / "rois").exists(), reason="BIOUNET_DATA is not set")
GRID = Grid("YX", (128, 128))


@needs_samples
@pytest.mark.parametrize("name", ["rois/made_RoiSet_cells.zip", "cellpose/made_cells_rois.zip"])
def test_outlines_of_other_programs_are_their_labels(name):
    truth = read(SAMPLES / "coco" / "made_cells_labels.tif", labels=True).array
    notes: list[str] = []
    np.testing.assert_array_equal(read_rois(SAMPLES / name, grid=GRID, notes=notes).array, truth)
    assert any("centres" in note for note in notes) == name.startswith("cellpose")


@needs_samples
@pytest.mark.parametrize(
    ("name", "area", "left_out"),
    [
        ("rectangle.roi", 36 * 43, 0),
        ("composite-rect-in-rect.roi", 2004, 0),
        ("composite-brush-donut.roi", 18, 0),
        ("line1.roi", 0, 1),
        ("multipoint.roi", 0, 1),
        ("polyline.roi", 0, 1),
        ("freeline.roi", 0, 1),
    ],
)
def test_regions_of_imagej_have_their_area(name, area, left_out):
    notes: list[str] = []
    labels = read_rois(SAMPLES / "rois" / name, grid=GRID, notes=notes).array
    assert (np.count_nonzero(labels), len(notes)) == (area, left_out)


def test_an_oval_covers_the_pixels_whose_centres_lie_in_its_ellipse(tmp_path):
    roi = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.OVAL, top=3, left=5, bottom=33, right=65)
    roi.tofile(tmp_path / "a.roi")
    y, x = np.mgrid[:128, :128] + 0.5
    ellipse = ((y - 18) / 15) ** 2 + ((x - 35) / 30) ** 2 < 1
    np.testing.assert_array_equal(read_rois(tmp_path / "a.roi", grid=GRID).array > 0, ellipse)


def test_regions_stand_on_their_slices(tmp_path):
    stack = np.zeros((3, 8, 8), int)
    stack[1, 2:4, 2:5] = 9
    write_rois(tmp_path / "a.zip", Image(stack, "ZYX"))
    (roi,) = roifile.roiread(tmp_path / "a.zip")
    assert (roi.position, roi.name) == (2, "z0001-00009")
    with pytest.raises(LabelError, match=r"a\.zip: an object lies in Z 2, and the image is YX 8 x 8"):
        read_rois(tmp_path / "a.zip", grid=Grid("YX", (8, 8)))
    write_rois(tmp_path / "b.zip", Image(stack[1], "YX"))
    with pytest.raises(LabelError, match="does not say in which section"):
        read_rois(tmp_path / "b.zip", grid=Grid("ZYX", (3, 8, 8)))


def test_names_that_are_no_numbers_are_counted(tmp_path):
    square = np.array([[1, 1], [4, 1], [4, 4], [1, 4]])
    rois = [roifile.ImagejRoi.frompoints(square + shift, name=name) for shift, name in ((0, "b"), (2, "0186-0099"))]
    roifile.roiwrite(tmp_path / "a.zip", rois)
    notes: list[str] = []
    labels = read_rois(tmp_path / "a.zip", grid=Grid("YX", (8, 8)), notes=notes).array
    assert (labels[1, 1], labels[3, 3], labels[5, 5]) == (1, 2, 2)
    assert notes == ["a.zip: 1 pixels lie in two objects; the later one has them"]


def test_the_size_of_the_image_is_asked_for(tmp_path):
    write_rois(tmp_path / "a.zip", Image(np.eye(4, dtype=int), "YX"))
    with pytest.raises(LabelError, match="--image"):
        read_rois(tmp_path / "a.zip")
    write_rois(tmp_path / "b.zip", Image(np.pad(np.eye(4, dtype=int), 9), "YX"))
    with pytest.raises(LabelError, match="none of its 1 objects"):
        read_rois(tmp_path / "b.zip", grid=Grid("YX", (4, 4)))


def test_large_images_are_no_regions_of_imagej(tmp_path):
    with pytest.raises(OutputError, match="32767"):
        write_sections(tmp_path / "a.zip", [(np.zeros((1, 40_000), int), {})])
    assert list(tmp_path.iterdir()) == []


def archive(path, *, files, size=0, suffix=".roi"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(files):
            made.writestr(f"../{number}{suffix}", bytes(size))


@pytest.mark.parametrize(
    ("files", "size", "suffix", "words"),
    [
        (2, 2**25, ".roi", "would unpack to 2 regions of 64 MiB, up to 32 MiB each"),
        (40, 2**24, ".roi", "would unpack to 40 regions of 640 MiB"),
        (10_000, 3, ".roi", "cannot be read as regions of interest"),
        (10_000, 3, ".txt", "holds no .roi"),
    ],
)
def test_archives_that_are_too_large_or_of_other_files_are_refused(tmp_path, files, size, suffix, words):
    archive(tmp_path / "a.zip", files=files, size=size, suffix=suffix)
    with pytest.raises(BiounetError, match=words):
        read_rois(tmp_path / "a.zip", grid=GRID)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_damaged_regions_are_refused(tmp_path):
    write_rois(tmp_path / "a.zip", Image(np.pad([[1, 1, 1], [1, 0, 1], [1, 1, 1]], 2), "YX"))
    (roi,) = roifile.roiread(tmp_path / "a.zip")
    whole = roi.tobytes()
    rng, refused = np.random.default_rng(0), 0
    for _ in range(200):
        content = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.3 else whole)
        for at in rng.integers(0, max(len(content), 1), 3):
            content[at : at + 1] = bytes([rng.integers(256)])
        (tmp_path / "b.roi").write_bytes(content)
        try:
            read_rois(tmp_path / "b.roi", grid=GRID)
        except (ImageError, LabelError):
            refused += 1
    assert refused > 20


def test_an_archive_that_is_cut_off_is_refused(tmp_path):
    write_rois(tmp_path / "a.zip", Image(np.eye(9, dtype=int), "YX"))
    stream = io.BytesIO((tmp_path / "a.zip").read_bytes())
    (tmp_path / "b.zip").write_bytes(stream.getvalue()[:-40])
    with pytest.raises(ImageError, match=r"b\.zip cannot be read"):
        read_rois(tmp_path / "b.zip", grid=GRID)
