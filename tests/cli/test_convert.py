"""`biounet convert`: label files of other programs, folders of them, and images."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from biounet.core.output_lock import holding
from biounet.io import Image, read, write

SAMPLES = Path(os.environ.get("BIOUNET_DATA", "")) / "formats"
needs_samples = pytest.mark.skipif(not (SAMPLES / "coco").exists(), reason="BIOUNET_DATA is not set")
CELLS = np.kron(np.arange(1, 17).reshape(4, 4), np.pad(np.ones((6, 6), int), 1)).astype(np.uint16)
ENDS = {"imagej": ".zip", "qupath": ".geojson", "coco": ".json", "cellpose": "_masks.tif", "png": ".png"}


@pytest.fixture
def convert(command):
    """Run the command; return status and what was said."""
    return lambda *words: command("convert", *words)[::2]


@pytest.mark.parametrize(("word", "end"), ENDS.items())
def test_labels_there_and_back_are_the_same(convert, tmp_path, word, end):
    write(tmp_path / "a.tif", Image(CELLS, "YX"))
    assert convert(tmp_path / "a.tif", "--to", word, "--out", tmp_path / f"b{end}")[0] == 0
    words = ("--to", "tif", "--out", tmp_path / "c.tif", "--image", tmp_path / "a.tif")
    status, said = convert(tmp_path / f"b{end}", *words)
    assert (status, "note" in said) == (0, False)
    np.testing.assert_array_equal(read(tmp_path / "c.tif").array, CELLS)
    status, said = convert(tmp_path / f"b{end}", *words)
    assert (status, "exists already" in said) == (2, True)


@needs_samples
@pytest.mark.parametrize(
    "name",
    ["rois/made_RoiSet_cells.zip", "cellpose/made_cells_rois.zip", "qupath/made_cells.geojson",
     "cellpose/made_cells_seg.npy"],
)  # fmt: skip
def test_files_of_other_programs_are_the_labels_they_were_made_from(convert, tmp_path, name):
    words = ("--image", SAMPLES / "coco" / "made_cells.png", "--to", "tif", "--out", tmp_path / "a.tif")
    assert convert(SAMPLES / name, *words)[0] == 0
    truth = read(SAMPLES / "coco" / "made_cells_labels.tif", labels=True).array
    np.testing.assert_array_equal(read(tmp_path / "a.tif").array, truth)


def test_a_folder_of_label_images_is_one_file_of_coco_and_comes_back(convert, tmp_path):
    for name in "ab":
        write(tmp_path / "labels" / f"{name}_mask.tif", Image(CELLS, "YX"))
        write(tmp_path / "images" / f"{name}.png", Image(CELLS.astype(np.uint8), "YX"))
    words = ("--to", "coco", "--image", tmp_path / "images", "--classes", "background, cell")
    status, said = convert(tmp_path / "labels", *words, "--out", tmp_path / "all.json")
    assert (status, "a label is 16, and --classes names 0 to 1" in said) == (2, True)
    assert convert(tmp_path / "labels", *words[:-2], "--out", tmp_path / "all.json")[0] == 0
    told = json.loads((tmp_path / "all.json").read_text())
    assert [image["file_name"] for image in told["images"]] == ["a.png", "b.png"]
    assert convert(tmp_path / "all.json", "--to", "png", "--out", tmp_path / "back")[0] == 0
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["a.png", "b.png"]
    np.testing.assert_array_equal(read(tmp_path / "back" / "b.png").array, CELLS)


def test_outlines_beside_their_images_need_no_option(convert, tmp_path):
    for name in "ab":
        write(tmp_path / "set" / f"{name}.tif", Image(CELLS, "YX", (0.5, 0.5)))
        assert convert(tmp_path / "set" / f"{name}.tif", "--to", "rois", "--out", tmp_path / f"set/{name}.zip")[0] == 0
    assert convert(tmp_path / "set", "--to", "tif", "--out", tmp_path / "labels")[0] == 0
    back = read(tmp_path / "labels" / "a.tif")
    assert back.spacing == (0.5, 0.5)
    np.testing.assert_array_equal(back.array, CELLS)
    assert convert(tmp_path / "set", "--to", "stardist", "--out", tmp_path / "train")[0] == 0
    assert (tmp_path / "train" / "train" / "masks" / "b.tif").exists()


def test_no_input_is_replaced(convert, tmp_path):
    write(tmp_path / "a.tif", Image(CELLS, "YX"))
    before = (tmp_path / "a.tif").read_bytes()
    words = ("--to", "tif", "--out", tmp_path / "a.tif", "--overwrite")
    status, said = convert(tmp_path / "a.tif", *words)
    assert (status, "which this command reads" in said) == (2, True)
    assert convert(tmp_path / "a.tif", "--to", "rois", "--out", tmp_path / "a.zip")[0] == 0
    assert convert(tmp_path / "a.zip", *words, "--image", tmp_path / "a.tif")[0] == 2
    assert (tmp_path / "a.tif").read_bytes() == before


def test_a_bad_file_does_not_stop_the_others(convert, tmp_path):
    write(tmp_path / "set" / "a.tif", Image(CELLS, "YX"))
    (tmp_path / "set" / "a.geojson").write_text("[]")
    (tmp_path / "set" / "b.geojson").write_text("{")
    status, said = convert(tmp_path / "set", "--to", "tif", "--out", tmp_path / "out")
    assert (status, "1 of 2 files could not be converted" in said) == (2, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.tif"]


def test_unknown_pixels_are_told_by_their_number(convert, tmp_path):
    write(tmp_path / "a.tif", Image(CELLS, "YX"))
    words = ("--to", "qupath", "--out", tmp_path / "a.geojson", "--ignore-value", 3)
    assert convert(tmp_path / "a.tif", *words)[0] == 0
    kinds = [each["properties"] for each in json.loads((tmp_path / "a.geojson").read_text())["features"]]
    assert {"objectType": "annotation", "classification": {"name": "Ignore*"}} in kinds
    assert len(kinds) == 16


@pytest.mark.parametrize(
    ("to", "out", "said"),
    [
        ("cellpose", "a_masks.tif", "cannot hold 70000 objects, at most 65535 fit 16 bits"),
        ("stardist", "out", "masks of StarDist cannot hold 70000 objects"),
        ("nnunet", "out", "nnU-Net learns classes, not objects"),
        ("what", "a.tif", "--to wants one of png, tiff"),
        ("qupath", "a.txt", "names of QuPath GeoJSON end in .geojson"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_in_a_line(convert, tmp_path, to, out, said):
    write(tmp_path / "many.tif", Image(np.arange(70_001, dtype=np.uint32).reshape(1, -1), "YX"))
    words = (tmp_path / "many.tif", "--to", to, "--out", tmp_path / out, "--image", tmp_path / "many.tif")
    status, told = convert(*words)
    assert (status, said in told) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["many.tif"]


def test_a_part_of_a_file_is_converted(convert, tmp_path):
    image = Image(np.arange(240, dtype=np.uint8).reshape(3, 8, 10), "CYX")
    write(tmp_path / "a.tif", image)
    words = ("--to", "tif", "--out", tmp_path / "b.tif")
    assert convert(tmp_path / "a.tif", *words, "--channel", "2,0")[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "b.tif").array, image.array[[2, 0]])
    status, said = convert(tmp_path / "a.tif", *words[:2], "--out", tmp_path / "c.tif", "--series", 1)
    assert (status, "no series 1" in said) == (2, True)


def test_a_stardist_folder_has_the_channel_that_is_asked_for(convert, tmp_path):
    colours = np.stack([CELLS, CELLS + 1, CELLS + 2]).astype(np.uint8)
    write(tmp_path / "images" / "a.tif", Image(colours, "CYX"))
    write(tmp_path / "labels" / "a.tif", Image(CELLS, "YX"))
    words = ("--image", tmp_path / "images", "--to", "stardist", "--out", tmp_path / "set", "--channel", 1)
    assert convert(tmp_path / "labels", *words)[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "set" / "train" / "images" / "a.tif").array, colours[1])
    np.testing.assert_array_equal(read(tmp_path / "set" / "train" / "masks" / "a.tif").array, CELLS)


@pytest.mark.parametrize("out", ["b.tif", "folder"])
def test_nobody_else_writes_there_meanwhile(convert, tmp_path, out):
    write(tmp_path / "in" / "a.tif", Image(CELLS, "YX"))
    source = tmp_path / "in" if out == "folder" else tmp_path / "in" / "a.tif"
    with holding([], folder=tmp_path / out) if out == "folder" else holding([tmp_path / out]):
        status, said = convert(source, "--to", "tif", "--out", tmp_path / out)
    assert (status, "is being written by process" in said) == (2, True)
    assert convert(source, "--to", "tif", "--out", tmp_path / out)[0] == 0


def test_a_folder_does_not_become_one_file_after_the_other_of_one_name(convert, tmp_path):
    for name in "ab":
        write(tmp_path / "in" / f"{name}.tif", Image(CELLS, "YX"))
    status, said = convert(tmp_path / "in", "--to", "tif", "--out", tmp_path / "b.tif", "--overwrite")
    assert (status, "give the name of a folder" in said) == (2, True)
    assert not (tmp_path / "b.tif").exists()


def test_a_file_of_another_kind_is_not_replaced(convert, tmp_path):
    write(tmp_path / "a.tif", Image(CELLS, "YX"))
    (tmp_path / "notes.geojson").write_text("two years of work")
    words = ("--to", "qupath", "--out", tmp_path / "notes.geojson", "--overwrite")
    status, said = convert(tmp_path / "a.tif", *words)
    assert (status, "is not a JSON file" in said) == (2, True)
    assert (tmp_path / "notes.geojson").read_text() == "two years of work"


@pytest.mark.parametrize("end", [".zip", ".roi", ".geojson", ".json", "_seg.npy"])
def test_outlines_where_an_image_is_wanted_name_the_command_that_makes_one(command, tmp_path, end):
    write(tmp_path / "images" / "a.tif", Image(CELLS, "YX"))
    path = tmp_path / "labels" / f"a{end}"
    path.parent.mkdir()
    np.save(path, np.array(None, dtype=object)) if end == "_seg.npy" else path.write_text("{}")
    wanted = f"biounet convert {path} --to tif --out a.tif --image IMAGE"
    for words in (
        ("measure", path, "--out", tmp_path / "out"),
        ("evaluate", path, tmp_path / "images" / "a.tif"),
        ("check", "--images", tmp_path / "images", "--labels", path.parent),
        *([("measure", path.parent, "--out", tmp_path / "out")] if end != "_seg.npy" else []),
    ):
        status, _, said = command(*words)
        assert (status, wanted in said, said.count("\n")) == (2, True, 1), said


class Bad:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_nothing_of_a_file_runs(convert, tmp_path):
    with (tmp_path / "a_seg.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(np.array(Bad(str(tmp_path / "ran")), dtype=object), stream)
    status, said = convert(tmp_path / "a_seg.npy", "--to", "tif", "--out", tmp_path / "a.tif")
    assert (status, "could run a program" in said) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["a_seg.npy"]


def test_images_are_converted_too(convert, tmp_path):
    image = Image(np.arange(60, dtype=np.uint8).reshape(3, 4, 5), "ZYX", (2.0, 0.5, 0.5))
    write(tmp_path / "a.tif", image)
    assert convert(tmp_path / "a.tif", "--to", "zarr", "--out", tmp_path / "a.zarr")[0] == 0
    back = read(tmp_path / "a.zarr")
    assert (back.axes, back.spacing) == ("ZYX", (2.0, 0.5, 0.5))
    np.testing.assert_array_equal(back.array, image.array)
    for words in ((tmp_path / "none.zip",), (tmp_path / "none.tif",)):
        status, said = convert(*words, "--to", "tif", "--out", tmp_path / "b.tif")
        assert (status, "there is no such file" in said) == (2, True)
