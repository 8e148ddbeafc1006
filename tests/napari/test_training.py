"""Training follows `biounet.train`: its lines come, it stops when it is closed, and nothing temporary stays."""

import tempfile

import pytest

import biounet
from biounet.core.errors import DatasetError
from biounet.core.random import generator
from biounet.data.synthetic import draw_cells
from biounet.napari.annotation import Annotated
from biounet.napari.training import train_on_layers
from layers_of_tests import layer

SETTINGS = {
    "train.steps": 4,
    "train.batch": 1,
    "train.patch": 64,
    "train.target": "classes",
    "model.width": 2,
    "model.depth": 1,
    "train.finalise": False,
}


@pytest.fixture
def annotated(monkeypatch, tmp_path):
    """Two annotated images, and an empty folder for what is temporary."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    drawn = [draw_cells(generator(0, 0, number), size=(96, 96), cells=5) for number in range(2)]
    return [Annotated(layer(image), layer((labels > 0).astype(int), name="labels")) for image, labels in drawn]


def test_a_run_is_trained_and_said(annotated, tmp_path):
    seen = list(train_on_layers(annotated, tmp_path / "run", settings=SETTINGS))
    assert biounet.load_model(tmp_path / "run").card.task.name == "classes"
    assert seen[0].text == "2 annotated images"
    assert seen[-1].share == 1
    assert list((tmp_path / "temporary").glob("biounet-*")) == []


def test_training_that_is_closed_keeps_its_model(annotated, tmp_path):
    work = train_on_layers(annotated, tmp_path / "run", settings=SETTINGS | {"train.steps": 10_000})
    for progress in work:
        if progress.text.startswith("step"):
            break
    work.close()
    assert biounet.load_model(tmp_path / "run").card.task.name == "classes"
    assert "stopped in napari" in (tmp_path / "run" / "report.html").read_text()
    assert list((tmp_path / "temporary").glob("biounet-*")) == []


def test_a_run_begins_with_the_model_of_another(annotated, tmp_path):
    list(train_on_layers(annotated, tmp_path / "first", settings=SETTINGS))
    again = {key: value for key, value in SETTINGS.items() if not key.startswith("model.")}
    lines = [
        progress.text
        for progress in train_on_layers(annotated, tmp_path / "next", init=str(tmp_path / "first"), settings=again)
    ]
    assert any("first" in line for line in lines), lines
    assert biounet.load_model(tmp_path / "next").card.model.width == 2


def test_a_view_without_labels_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="labels over an image are wanted"):
        next(train_on_layers([], tmp_path / "run"))
