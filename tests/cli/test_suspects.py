"""`biounet check --suspects`: lines, a table and a page of labels that folds contradict."""

import csv

import numpy as np
import pytest

from biounet.io import Image, write
from html_page import Page
from runs import write_constant_model


@pytest.fixture
def dataset(tmp_path):
    """Four images in which nothing is to be seen; in one of them something is drawn."""
    labels = np.zeros((4, 32, 32), np.uint8)
    labels[2, 4:12, 20:28] = 1
    labels[:, 31, 31] = 1
    for number, drawn in enumerate(labels):
        write(tmp_path / "data" / "images" / f"{number}.tif", Image(np.eye(32, dtype=np.uint8), "YX"))
        write(tmp_path / "data" / "labels" / f"{number}.tif", Image(drawn, "YX"))
    return tmp_path / "data"


def test_labels_that_a_fold_contradicts_are_listed_and_shown(dataset, tmp_path, command):
    run, out = tmp_path / "run", tmp_path / "out"
    write_constant_model(run / "fold-0", trained_on=["0.tif"], foreground=0.01, validation=0.0)
    write_constant_model(run / "fold-1", trained_on=["0.tif", "1.tif"], foreground=0.01, validation=0.0)
    status, said, told = command("check", dataset, "--suspects", run, "--out", out)
    assert status == 0
    assert said.splitlines() == [
        "1 suspect in 3 images, the surest first:",
        "2.tif at y 7, x 23: drawn as foreground, seen as background (85 %)",
    ]
    assert f"1 of 4 images are not judged (e.g. 0.tif), since {run} has learnt from them" in told
    with (out / "suspects.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert float(row.pop("certainty")) == pytest.approx(0.99 - 9 / 64, abs=0.001)
    assert row == {"image": "2.tif", "y": "7", "x": "23", "what": "another class", "labels": "1 0"}
    page = Page((out / "suspects.html").read_text())
    assert "1. 2.tif at y 7, x 23: drawn as foreground, seen as background (85 %)" in page.words
    assert "1 of 4 images are not judged" in page.words

    status, _, told = command("check", dataset, "--suspects", run, "--out", out)
    assert (status, "suspects.csv exists already" in told) == (2, True)
    assert command("check", dataset, "--suspects", run, "--out", out, "--overwrite", "-q")[0] == 0


def test_where_nothing_is_contradicted_the_page_says_so(dataset, tmp_path, command):
    write_constant_model(tmp_path / "run", trained_on=["2.tif"], foreground=0.01, validation=0.0)
    status, said, _ = command("check", dataset, "--suspects", tmp_path / "run", "--out", tmp_path / "out")
    assert (status, said) == (0, "0 suspects in 3 images\n")
    assert "No label is contradicted" in Page((tmp_path / "out" / "suspects.html").read_text()).words
    assert (tmp_path / "out" / "suspects.csv").read_text() == "image,what,labels,certainty\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--suspects", "RUN", "--minutes", "3"], "leave out options of training"),
        (["--suspects", "RUN", "--objects"], "leave out options of training"),
        (["--suspects", "nowhere"], "nowhere is missing"),
        (["--out", "folder"], "--out and --overwrite are for --suspects"),
    ],
)
def test_options_that_do_not_go_together_are_refused(dataset, tmp_path, command, options, reason):
    write_constant_model(tmp_path / "run", trained_on=[], foreground=0.01, validation=0.0)
    status, _, told = command("check", dataset, *(tmp_path / "run" if word == "RUN" else word for word in options))
    assert (status, told.count("\n")) == (2, 1)
    assert reason in told
