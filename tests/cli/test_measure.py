"""`biounet measure` knows parts of objects from classes, and says what does not fit before it begins."""

import csv
import sys

import numpy as np
import pandas
import pytest
import torch

from biounet.cli.measure import measure_frame, run_measurement
from biounet.config import ModelConfig
from biounet.config.object_rules import ObjectRules
from biounet.data.normalize import Normalization
from biounet.io import Image, Meaning, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

CELLS = np.zeros((16, 20), np.uint16)
CELLS[2:8, 2:8], CELLS[10:14, 10:18] = 3, 7


@pytest.fixture
def biounet(command):
    """Run a command; return status and what was said."""
    return lambda *words: command(*words)[::2]


def save_model(path, target, classes):
    config = ModelConfig(width=4, depth=1, padding="same", classes=classes)
    torch.manual_seed(0)
    net = build(config)
    units = Normalization(offset=(0.0,) * classes, scale=(1.0,) * classes) if target == "image" else None
    rules = ObjectRules(target=target) if target in ("border", "distance") else None
    card = ModelCard(
        model=config, normalization=Normalization(), target=target, rules=rules, target_normalization=units
    )
    save_network(path, net, card)
    return path


def levels_of_cells():
    """Levels 1 to 8 by columns, as sure as can be where cells are, but for a pixel that is half background."""
    shares = np.zeros((9, *CELLS.shape), np.float32)
    shares[0] = CELLS == 0
    for column in range(CELLS.shape[1]):
        shares[1 + column % 8, :, column] = CELLS[:, column] > 0
    shares[:, 2, 2] = 0
    shares[[0, 4], 2, 2] = 0.5
    return shares


@pytest.mark.parametrize("drawn", [False, True])
def test_at_the_end_stands_how_objects_are_drawn_or_where_they_are(biounet, tmp_path, drawn):
    write(tmp_path / "cells.tif", Image(CELLS, "YX"))
    words = ["measure", str(tmp_path / "cells.tif"), "--out", str(tmp_path / "tables")]
    status, said = biounet(*words, *(["--pictures"] if drawn else []))
    assert status == 0
    command = f"biounet {' '.join(words)} --pictures --overwrite"
    where = f"look at {tmp_path / 'tables' / 'outlines'}: they show which row of the tables is which object"
    assert said.splitlines()[-1].endswith(where if drawn else command)
    assert biounet(*command.split()[1:])[0] == 0


def test_levels_of_distance_give_the_confidence_of_the_foreground(biounet, tmp_path):
    write(tmp_path / "cells.tif", Image(CELLS, "YX"))
    write(tmp_path / "shares.tif", Image(levels_of_cells(), "CYX"))
    model = save_model(tmp_path / "model.safetensors", "distance", 9)
    words = ("measure", tmp_path / "cells.tif", "--probabilities", tmp_path / "shares.tif", "--annotate", 1)
    status, said = biounet(*words, "--region", 4, "--out", tmp_path / "known", "--model", model)
    assert (status, "note" in said) == (0, False)
    status, said = biounet(*words, "--region", 4, "--out", tmp_path / "unknown")
    assert status == 0
    assert "of 9 channels of probabilities all but the first are taken as foreground" in said
    for out in ("known", "unknown"):
        table = pandas.read_csv(tmp_path / out / "objects.csv")
        assert "class" not in table
        assert table["confidence"].tolist() == pytest.approx([35.5 / 36, 1])
        (region,) = pandas.read_csv(tmp_path / out / "annotate.csv").to_dict("records")
        assert region["start_y"] <= 2 < region["stop_y"]
        assert region["entropy"] == pytest.approx(1 / 16, abs=1e-4)


@pytest.mark.parametrize(("wanted", "rows"), [(1, 1), (5, 5), (99, 8)])
def test_as_many_regions_are_listed_as_fit_into_all_images(biounet, tmp_path, wanted, rows):
    for name in ("a", "b"):
        shares = np.zeros((16, 16), np.float32)
        shares[6:10, 6:10] = 0.5
        write(tmp_path / "cells" / f"{name}.tif", Image(np.ones((16, 16), np.uint8), "YX"))
        write(tmp_path / "shares" / f"{name}.tif", Image(shares, "YX"))
    words = (tmp_path / "cells", "--probabilities", tmp_path / "shares", "--out", tmp_path, "--region", 8)
    assert biounet("measure", *words, "--annotate", wanted)[0] == 0
    assert len(pandas.read_csv(tmp_path / "annotate.csv")) == rows


def test_what_needs_whole_frames_is_refused_before_the_first_is_measured(biounet, tmp_path, monkeypatch):
    monkeypatch.setattr("biounet.cli.measure.WHOLE", CELLS.size)
    for name, labels in (("a", CELLS), ("b", np.kron(CELLS, np.ones((2, 2), np.uint16)))):
        write(tmp_path / "cells" / f"{name}.tif", Image(labels, "YX"))
    status, said = biounet("measure", tmp_path / "cells", "--out", tmp_path / "out", "--pictures", "--rois")
    assert (status, "b.tif has 32 x 40 pixels, too many for --pictures, --rois" in said) == (2, True)
    assert not (tmp_path / "out").exists()
    status, said = biounet("measure", tmp_path / "cells", "--out", tmp_path / "out")
    assert (status, said.count("whether objects are in one piece is not checked")) == (0, 1)


def test_fewer_regions_than_none_are_refused(biounet, tmp_path):
    write(tmp_path / "cells.tif", Image(CELLS, "YX"))
    words = (tmp_path / "cells.tif", "--probabilities", tmp_path / "cells.tif", "--out", tmp_path / "out")
    status, said = biounet("measure", *words, "--annotate", -3)
    assert (status, "--annotate" in said) == (2, True)
    assert not (tmp_path / "out").exists()


def test_what_a_distance_model_predicts_is_measured_as_objects(biounet, tmp_path):
    write(tmp_path / "in" / "a.tif", Image(CELLS, "YX"))
    write(tmp_path / "cells" / "a.tif", Image(CELLS, "YX"))
    model = save_model(tmp_path / "model.safetensors", "distance", 9)
    words = (model, tmp_path / "in", "--out", tmp_path / "shares", "--save", "probabilities")
    assert biounet("predict", *words)[0] == 0
    words = (tmp_path / "cells", "--probabilities", tmp_path / "shares", "--model", model, "--out", tmp_path)
    assert biounet("measure", *words)[0] == 0
    table = pandas.read_csv(tmp_path / "objects.csv")
    assert "class" not in table
    assert (table["confidence"] > 0.5).all()  # untrained, nine classes are alike: the foreground is eight of them


def test_of_classes_each_object_has_one_where_the_model_tells(biounet, tmp_path):
    shares = np.zeros((3, *CELLS.shape), np.float32)
    shares[0, CELLS == 0] = 1
    shares[:, CELLS == 3] = np.array([[0.1], [0.2], [0.7]])
    shares[:, CELLS == 7] = np.array([[0.2], [0.6], [0.2]])
    write(tmp_path / "cells.tif", Image(CELLS, "YX"))
    write(tmp_path / "shares.tif", Image(shares, "CYX"))
    words = ("measure", tmp_path / "cells.tif", "--probabilities", tmp_path / "shares.tif")
    model = save_model(tmp_path / "model.safetensors", "classes", 3)
    assert biounet(*words, "--model", model, "--out", tmp_path / "known")[0] == 0
    table = pandas.read_csv(tmp_path / "known" / "objects.csv")
    assert table["class"].tolist() == [2, 1]
    assert table["confidence"].tolist() == pytest.approx([0.7, 0.6])
    status, said = biounet(*words, "--out", tmp_path / "unknown")
    assert (status, "give --model RUN" in said) == (0, True)
    assert pandas.read_csv(tmp_path / "unknown" / "objects.csv")["confidence"].tolist() == pytest.approx([0.9, 0.8])


def test_a_model_of_other_probabilities_is_refused(biounet, tmp_path):
    write(tmp_path / "cells.tif", Image(CELLS, "YX"))
    write(tmp_path / "shares.tif", Image(levels_of_cells(), "CYX"))
    words = ("measure", tmp_path / "cells.tif", "--out", tmp_path / "out")
    border = save_model(tmp_path / "border.safetensors", "border", 3)
    status, said = biounet(*words, "--model", border)
    assert (status, "--model needs --probabilities" in said) == (2, True)
    words = (*words, "--probabilities", tmp_path / "shares.tif")
    status, said = biounet(*words, "--model", border)
    assert (status, "cells.tif have 9 channels" in said, said.count("\n")) == (2, True, 1)
    drawn = save_model(tmp_path / "drawn.safetensors", "image", 1)
    status, said = biounet(*words, "--model", drawn)
    assert (status, "draws images" in said) == (2, True)
    assert not (tmp_path / "out" / "objects.csv").exists()


def write_labels_of_two_frames(folder):
    """Three films of labels; the second frame of b.tif holds a number that is not whole."""
    for name in "abc":
        film = np.stack([CELLS, CELLS]).astype(np.float32)
        film[1, 2, 2] = 0.5 if name == "b" else 3
        write(folder / f"{name}.tif", Image(film, "TYX"))
        write(folder.with_name("shares") / f"{name}.tif", Image((film > 0).astype(np.float32) * 0.75, "TYX"))


def test_of_a_bad_file_among_others_nothing_is_left(biounet, tmp_path):
    write_labels_of_two_frames(tmp_path / "cells")
    (tmp_path / "cells" / "d.tif").write_bytes(b"torn")
    (tmp_path / "shares" / "d.tif").write_bytes(b"torn")
    words = ("--probabilities", tmp_path / "shares", "--annotate", 99, "--region", 8, "--pictures", "--rois", "--split")
    status, said = biounet("measure", tmp_path / "cells", *words, "--out", tmp_path / "out")
    assert status == 2
    torn, half, last = said.splitlines()[-3:]
    assert "d.tif cannot be read as TIFF" in torn
    assert half.startswith("b.tif: labels must be whole numbers")
    assert last.startswith("biounet: 2 of 4 label images could not be measured: d.tif, b.tif; put them right and")
    assert last.endswith("run again with --overwrite")
    for name in ("objects", "counts", "annotate"):
        table = pandas.read_csv(tmp_path / "out" / f"{name}.csv")
        assert sorted(set(table["image"])) == ["a.tif", "c.tif"]
    for folder, pictures in (("outlines", 4), ("rois", 2), ("labels", 2)):
        there = sorted(path.name for path in (tmp_path / "out" / folder).iterdir())
        assert (len(there), {name[0] for name in there}) == (pictures, {"a", "c"})


def test_where_no_file_can_be_measured_there_is_no_table(biounet, tmp_path):
    (tmp_path / "cells").mkdir()
    for name in "ab":
        write(tmp_path / "cells" / f"{name}.tif", Image(np.full((8, 8), 0.5, np.float32), "YX"))
    status, said = biounet("measure", tmp_path / "cells", "--out", tmp_path / "out")
    assert (status, "2 of 2 label images could not be measured" in said) == (2, True)
    assert "a.tif: labels must be whole numbers, got 0.5" in said
    assert not list((tmp_path / "out").glob("*"))


def test_the_error_of_a_single_file_stays_its_own(biounet, tmp_path):
    write(tmp_path / "a.tif", Image(np.full((8, 8), 0.5, np.float32), "YX"))
    status, said = biounet("measure", tmp_path / "a.tif", "--out", tmp_path / "out")
    assert (status, said.startswith("biounet: a.tif: labels must be whole numbers")) == (2, True)


@pytest.mark.parametrize("changed", ["cells.tif", "image.tif"])
def test_files_that_change_while_they_are_measured_give_no_table(biounet, tmp_path, monkeypatch, changed):
    write(tmp_path / "cells.tif", Image(CELLS, "YX"))
    write(tmp_path / "image.tif", Image(CELLS.astype(np.uint8), "YX"))

    def interrupted(*given, **options):
        write(tmp_path / changed, Image(CELLS + 1, "YX"), overwrite=True)
        return measure_frame(*given, **options)

    monkeypatch.setattr(sys.modules[run_measurement.__module__], "measure_frame", interrupted)
    words = ("measure", tmp_path / "cells.tif", "--image", tmp_path / "image.tif", "--out", tmp_path / "table")
    status, said = biounet(*words)
    assert status == 2
    assert f"{changed} changed while it was measured" in said
    assert not (tmp_path / "table" / "objects.csv").exists()


def test_classes_are_measured_by_name(tmp_path, command):
    tissue = np.array([[0, 1, 1, 2], [0, 1, 2, 2], [0, 0, 0, 2], [1, 0, 0, 0]], np.uint8)
    names = ("background", "nucleus", "fibre, long")
    write(tmp_path / "a.tif", Image(tissue, "YX", None, Meaning(kind="classes", class_names=names)))
    status, _, said = command("measure", tmp_path / "a.tif", "--out", tmp_path / "whole")
    assert status == 0
    assert "each row is a class (background, nucleus, fibre, long); --split measures their parts" in said
    assert "several pieces" not in said
    with (tmp_path / "whole" / "objects.csv").open() as stream:
        rows = [(row["label"], row["class"], row["class_name"], row["area_px"]) for row in csv.DictReader(stream)]
    assert rows == [("1", "1", "nucleus", "4"), ("2", "2", "fibre, long", "4")]
    assert command("measure", tmp_path / "a.tif", "--out", tmp_path / "parts", "--split")[0] == 0
    with (tmp_path / "parts" / "objects.csv").open() as stream:
        rows = [(row["label"], row["class_name"], row["area_px"]) for row in csv.DictReader(stream)]
    assert rows == [("1", "nucleus", "3"), ("2", "fibre, long", "4"), ("3", "nucleus", "1")]
