"""GeoJSON of QuPath: its files, classes, planes, and files that are damaged."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from biounet.core.errors import LabelError, OutputError
from biounet.io import Image, read
from biounet.io.qupath import read_geojson, write_geojson
from biounet.io.shapes import Grid

SAMPLES = Path(os.environ.get("BIOUNET_DATA", "")) / "formats"
needs_samples = pytest.mark.skipif(not (SAMPLES / "qupath").exists(), reason="BIOUNET_DATA is not set")
GRID = Grid("YX", (8, 8))
SQUARE = [[1, 1], [4, 1], [4, 4], [1, 4], [1, 1]]


def feature(ring=SQUARE, kind="Polygon", **properties):
    geometry = {"type": kind, "coordinates": [ring] if kind == "Polygon" else ring}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@needs_samples
def test_cells_of_qupath_are_their_labels():
    truth = read(SAMPLES / "coco" / "made_cells_labels.tif", labels=True)
    notes: list[str] = []
    labels = read_geojson(SAMPLES / "qupath" / "made_cells.geojson", grid=Grid.of(truth), notes=notes)
    np.testing.assert_array_equal(labels.array, truth.array)
    assert [note.partition(": ")[2] for note in notes] == [
        "1 annotations around 26 cells are left out",
        "nuclei inside of cells are left out",
    ]
    names = ("background", "Nucleus", "Mitosis")
    classes = read_geojson(SAMPLES / "qupath" / "made_cells.geojson", grid=Grid.of(truth), classes=names)
    np.testing.assert_array_equal(classes.array > 0, truth.array > 0)
    assert len(np.unique(truth.array[classes.array == 2])) == 8


@needs_samples
def test_annotations_of_a_slide_cover_the_area_of_their_polygons(tmp_path):
    told = json.loads((SAMPLES / "qupath" / "QuPath_Annotations_wo_calibs.geojson").read_text())["features"]
    rings = [np.array(each["geometry"]["coordinates"][0]) for each in told if each["geometry"]["type"] == "Polygon"]
    smaller = [(ring - np.concatenate(rings).min(axis=0)) / 32 for ring in rings]  # the slide has 66,000 px
    for number, ring in enumerate(smaller, start=1):
        file = tmp_path / f"{number}.geojson"
        file.write_text(json.dumps([feature(ring.tolist())]))
        y, x = ring.T[::-1]
        area = abs(np.dot(x[1:], y[:-1]) - np.dot(y[1:], x[:-1])) / 2
        around = np.abs(np.diff(ring, axis=0)).sum()
        labels = read_geojson(file, grid=Grid("YX", (1600, 1600))).array
        assert abs(np.count_nonzero(labels) - area) <= 1 + around / 4
    assert len(rings) == 43


def test_a_written_file_is_as_qupath_has_it(tmp_path):
    stack = np.zeros((2, 5, 6), int)
    stack[1, 1:4, 1:4], stack[1, 2, 2], stack[0, 0, 5] = 7, 0, -1
    write_geojson(tmp_path / "a.geojson", Image(stack, "ZYX"))
    told = json.loads((tmp_path / "a.geojson").read_text())
    unknown, cell = told["features"]
    assert told["type"] == "FeatureCollection"
    assert unknown["properties"] == {"objectType": "annotation", "classification": {"name": "Ignore*"}}
    assert cell["properties"] == {"objectType": "annotation", "name": "7"}
    assert cell["geometry"] == {
        "type": "Polygon",
        "coordinates": [
            [[1, 1], [4, 1], [4, 4], [1, 4], [1, 1]],
            [[2, 2], [2, 3], [3, 3], [3, 2], [2, 2]],
        ],
        "plane": {"c": -1, "z": 1, "t": 0},
    }


def test_classes_are_written_and_read(tmp_path):
    labels, names = np.array([[1, 1, 0, 2], [0, 0, 0, 1]]), ("background", "Tumor", "Stroma")
    write_geojson(tmp_path / "a.geojson", Image(labels, "YX"), classes=names)
    told = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert [each["properties"]["classification"]["name"] for each in told] == ["Tumor", "Stroma"]
    back = read_geojson(tmp_path / "a.geojson", grid=Grid("YX", (2, 4)), classes=names)
    np.testing.assert_array_equal(back.array, labels)
    with pytest.raises(LabelError, match=r"its classes are Stroma, Tumor; --classes names background, Tumor"):
        read_geojson(tmp_path / "a.geojson", grid=Grid("YX", (2, 4)), classes=names[:2])
    with pytest.raises(OutputError, match="a label is 2, and --classes names 0 to 1"):
        write_geojson(tmp_path / "b.geojson", Image(labels, "YX"), classes=names[:2])


@pytest.mark.parametrize(
    ("document", "objects"),
    [
        ([feature(), feature([[5, 5], [7, 5], [7, 7]])], 2),
        (feature(), 1),
        ({"features": [feature(), feature([1, 2], "Point"), {"type": "Feature", "geometry": None}]}, 1),
        ({"features": [feature(classification={"names": ["Tumor", "Positive"]})]}, 1),
        ({"features": [{**feature(), "id": "PathDetectionObject"}, feature(object_type="annotation")]}, 1),
        ({"features": []}, 0),
    ],
)
def test_files_of_older_versions_are_read(tmp_path, document, objects):
    (tmp_path / "a.geojson").write_text(json.dumps(document))
    assert len(np.unique(read_geojson(tmp_path / "a.geojson", grid=GRID).array)) == 1 + objects


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "the text is torn at character 2"),
        ("", "it is empty"),
        ("[" * 100_000, "more than 32 lists or tables are nested in each other"),
        ("7", "must be a JSON object, got int"),
        ('{"features": 7}', "features must be a JSON list"),
        ("[7]", "a feature must be a JSON object"),
        (json.dumps([feature([[1, 1], [2, "x"], [2, 2]])]), "pairs of numbers"),
        (json.dumps([feature([[1, 1], [2], [2, 2]])]), "pairs of numbers"),
        (json.dumps([feature([1, 2, 3])]), "pairs of numbers"),
        ('[{"geometry": {"type": "Polygon", "coordinates": [[[NaN, 1], [2, 2], [3, 3]]]}}]', "not a number"),
        ('[{"geometry": {"type": "Polygon", "coordinates": [[[1e300, 1], [2, 2], [3, 3]]]}}]', "beyond"),
        (json.dumps([feature([[50, 50], [60, 50], [60, 60]])]), "none of its 1 objects"),
    ],
)
def test_damaged_files_are_refused_in_a_line(tmp_path, text, words):
    (tmp_path / "a.geojson").write_text(text)
    with pytest.raises(LabelError, match=rf"a\.geojson.*{words}"):
        read_geojson(tmp_path / "a.geojson", grid=GRID)


def test_the_size_of_the_image_is_asked_for(tmp_path):
    (tmp_path / "a.geojson").write_text("[]")
    with pytest.raises(LabelError, match="--image"):
        read_geojson(tmp_path / "a.geojson")
