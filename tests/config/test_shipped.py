"""Models that come with the package: small, whole, described, and found by their names."""

import hashlib

import numpy as np
import pytest

import biounet
import biounet.metrics
from biounet.config.shipped import SHIPPED, model_file, shipped_card
from biounet.core.errors import ModelFileError
from biounet.data.synthetic import draw_cells
from biounet.io import Image, read, write
from biounet.models.model_file import load_network, read_card

MOST_BYTES = 5_000_000


def test_there_are_models():
    assert {"cells", "membranes", "nuclei"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_small_and_the_one_of_its_card(name):
    path, card = SHIPPED[name], shipped_card(name)
    assert path.stat().st_size <= MOST_BYTES
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card.sha256
    assert all(getattr(card, field) for field in type(card).model_fields)
    assert all(0 <= value <= 100 for value in card.scores.values())
    load_network(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_names_no_path_of_the_machine_that_made_it(name):
    text = read_card(SHIPPED[name]).model_dump_json() + shipped_card(name).model_dump_json()
    assert "/tmp" not in text
    assert "/home" not in text


def test_what_lies_in_the_folder_comes_first_only_if_it_is_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuclei").mkdir()  # a folder of images
    assert model_file("nuclei") == SHIPPED["nuclei"]
    (tmp_path / "nuclei" / "model.safetensors").write_bytes(b"a model of one's own")
    assert model_file("nuclei").parent.resolve() == tmp_path / "nuclei" or model_file("nuclei").parts[0] == "nuclei"


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed(command, tmp_path):
    with pytest.raises(ModelFileError, match=r"name of a shipped model \(.*nuclei.*\)"):
        biounet.load_model("nucleus")
    write(tmp_path / "image.png", Image(np.zeros((32, 32), np.uint8), "YX"))
    status, _, errors = command("predict", "nucleus", tmp_path / "image.png", "--out", tmp_path / "out.tif")
    assert status == 2
    assert "nucleus is missing; give a model file" in errors
    assert "nuclei" in errors


def discs(*centres, radius=9, size=(96, 96)):
    y, x = np.indices(size)
    return sum(((y - row) ** 2 + (x - column) ** 2 < radius**2).astype(np.uint8) for row, column in centres)


def test_nuclei_are_found_in_a_drawn_image_by_the_name_of_the_model(command, tmp_path):
    drawn = discs((20, 20), (20, 70), (70, 30), (70, 75))
    rng = np.random.default_rng(0)
    image = (20 + 150 * drawn + rng.normal(0, 5, drawn.shape)).clip(0, 255).astype(np.uint8)
    write(tmp_path / "image.png", Image(image, "YX"))
    status, _, errors = command("predict", "nuclei", tmp_path / "image.png", "--out", tmp_path / "labels.tif")
    assert status == 0, errors
    labels = read(tmp_path / "labels.tif").array
    assert labels.max() == 4
    assert biounet.metrics.iou(drawn > 0, labels > 0) > 0.8
    assert (biounet.load_model("nuclei").segment(image) == labels).all()


@pytest.mark.parametrize("seed", range(2))
def test_cells_are_found_in_a_look_that_was_not_drawn_to_learn_from(seed):
    image, labels = draw_cells(np.random.default_rng(seed), size=(224, 224), cells=7, diameter=60, look="interference")
    found = biounet.load_model("cells").segment(image)
    assert biounet.metrics.average_precision(labels, found, threshold=0.7) == 1


def test_the_command_lists_them_with_their_cards(command):
    status, said, errors = command("models")
    assert status == 0, errors
    for name in SHIPPED:
        assert f"{name} (" in said
        assert shipped_card(name).sha256 in said
        assert shipped_card(name).not_for in said
