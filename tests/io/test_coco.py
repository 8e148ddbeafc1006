"""COCO: files of pycocotools, several images, unknown pixels, and files that are damaged."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from biounet.core.errors import LabelError, OutputError
from biounet.io import Image, read
from biounet.io.coco import Source, read_coco, read_each, write_coco, write_each
from biounet.io.shapes import Grid

SAMPLES = Path(os.environ.get("BIOUNET_DATA", "")) / "formats" / "coco"
needs_samples = pytest.mark.skipif(not SAMPLES.exists(), reason="BIOUNET_DATA is not set")
RING = np.array([[5, 5, 5, 0], [5, 0, 5, 0], [5, 5, 5, 9]])


@needs_samples
def test_annotations_of_pycocotools_are_their_labels_and_crowds_are_unknown():
    truth = read(SAMPLES / "made_cells_labels.tif", labels=True).array.astype(int)
    labels = read_coco(SAMPLES / "made_cells.json").array
    crowds = np.isin(truth, [1, 7, 13, 19, 25])
    np.testing.assert_array_equal(labels, np.where(crowds, -1, truth))
    classes = read_coco(SAMPLES / "made_cells.json", classes=("background", "nucleus", "mitosis")).array
    np.testing.assert_array_equal(np.unique(classes), [-1, 0, 1, 2])


@needs_samples
def test_results_have_the_size_of_their_run_lengths():
    found = list(read_each(SAMPLES / "instances_val2014_fakesegm100_results.json"))
    assert (len(found), found[0].name, found[0].labels.array.shape) == (99, "42", (478, 640))
    with pytest.raises(LabelError, match="several images; convert it into a folder"):
        read_coco(SAMPLES / "instances_val2014_fakesegm100_results.json")


def test_a_written_file_is_as_coco_has_it(tmp_path):
    write_coco(tmp_path / "a.json", Image(np.pad(RING, 1), "YX"), source="a.png")
    told = json.loads((tmp_path / "a.json").read_text())
    ring, single = told["annotations"]
    assert told["images"] == [{"id": 1, "file_name": "a.png", "width": 6, "height": 5}]
    assert [(each["label"], each["area"], each["bbox"]) for each in (ring, single)] == [
        (5, 8, [1, 1, 3, 3]),
        (9, 1, [4, 3, 1, 1]),
    ]
    assert ring["segmentation"]["size"] == [5, 6]
    assert single["segmentation"] == [[4, 3, 5, 3, 5, 4, 4, 4]]


def test_several_images_are_one_file_with_numbers_of_their_own(tmp_path):
    images = [Source("a.tif", Image(RING, "YX")), Source("b.tif", Image(np.array([[0, -1], [5, 70_000]]), "YX"))]
    write_each(tmp_path / "all.json", images)
    told = json.loads((tmp_path / "all.json").read_text())
    assert [each["id"] for each in told["annotations"]] == [1, 2, 3, 4, 5]
    assert [each["iscrowd"] for each in told["annotations"]] == [0, 0, 1, 0, 0]
    for before, after in zip(images, read_each(tmp_path / "all.json"), strict=True):
        assert before.name == after.name
        np.testing.assert_array_equal(before.labels.array, after.labels.array)


def test_stacks_and_images_of_another_size_are_refused(tmp_path):
    with pytest.raises(OutputError, match="COCO cannot hold ZYX"):
        write_coco(tmp_path / "a.json", Image(RING[None], "ZYX"))
    assert list(tmp_path.iterdir()) == []
    write_coco(tmp_path / "a.json", Image(RING, "YX"))
    with pytest.raises(LabelError, match="of an image of 3 x 4 px, and the image has 9 x 9"):
        read_coco(tmp_path / "a.json", grid=Grid("YX", (9, 9)))


def test_objects_that_overlap_are_told(tmp_path):
    write_coco(tmp_path / "a.json", Image(RING, "YX"))
    told = json.loads((tmp_path / "a.json").read_text())
    told["annotations"] += [
        {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 2, 0, 2, 1, 0, 1]], "label": 7},
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "label": 8},
    ]
    (tmp_path / "b.json").write_text(json.dumps(told))
    notes: list[str] = []
    assert read_coco(tmp_path / "b.json", notes=notes).array[0].tolist() == [7, 7, 5, 0]
    assert [note.partition(", ")[2] for note in notes] == [
        "2 pixels lie in two objects; the later one has them",
        "1 of 4 annotations cover no pixel and are lost",
    ]


def document(**changes):
    image = {"id": 1, "file_name": "../../etc/a.png", "height": 4, "width": 4} | changes.pop("image", {})
    runs = {"size": [4, 4], "counts": [3, 1, 12]}
    return {"images": [image], "annotations": [{"image_id": 1, "segmentation": runs} | changes.pop("it", {})]} | changes


def test_names_with_folders_stay_in_the_folder(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(document()))
    assert [each.name for each in read_each(tmp_path / "a.json")] == ["a.png"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (7, "must be a JSON object"),
        ({}, "annotations must be a JSON list"),
        (document(images=None), "images must be a JSON list"),
        (document(image={"height": "4"}), "height and width of a.png must be pixels"),
        (document(image={"height": 10**6, "width": 10**6}), "must be pixels"),
        (document(image={"file_name": ".."}), "no file name"),
        (document(it={"image_id": 2}), "not among its images"),
        (document(it={"image_id": [2]}), "an id must be a number"),
        (document(it={"segmentation": {"size": [9, 9], "counts": "o"}}), "run lengths are of"),
        (document(it={"segmentation": {"size": [4, 4], "counts": "é"}}), "not of run lengths"),
        (document(it={"segmentation": {"size": [4, 4], "counts": [10**30]}}), "save the file anew"),
        (document(it={"segmentation": [["a", "b"]]}), "pairs of numbers"),
        (document(it={"segmentation": [[1, 2, 3]]}), "pairs of numbers"),
        ([{"image_id": 1}], "must be pixels"),
    ],
)
def test_damaged_files_are_refused_in_a_line(tmp_path, told, words):
    (tmp_path / "a.json").write_text(json.dumps(told))
    with pytest.raises(LabelError, match=rf"a\.json.*{words}"):
        list(read_each(tmp_path / "a.json"))
