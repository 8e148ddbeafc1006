"""Options that say where labels are and what their numbers mean, from check to measure."""

import csv
import json
import tomllib

import numpy as np
import pytest

from biounet.cli.label_options import meaning
from biounet.core.errors import ConfigError
from biounet.io import Image, read, write
from biounet.models.model_file import read_card

QUICK = [
    *("--steps", "2", "--set", "train.reports=1", "--set", "train.patch=32"),
    *("--set", "model.width=2", "--set", "model.depth=2", "--precision", "float32"),
]


def grid(count: int) -> np.ndarray:
    """Squares of 6 px, numbered row by row."""
    numbers = np.zeros((48, 48), np.uint8)
    for number in range(count):
        y, x = divmod(number, 5)
        numbers[2 + 9 * y : 8 + 9 * y, 2 + 9 * x : 8 + 9 * x] = number + 1
    return numbers


@pytest.fixture
def folders(tmp_path):
    def make(labels):
        rng = np.random.default_rng(0)
        for number in range(4):
            image = (60 * (labels > 0) + rng.normal(60, 9, labels.shape)).clip(0, 255).astype(np.uint8)
            write(tmp_path / "raw" / f"{number}.png", Image(image, "YX"))
            write(tmp_path / "drawn" / f"{number}_mask.png", Image(labels, "YX"))
        return ["--images", tmp_path / "raw", "--labels", tmp_path / "drawn"]

    return make


def test_options_are_settings():
    assert meaning(objects=False, classes=None) == {}
    assert meaning(objects=True, classes=None) == {"train.target": "distance"}
    assert meaning(objects=True, classes=None, preset="paper") == {"train.target": "foreground"}
    assert meaning(objects=False, classes="2")["train.class_names"] == ("class 0", "class 1")
    for options in ({"objects": True, "classes": "a"}, {"objects": False, "classes": "a,a"}):
        with pytest.raises(ConfigError, match=r"give either|different names"):
            meaning(**options)


def test_numbers_in_doubt_are_asked_about_and_said(command, folders, tmp_path):
    labels = grid(14)
    labels[0, 0] = 14  # in two pieces
    where = folders(np.where(np.arange(48) % 2, labels, np.roll(labels, 1, 0)))
    status, _, said = command("check", *where, *QUICK)
    assert status == 2
    assert "--objects" in said
    assert "--classes" in said
    for word, kind in (("--objects", "objects"), ("--classes=15", "classes")):
        status, out, said = command("check", *where, word, *QUICK)
        assert (status, f"labels: {kind}" in out) == (0, True), said


def test_names_of_classes_are_kept_in_the_model(command, folders, tmp_path):
    where, run = folders((grid(9) > 0).astype(np.uint8)), tmp_path / "run"
    status, _, said = command("train", *where, "--out", run, "--classes", "nucleus", *QUICK)
    assert status == 0, said
    assert "recognised as two folders" in said
    assert read_card(run).training["settings"]["train"]["class_names"] == ["background", "nucleus"]
    status, _, said = command("train", *where, "--out", run, "--resume")
    assert status == 0, said
    status, _, said = command("check", *where, "--classes", "a,b,c", *QUICK)
    assert status == 2
    assert "names 3 classes, the labels have 2" in said


def test_what_is_to_be_ignored_is_neither_learnt_scored_nor_measured(command, folders, tmp_path):
    labels = grid(9) % 4
    labels[:2] = 255
    where, run = folders(labels), tmp_path / "run"
    status, _, said = command("check", *where, *QUICK)
    assert (status, "--ignore-value 255" in said) == (2, True)
    status, _, said = command("train", *where, "--out", run, "--ignore-value", 255, *QUICK)
    assert status == 0, said
    settings = tomllib.loads((run / "config.toml").read_text())
    assert (settings["model"]["classes"], settings["train"]["ignore_value"]) == (4, 255)

    result = tmp_path / "result"
    for number in range(4):
        known = read(tmp_path / "drawn" / f"{number}_mask.png", labels=True).array
        write(result / f"{number}.tif", Image(np.where(known == 255, 0, known), "YX"))
    command("evaluate", result, tmp_path / "drawn", "--metrics", "overlap", "--json", tmp_path / "all.json")
    words = ["--ignore-value", 255, "--json", tmp_path / "known.json"]
    status, _, said = command("evaluate", result, tmp_path / "drawn", "--metrics", "overlap", *words)
    assert status == 0, said
    scores = [json.loads((tmp_path / f"{name}.json").read_text())["scores"]["accuracy"] for name in ("all", "known")]
    assert scores[0] < scores[1] == 1

    file = tmp_path / "drawn" / "0_mask.png"
    status, _, said = command("measure", file, "--out", tmp_path / "table", "--ignore-value", 255)
    assert status == 0, said
    rows = list(csv.DictReader((tmp_path / "table" / "objects.csv").read_text().splitlines()))
    assert {row["label"] for row in rows} == {"1", "2", "3"}


def test_every_problem_has_a_line(command, folders, tmp_path):
    where = folders((grid(9) > 0).astype(np.uint8))
    (tmp_path / "drawn" / "0_mask.png").unlink()
    (tmp_path / "raw" / "1.png").write_bytes(b"")
    for verb in (["check", *where], ["train", *where, "--out", tmp_path / "run"]):
        status, _, said = command(*verb, *QUICK)
        lines = said.splitlines()
        assert status == 2
        assert [line.partition(": ")[0] for line in lines[-3:]] == ["problem", "problem", "biounet"], said
        assert "0.png has no labels" in lines[-3]
        assert "1.png" in lines[-2]
        assert "2 problems" in lines[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [[], ["--images", "raw"], ["data", "--images", "a", "--labels", "b"]])
def test_a_dataset_is_one_folder_or_two(command, words):
    status, _, said = command("check", *words)
    assert (status, "give either a dataset, or both --images FOLDER and --labels FOLDER" in said) == (2, True)
