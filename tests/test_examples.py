"""The examples run as scripts do, in a folder of their own, and their results are what they say."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from biounet import io, models
from biounet.core.errors import ImageError, OutputError
from biounet.data.synthetic import draw_cells
from biounet.models.receptive_field import Step, trunk_geometry

EXAMPLES = Path(__file__).parents[1] / "examples"
LONGEST = 40


@pytest.fixture
def run_example(tmp_path, monkeypatch):
    """Run an example by its name; return the names that it defines. The tables are restored afterwards."""

    def run(name: str) -> dict:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(models, "MODELS", models.MODELS)
        monkeypatch.setattr(io.formats, "FORMATS", io.FORMATS)
        return runpy.run_path(str(EXAMPLES / f"{name}.py"))

    return run


def dice_on_another_image(model) -> float:
    image, cells = draw_cells(np.random.default_rng(9), size=(128, 128))
    found, truth = model.segment(image) > 0, cells > 0
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(path):
    assert len(path.read_text().splitlines()) < LONGEST


def test_train_from_python(run_example, tmp_path):
    found = run_example("train_from_python")
    assert found["labels"].shape == found["image"].shape
    assert found["score"] > 0.2, "it learns to find cells"
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"model.safetensors", "config.toml", "report.html"}


def test_own_loss(run_example):
    assert dice_on_another_image(run_example("own_loss")["model"]) > 0.9


def test_own_architecture(run_example):
    found = run_example("own_architecture")
    assert dice_on_another_image(found["model"]) > 0.9
    path = [Step(3 + 2 * (dilation - 1), padding=dilation) for dilation in (1, 2, 4, 8)]
    assert found["model"].net.geometry.margin == trunk_geometry([path], poolings=0).margin


def test_own_format(run_example, tmp_path):
    found = run_example("own_format")
    assert [pair.name for pair in found["dataset"].pairs] == ["0.txt", "1.txt", "2.txt", "3.txt"]
    assert found["image"].axes == "YX"
    np.testing.assert_array_equal(found["image"].array, draw_cells(np.random.default_rng(0), size=(64, 64))[0])
    with pytest.raises(OutputError, match="exists"):
        io.write(tmp_path / "cells" / "images" / "0.txt", found["image"])
    (tmp_path / "torn.txt").write_bytes(b"no array")
    with pytest.raises(ImageError, match="no text of numbers"):
        io.read(tmp_path / "torn.txt")
