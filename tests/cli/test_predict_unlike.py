"""`biounet predict` names images that are unlike those learnt from: in a line, in the table, on the page."""

import csv

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.data.learnt_images import LearntImages
from biounet.data.looks import look_of
from biounet.data.normalize import Normalization
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


def ramp(*, noise=0.0):
    image = np.add.outer(np.arange(64.0), np.arange(64.0)) + noise * np.random.default_rng(0).normal(size=(64, 64))
    return (image - image.min()).astype(np.float32)


@pytest.fixture
def model(tmp_path):
    """Make a model that learnt from ramps, or does not remember."""

    def make(*, knows=True):
        config = ModelConfig(width=2, depth=1, padding="same")
        image = Normalization().measured(ramp()[None]).apply(ramp()[None])
        look = look_of((64, 64), lambda box: image[(slice(None), *box.slices)])
        learnt = LearntImages(diameter=20, diameters=(1, 100), looks=(look,)) if knows else None
        card = ModelCard(model=config, normalization=Normalization(), target="foreground", learnt=learnt)
        save_network(tmp_path / "model.safetensors", build(config), card)
        return tmp_path / "model.safetensors"

    return make


@pytest.fixture
def images(tmp_path):
    write(tmp_path / "in" / "alike.tif", Image(ramp(), "YX"))
    write(tmp_path / "in" / "noisy.tif", Image(ramp(noise=40.0), "YX"))
    return tmp_path / "in"


def rows(folder):
    with (folder / "counts.csv").open() as file:
        return {row["image"]: row for row in csv.DictReader(file)}


def test_it_is_said_in_a_line_in_the_table_and_on_the_page(command, model, images, tmp_path):
    status, _, said = command("predict", model(), images, "--out", tmp_path / "out", "--table")
    assert status == 0, said
    assert "note: 1 of 2 images is unlike those that the model learnt from: noisy.tif (more noise" in said
    found = rows(tmp_path / "out")
    assert found["alike.tif"]["unlike"] == ""
    assert found["noisy.tif"]["unlike"].startswith("more noise")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "noisy.tif: unlike the images learnt from: more noise" in page


def test_a_model_that_remembers_nothing_says_nothing(command, model, images, tmp_path):
    status, _, said = command("predict", model(knows=False), images, "--out", tmp_path / "out", "--table")
    assert status == 0, said
    assert "unlike" not in said
    assert "unlike" not in rows(tmp_path / "out")["noisy.tif"]


def test_probabilities_are_told_of_as_well_and_a_scaled_image_as_it_is_seen(command, model, images, tmp_path):
    options = ("--save", "probabilities", "--diameter", "200")
    status, _, said = command("predict", model(), images / "noisy.tif", "--out", tmp_path / "p.tif", *options)
    assert status == 0, said
    assert "images are scaled by 0.1" in said
    assert "more noise" not in said  # of squares of 10 x 10 px it is averaged


def test_an_image_is_compared_at_the_size_that_was_measured(command, model, images, tmp_path, monkeypatch):
    found = {images / "noisy.tif": 200.0}
    monkeypatch.setattr("biounet.cli.predict.measure_diameters", lambda *_, **__: found)
    options = ("--save", "probabilities", "--diameter", "auto")
    status, _, said = command("predict", model(), images, "--out", tmp_path / "out", *options)
    assert status == 0, said
    assert "1 of 2 images is scaled to objects of 20 px: noisy.tif by 0.1 (objects of 200 px)" in said
    assert "more noise" not in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--diameter", "-1"), "--diameter must be a positive number of pixels, got -1"),
        (("--pixel-size", "0.1"), "does not know the pixel size"),
        (("--pixel-size", "0.1", "--diameter", "20"), "either --diameter or --pixel-size"),
    ],
)
def test_sizes_that_do_not_help_are_refused_before_anything_is_written(
    command, model, images, tmp_path, options, message
):
    status, _, said = command("predict", model(), images, "--out", tmp_path / "out", *options)
    assert (status, len(said.strip().splitlines())) == (2, 1)
    assert message in said
    assert not (tmp_path / "out").exists()
