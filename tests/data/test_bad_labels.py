"""Labels as they come: measured, scored and learnt from, or refused in one line that names the file."""

import json

import numpy as np
import pandas
import pytest
import tifffile

from biounet.core.errors import BiounetError
from biounet.core.labels import IGNORE
from biounet.data.normalize import Normalization
from biounet.io import Image, write
from training_sets import load_training_set

SQUARES = np.zeros((40, 40), np.int32)
for number, (y, x) in enumerate(np.ndindex(4, 4), start=1):
    SQUARES[10 * y + 2 : 10 * y + 8, 10 * x + 2 : 10 * x + 8] = number
MANY = np.zeros((520, 520), np.uint32)
MANY[::2, ::2] = np.arange(1, 260**2 + 1).reshape(260, 260)  # 67,600 objects of one pixel
ONE_PIXEL = np.zeros_like(SQUARES)
ONE_PIXEL[2::10, 2::10] = SQUARES[2::10, 2::10]
PIECES = np.where(SQUARES == 2, 1, SQUARES).astype(np.uint16)

RIGHT = {
    # labels, objects, pixels of the first object, objects that are found of SQUARES (of MANY)
    "floats": (SQUARES.astype(np.float32), 16, 36, 16),
    "many": (MANY, 260**2, 1, 260**2),
    "pieces": (PIECES, 15, 72, 15),
    "one_pixel": (ONE_PIXEL, 16, 1, 0),
    "empty": (np.zeros_like(SQUARES), 0, None, 0),
    "whole": (np.ones_like(SQUARES), 1, 1600, 0),
    "large_number": (np.where(SQUARES == 16, np.uint32(3 * 10**9), SQUARES).astype(np.uint32), 16, 36, 16),
}


@pytest.fixture
def biounet(command):
    """Run a command; return status and what was said."""
    return lambda *words: command(*words)[::2]


@pytest.mark.parametrize("name", RIGHT)
def test_they_are_measured(biounet, tmp_path, name):
    labels, objects, pixels, _ = RIGHT[name]
    write(tmp_path / "a.tif", Image(labels, "YX"))
    status, said = biounet("measure", tmp_path / "a.tif", "--out", tmp_path)
    assert status == 0, said
    assert f"{objects} object{'s' * (objects != 1)} in 1 label image" in said
    assert ("1 object in several pieces (1 in 2)" in said) == (name == "pieces")
    table = pandas.read_csv(tmp_path / "objects.csv")
    assert len(table) == objects
    assert objects == 0 or table["area_px"][0] == pixels
    assert objects == 0 or table["solidity"].between(0, 1).all()


@pytest.mark.parametrize("name", RIGHT)
def test_they_are_scored(biounet, tmp_path, name):
    labels, objects, _, found = RIGHT[name]
    truth = MANY if name == "many" else SQUARES
    write(tmp_path / "a.tif", Image(labels, "YX"))
    write(tmp_path / "truth.tif", Image(truth, "YX"))
    words = ("--metrics", "objects", "--json", tmp_path / "scores.json")
    status, said = biounet("evaluate", tmp_path / "a.tif", tmp_path / "truth.tif", *words)
    assert status == 0, said
    assert ("1 object of the result is in several pieces (1 of a.tif in 2)" in said) == (name == "pieces")
    if name == "pieces":
        _, said = biounet("evaluate", tmp_path / "truth.tif", tmp_path / "a.tif", "--metrics", "objects")
        assert "1 object of the truth is in several pieces (1 of a.tif in 2)" in said
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert (scores["objects_predicted"], scores["objects_found"]) == (objects, found)
    assert scores["average_precision"] == pytest.approx(found / (objects + truth.max() - found))


@pytest.mark.parametrize("name", sorted(RIGHT.keys() - {"large_number"}))
def test_they_are_learnt_from_beside_others(tmp_path, name):
    labels, *_ = RIGHT[name]
    for stem, one in (("a", labels), ("b", SQUARES), ("c", np.where(SQUARES > 8, SQUARES + 5, 0)), ("d", SQUARES.T)):
        write(tmp_path / "images" / f"{stem}.tif", Image((one > 0).astype(np.uint8) * 200, "YX"))
        write(tmp_path / "labels" / f"{stem}.tif", Image(one, "YX"))
    data = load_training_set(tmp_path, Normalization(), validation=1 / 4, target="distance")
    (item,) = [item for item in (*data.train, *data.validation) if item.name == "a.tif"]
    assert len(np.unique(item.labels[item.labels > 0])) == RIGHT[name][1]
    assert ((item.target > 0) == (labels > 0)).all()
    said = any("several" in note and "pieces" in note for note in data.notes)
    assert said == (name == "pieces")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (SQUARES * np.float32(0.5), "0.5"),
        (np.where(SQUARES == 3, np.nan, SQUARES).astype(np.float32), "36 of 1600 pixels are NaN or infinite"),
    ],
    ids=["halves", "nan"],
)
def test_what_are_no_labels_is_refused_in_one_line(biounet, tmp_path, labels, said):
    write(tmp_path / "images" / "a.tif", Image(SQUARES.astype(np.uint8), "YX"))
    write(tmp_path / "labels" / "a.tif", Image(labels, "YX"))
    write(tmp_path / "right.tif", Image(SQUARES, "YX"))
    wrong = tmp_path / "labels" / "a.tif"
    for words in (
        ("measure", wrong, "--out", tmp_path / "out"),
        ("evaluate", tmp_path / "right.tif", wrong, "--metrics", "objects"),
        ("evaluate", wrong, tmp_path / "right.tif", "--metrics", "objects"),
        ("check", tmp_path),
    ):
        status, line = biounet(*words)
        assert (status, line.count("\n")) == (2, 1), line
        assert "a.tif" in line
        assert said in line or "result labels must be integers, got float" in line
    assert not (tmp_path / "out" / "objects.csv").exists()


@pytest.mark.parametrize("labels", [np.zeros_like(SQUARES), np.ones_like(SQUARES)], ids=["empty", "whole"])
def test_a_set_without_anything_to_tell_apart_is_refused(biounet, tmp_path, labels):
    write(tmp_path / "images" / "a.tif", Image(SQUARES.astype(np.uint8), "YX"))
    write(tmp_path / "labels" / "a.tif", Image(labels, "YX"))
    status, line = biounet("check", tmp_path)
    assert (status, line.count("\n")) == (2, 1)
    assert f"all labels are {labels[0, 0]}, in every file" in line


def test_numbers_too_large_to_split_or_learn_are_refused_with_the_name_of_the_file(biounet, tmp_path):
    labels, *_ = RIGHT["large_number"]
    write(tmp_path / "images" / "a.tif", Image(SQUARES.astype(np.uint8), "YX"))
    write(tmp_path / "labels" / "a.tif", Image(labels, "YX"))
    for words in (("measure", tmp_path / "labels", "--out", tmp_path / "out", "--split"), ("check", tmp_path)):
        status, line = biounet(*words)
        assert (status, line.count("\n")) == (2, 1)
        assert "a.tif: label 3000000000 does not fit 31 bits; renumber" in line
    with pytest.raises(BiounetError, match="31 bits"):
        load_training_set(tmp_path, Normalization(), validation=0.5, target="distance")


def test_numbers_that_no_program_keeps_are_refused_in_a_result_too(biounet, tmp_path):
    write(tmp_path / "truth.tif", Image(SQUARES, "YX"))
    tifffile.imwrite(tmp_path / "a.tif", np.where(SQUARES == 16, 2**63, SQUARES.astype(np.uint64)))
    for words in (
        ("evaluate", tmp_path / "a.tif", tmp_path / "truth.tif"),
        ("measure", tmp_path / "a.tif", "--out", tmp_path),
    ):
        status, line = biounet(*words)
        assert (status, line.count("\n")) == (2, 1)
        assert "a.tif: label 9223372036854775808 does not fit 63 bits; renumber" in line


def test_a_truth_that_knows_no_pixel_is_said(biounet, tmp_path):
    write(tmp_path / "a.tif", Image(SQUARES, "YX"))
    write(tmp_path / "truth.tif", Image(np.full_like(SQUARES, IGNORE), "YX"))
    write(tmp_path / "half.tif", Image(np.where(SQUARES > 8, SQUARES, IGNORE), "YX"))
    status, said = biounet("evaluate", tmp_path / "a.tif", tmp_path / "truth.tif")
    assert status == 0
    assert "truth.tif has no known pixel, all are negative (IGNORE); nothing of it is scored" in said
    assert "no known pixel" not in biounet("evaluate", tmp_path / "a.tif", tmp_path / "half.tif")[1]
