"""The pictures that `biounet predict` writes beside results, and what it must not replace."""

import numpy as np
import PIL.Image
import pytest

from biounet.config import ModelConfig
from biounet.data.normalize import Normalization
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


@pytest.fixture
def model(tmp_path):
    config = ModelConfig(width=2, depth=1, padding="same")
    save_network(tmp_path / "m.safetensors", build(config), ModelCard(model=config, normalization=Normalization()))
    return tmp_path / "m.safetensors"


@pytest.fixture
def images(tmp_path):
    for name in ("a", "b"):
        image = np.random.default_rng(0).integers(0, 255, (20, 24), np.uint8)
        write(tmp_path / "images" / f"{name}.tif", Image(image, "YX"))
    return tmp_path / "images"


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_a_picture_stands_beside_each_result(tmp_path, command, model, images):
    assert command("predict", model, images, "--out", tmp_path / "out")[0] == 0
    assert names(tmp_path / "out") == ["pictures/a.png", "pictures/b.png"]
    assert command("predict", model, images, "--out", tmp_path / "none", "--no-pictures")[0] == 0
    assert not names(tmp_path / "none")
    assert command("predict", model, images, "--out", tmp_path / "out", "--overwrite")[0] == 0


def test_pictures_of_other_results_stay(tmp_path, command, model, images):
    assert command("predict", model, images / "a.tif", "--out", tmp_path / "out" / "one.tif")[0] == 0
    (tmp_path / "out" / "pictures" / "notes").mkdir()
    (tmp_path / "out" / "pictures" / "notes" / "mine.txt").write_text("mine")
    assert command("predict", model, images, "--out", tmp_path / "out")[0] == 0
    assert names(tmp_path / "out") == ["pictures/a.png", "pictures/b.png", "pictures/one.png"]
    assert (tmp_path / "out" / "pictures" / "notes" / "mine.txt").read_text() == "mine"
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_file_called_pictures_stays(tmp_path, command, model, images):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "pictures").write_text("mine")
    status, _, said = command("predict", model, images, "--out", tmp_path / "out")
    assert (status, (tmp_path / "out" / "pictures").read_text()) == (0, "mine")
    assert "pictures is no folder of pictures" in said


def test_of_more_than_a_hundred_images_there_are_none_unless_asked_for(tmp_path, command, model, images, monkeypatch):
    monkeypatch.setattr("biounet.cli.predict_pictures.MOST", 1)
    assert command("predict", model, images, "--out", tmp_path / "out")[0] == 0
    assert not names(tmp_path / "out")
    assert command("predict", model, images, "--out", tmp_path / "all", "--pictures")[0] == 0
    assert names(tmp_path / "all") == ["pictures/a.png", "pictures/b.png"]


def test_a_picture_of_others_stays(tmp_path, command, model, images):
    theirs = tmp_path / "out" / "pictures" / "a.png"
    theirs.parent.mkdir(parents=True)
    PIL.Image.new("L", (2, 2)).save(theirs)
    before = theirs.read_bytes()
    status, _, said = command("predict", model, images, "--out", tmp_path / "out")
    assert (status, theirs.read_bytes()) == (0, before)
    assert "a.png was there already and stays" in said
    words = ("--out", tmp_path / "out", "--overwrite", "--pictures")
    status, _, said = command("predict", model, images, *words)
    assert (status, theirs.read_bytes()) == (2, before)
    assert "a.png is no picture that biounet has drawn" in said


def test_pictures_are_of_labels(tmp_path, command, model, images):
    words = ("--out", tmp_path / "out", "--save", "probabilities")
    assert command("predict", model, images, *words)[0] == 0
    assert not names(tmp_path / "out")
    status, _, said = command("predict", model, images, *words, "--pictures", "--overwrite")
    assert (status, "--pictures draws labels on images" in said) == (2, True)
