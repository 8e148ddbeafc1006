"""The page of suspects: what is shown around each, and in what order."""

import numpy as np

from biounet.config import ModelConfig
from biounet.core.boxes import Box
from biounet.data.normalize import Normalization
from biounet.evaluation.suspects import Suspect
from biounet.models.model_file import ModelCard
from biounet.report.answer import Answer
from biounet.report.suspects_report import crop_around, write_suspects_report
from biounet.training.held_out import PredictedImage
from html_page import Page


def predicted(shape, *, target):
    labels = np.arange(np.prod(shape)).reshape(shape) % 2
    card = ModelCard(model=ModelConfig(dims=len(shape)), normalization=Normalization(), target=target)
    return PredictedImage("a.tif", np.zeros((2, *shape)), labels, np.zeros((2, *shape), np.float32), labels, card)


def test_a_suspect_is_shown_with_as_much_around_it_as_it_is_large_and_no_less_than_some():
    image = predicted((300, 400), target="foreground")
    picture = crop_around(image, Suspect("not seen", (1,), 0.9, Box((100, 0), (110, 60))))
    assert picture.size == (24 + 10 + 24, 60 + 60)
    assert picture.image.shape == (2, 58, 120)
    assert (picture.truth == image.labels[76:134, :120]).all()
    assert (picture.kind, picture.classes) == ("objects", 0)


def test_of_a_volume_some_sections_are_shown():
    suspect = Suspect("another class", (0, 1), 0.9, Box((1, 30, 30), (3, 40, 40)))
    picture = crop_around(predicted((20, 64, 64), target="classes"), suspect)
    assert picture.size == (1 + 2 + 3, 24 + 10 + 24, 24 + 10 + 24)
    assert (picture.kind, picture.classes) == ("classes", 2)


def test_the_surest_come_first_and_names_are_escaped(tmp_path):
    image = predicted((64, 64), target="foreground")
    picture = crop_around(image, Suspect("not seen", (1,), 0.9, Box((10, 10), (20, 20))))
    answer = Answer("2 suspects in 1 image", "usable", "Look at each")
    shown = [("<a>.tif: object 1", picture), ("b.tif: object 2", picture)]
    write_suspects_report(tmp_path / "suspects.html", shown, answer, title="Suspects")
    page = Page((tmp_path / "suspects.html").read_text())
    assert page.words.index("2 suspects") < page.words.index("1. <a>.tif") < page.words.index("2. b.tif")
