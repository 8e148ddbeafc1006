"""Cross-validation: every image is held out once, what is done stays done, and the spread is said."""

import csv

import numpy as np
import pytest

from biounet.cli import folds as command
from biounet.cli.folds import fold_data, of_one_fold, open_summary, run_folds
from biounet.config import RunConfig
from biounet.errors import LabelError, OutputError, TrainingError
from biounet.images import Image, write
from biounet.modelfile import read_card
from biounet.normalize import Normalization
from biounet.training_data import load_training_data

TINY = {
    "model.width": 2,
    "model.depth": 1,
    "model.norm": "none",
    "train.patch": 16,
    "train.batch": 1,
    "train.reports": 1,
    "train.steps": 1,
    "train.precision": "float32",
}


@pytest.fixture
def dataset(noise_dataset):
    return noise_dataset(images=4, side=16)


def test_folds_stop_and_go_on(dataset, tmp_path, monkeypatch, capfd):
    settings, out = of_one_fold(RunConfig.preset("default").updated(TINY), 2), tmp_path / "run"
    train_one = command.train_one
    monkeypatch.setattr(
        command, "train_one", lambda run, **given: run.folder.name == "fold-0" and train_one(run, **given)
    )
    with pytest.raises(KeyboardInterrupt):
        run_folds(dataset, out, settings, count=2, device="cpu")
    assert [bool(row["score"]) for row in summary(out)] == [True, False]
    first = (out / "fold-0" / "model.safetensors").stat()

    monkeypatch.setattr(command, "train_one", train_one)
    settings = RunConfig.from_toml((out / "fold-0" / "config.toml").read_text())
    with pytest.raises(TrainingError, match="begun with 2 folds, not 3"):
        run_folds(dataset, out, settings, count=3, device="cpu", resume=True)
    run_folds(dataset, out, settings, count=None, device="cpu", resume=True)
    assert (out / "fold-0" / "model.safetensors").stat() == first
    cards = [read_card(out / f"fold-{fold}").training for fold in (0, 1)]
    held = [set(card["validated_on"]) for card in cards]
    assert held[0] | held[1] == {f"{number}.png" for number in range(4)}
    assert held == [set(card["trained_on"]) for card in cards[::-1]]
    scores = [float(row["score"]) for row in summary(out)]
    assert scores == [card["scores"]["score"] for card in cards]
    assert f"mean {sum(scores) / 2:.4f}" in capfd.readouterr().err
    with pytest.raises(OutputError, match="not empty"):
        run_folds(dataset, out, settings, count=2, device="cpu")


def test_folds_that_were_killed_before_the_settings_of_the_first_can_be_begun_again(tmp_path):
    for name in ("folds.csv", ".lock", "fold-0/.lock", "fold-0/last/data.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert len(open_summary(tmp_path, 2, resume=False)) == 2
    (tmp_path / "fold-0" / "config.toml").touch()
    with pytest.raises(OutputError, match="not empty"):
        open_summary(tmp_path, 2, resume=False)


def summary(out):
    with (out / "folds.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_a_fold_that_would_hold_out_all_labels_is_refused_before_the_first_begins(dataset, tmp_path):
    for number in range(1, 4):
        (dataset / "labels" / f"{number}.png").unlink()
        write(dataset / "labels" / f"{number}.tif", Image(np.full((16, 16), -1, np.int16), "YX"))
    settings = of_one_fold(RunConfig.preset("default").updated(TINY), 2)
    with pytest.raises(LabelError, match="no image to train on has a labelled pixel"):
        run_folds(dataset, tmp_path / "run", settings, count=2, device="cpu")
    assert not (tmp_path / "run").exists()


def test_minutes_are_those_of_all_folds():
    settings = of_one_fold(RunConfig().updated({"train.minutes": 10}), 5)
    assert (settings.train.minutes, settings.train.validation) == (2, 0)
    assert of_one_fold(RunConfig().updated({"train.steps": 10}), 5).train.steps == 10


def test_images_to_draw_have_folds_and_no_log_loss(tmp_path, capfd):
    rng = np.random.default_rng(0)
    for number in range(2):
        image = rng.random((16, 16)).astype(np.float32)
        write(tmp_path / "data" / "images" / f"{number}.tif", Image(image, "YX"))
        write(tmp_path / "data" / "targets" / f"{number}.tif", Image(3 * image, "YX"))
    settings = of_one_fold(RunConfig.preset("default").updated(TINY), 2)
    run_folds(tmp_path / "data", tmp_path / "run", settings, count=2, device="cpu")
    said = capfd.readouterr().err
    assert "mae: mean" in said
    assert "log_loss" not in said
    assert [bool(row["psnr"]) for row in summary(tmp_path / "run")] == [True, True]


def test_images_to_draw_are_normalised_by_those_that_a_fold_learns_from(tmp_path):
    """Of two images and two folds each learns from one: the held-out one, brighter or darker, does not count."""
    dataset = tmp_path / "data"
    for number, brightness in enumerate((1, 100)):
        image = brightness * np.arange(256, dtype=np.float32).reshape(16, 16)
        write(dataset / "images" / f"{number}.tif", Image(image, "YX"))
        write(dataset / "targets" / f"{number}.tif", Image(3 * image, "YX"))
    data = load_training_data(dataset, Normalization(), validation=0.0)
    for part, brightness in zip(fold_data(dataset, data, 2), (100, 1), strict=True):
        assert part.normalization.offset == pytest.approx((127.5 * brightness,))
        assert part.target_normalization.offset == pytest.approx((3 * 127.5 * brightness,))
        assert part.train[0].image.mean() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("folder", ["labels", "targets"])
def test_of_a_fold_as_many_images_are_validated_on_as_the_settings_have_room_for(tmp_path, folder):
    for number in range(4):
        image = np.arange(256, dtype=np.uint16 if folder == "targets" else np.uint8).reshape(16, 16)
        write(tmp_path / "images" / f"{number}.tif", Image(image, "YX"))
        write(tmp_path / folder / f"{number}.tif", Image(image if folder == "targets" else image // 128, "YX"))
    data = load_training_data(tmp_path, Normalization(), validation=0.0)
    for part in fold_data(tmp_path, data, 2, pixels=300):
        assert (len(part.train), len(part.validation)) == (2, 1)
        assert sum("of 2 images held out, 1 are validated on" in note for note in part.notes) == 1
