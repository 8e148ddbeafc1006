"""The page of `biounet predict`: written for folders of objects, and never over another."""

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.data.normalize import Normalization
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


@pytest.fixture
def model(tmp_path):
    config = ModelConfig(width=2, depth=1, padding="same")
    card = ModelCard(model=config, normalization=Normalization(), target="foreground")
    save_network(tmp_path / "model.safetensors", build(config), card)
    return tmp_path / "model.safetensors"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        write(folder / f"{number}.tif", Image(np.random.default_rng(number).integers(0, 255, (16, 16), np.uint8), "YX"))
    return folder


def test_a_folder_has_a_page_and_one_image_has_none(command, model, images, tmp_path):
    status, _, said = command("predict", model, images, "--out", tmp_path / "out")
    assert status == 0, said
    assert f"look at {tmp_path / 'out' / 'report.html'}" in said
    assert "in 2 images" in (tmp_path / "out" / "report.html").read_text()
    assert command("predict", model, images / "0.tif", "--out", tmp_path / "one")[0] == 0
    assert not (tmp_path / "one" / "report.html").exists()


def test_a_page_beside_tables_does_not_ask_for_tables(command, model, images, tmp_path):
    assert command("predict", model, images, "--out", tmp_path / "out")[0] == 0
    assert "Measure every object" in (tmp_path / "out" / "report.html").read_text()
    assert command("predict", model, images, "--out", tmp_path / "out", "--table", "--overwrite")[0] == 0
    assert "Measure every object" not in (tmp_path / "out" / "report.html").read_text()


def test_no_page_where_none_is_wanted_or_one_is_there(command, model, images, tmp_path):
    assert command("predict", model, images, "--out", tmp_path / "out", "--no-report")[0] == 0
    page = tmp_path / "out" / "report.html"
    assert not page.exists()
    page.write_text("of somebody")
    assert command("predict", model, images, "--out", tmp_path / "out", "--resume", "--no-report")[0] == 0
    status, _, said = command("predict", model, images / "0.tif", "--out", tmp_path / "out", "--report")
    assert (status, "report.html" in said) == (2, True)
    assert page.read_text() == "of somebody"


def test_a_page_of_objects_is_refused_where_there_are_none(command, model, images, tmp_path):
    status, _, said = command("predict", model, images, "--out", tmp_path / "p", "--save", "probabilities", "--report")
    assert (status, "--report counts objects" in said) == (2, True)
    assert not (tmp_path / "p").exists()
