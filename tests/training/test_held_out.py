"""Each image is judged by the networks that did not learn from it."""

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError, DatasetError, ModelFileError
from biounet.data.normalize import Normalization
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network
from biounet.training.held_out import HeldOutImages
from runs import write_constant_model


@pytest.fixture
def dataset(noise_dataset):
    return noise_dataset(images=4, side=16)


def test_an_image_is_predicted_by_the_fold_that_did_not_learn_from_it(dataset, tmp_path):
    write_constant_model(
        tmp_path / "run" / "fold-0",
        trained_on=["2.png", "3.png"],
        foreground=0.25,
        validation=0.0,
        validation_pixels=16,
    )
    write_constant_model(
        tmp_path / "run" / "fold-1", trained_on=["0.png", "1.png", "3.png"], foreground=0.75, validation=0.0
    )
    held_out = HeldOutImages.of(dataset, tmp_path / "run")
    shares: list[float] = []
    found = {image.name: image for image in held_out.predict(device="cpu", progress=shares.append)}
    assert held_out.learnt == ("3.png",)
    assert held_out.class_names == ("background", "foreground")
    assert {name: image.probabilities[1].mean() for name, image in found.items()} == pytest.approx(
        {"0.png": 0.25, "1.png": 0.25, "2.png": 0.75}, abs=0.01
    )
    assert shares == pytest.approx([1 / 3, 2 / 3, 1])
    assert (found["2.png"].result == 1).all()
    assert set(np.unique(found["2.png"].labels)) == {0, 1}


def test_a_run_that_has_learnt_from_all_images_judges_none(dataset, tmp_path):
    write_constant_model(
        tmp_path / "run", trained_on=[f"{number}.png" for number in range(4)], foreground=0.5, validation=0.0
    )
    with pytest.raises(DatasetError, match=r"it has learnt 4 by heart.*--folds"):
        HeldOutImages.of(dataset, tmp_path / "run")


def test_images_that_are_too_large_are_not_judged(dataset, tmp_path, monkeypatch):
    write(dataset / "images" / "4.png", Image(np.zeros((16, 17), np.uint8), "YX"))
    write(dataset / "labels" / "4.png", Image(np.eye(16, 17, dtype=np.uint8), "YX"))
    write_constant_model(tmp_path / "run", trained_on=["0.png", "1.png", "2.png"], foreground=0.5, validation=0.4)
    monkeypatch.setattr("biounet.training.held_out.LARGEST", 16 * 16)
    held_out = HeldOutImages.of(dataset, tmp_path / "run")
    assert (held_out.large, [pair.name for pair in held_out.models]) == (("4.png",), ["3.png"])


def test_of_a_single_image_only_the_rows_held_out_are_judged(tmp_path):
    for folder in ("images", "labels"):
        write(tmp_path / "data" / folder / "one.tif", Image(np.tile(np.arange(16, dtype=np.uint8) // 8, (16, 1)), "YX"))
    write_constant_model(tmp_path / "run", trained_on=["one.tif (rows 0 to 11)"], foreground=0.5, validation=0.2)
    held_out = HeldOutImages.of(tmp_path / "data", tmp_path / "run")
    (image,) = held_out.predict(device="cpu")
    assert image.name == "one.tif (rows 12 to 15)"
    assert image.labels.shape == image.result.shape == (16, 16)
    assert (image.labels[:12] == -1).all()
    assert (image.labels[12:] >= 0).all()


def test_a_model_must_say_what_it_has_learnt_from(dataset, tmp_path):
    config = ModelConfig(width=2, depth=1, norm="none")
    save_network(tmp_path / "old.safetensors", build(config), ModelCard(model=config, normalization=Normalization()))
    with pytest.raises(ModelFileError, match="does not say which images"):
        HeldOutImages.of(dataset, tmp_path / "old.safetensors")


def test_a_run_that_draws_images_suspects_no_labels(dataset, tmp_path):
    config = ModelConfig(width=2, depth=1, norm="none", classes=1)
    scale = Normalization(kind="z-score", offset=(0.0,), scale=(1.0,))
    card = ModelCard(model=config, normalization=Normalization(), target="image", target_normalization=scale)
    save_network(tmp_path / "model.safetensors", build(config), card)
    with pytest.raises(ConfigError, match="has learnt to draw images"):
        HeldOutImages.of(dataset, tmp_path / "model.safetensors")
