"""Cross-validation: every image is held out once, what is done stays done, and the spread is said."""

import csv
import gc
import signal
from math import inf

import numpy as np
import pytest

from biounet.cli import folds as command
from biounet.cli.folds import open_summary, run_folds
from biounet.config import RunConfig
from biounet.core.errors import LabelError, OutputError, TrainingError
from biounet.data.annotated_image import AnnotatedImage, AnnotatedImageReader
from biounet.io import Image, write
from biounet.models.model_file import read_card
from biounet.training.cross_validation import of_one_fold
from biounet.training.validation import Validation

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


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_folds_stop_and_go_on(dataset, tmp_path, monkeypatch, capfd, number, error):
    settings, out = of_one_fold(RunConfig.preset("default").updated(TINY), 2), tmp_path / "run"
    train_run = command.train_run

    def stopped(run, terminal, **given):
        terminal.stopped_by = number
        return "told to" if run.folder.name == "fold-1" else train_run(run, terminal, **given)

    monkeypatch.setattr(command, "train_run", stopped)
    with pytest.raises(error):
        run_folds(dataset, out, settings, count=2, device="cpu")
    assert f"go on with: biounet train {dataset} --out {out} --resume --device cpu\n" in capfd.readouterr().err
    assert [bool(row["score"]) for row in summary(out)] == [True, False]
    first = (out / "fold-0" / "model.safetensors").stat()

    monkeypatch.setattr(command, "train_run", train_run)
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


@pytest.fixture
def alive():
    """Count those of a kind that somebody holds and that no earlier test has left, as one that failed does."""
    gc.collect()
    earlier = [thing for thing in gc.get_objects() if type(thing) in (AnnotatedImage, Validation)]

    def count(kind):
        return sum(type(thing) is kind for thing in gc.get_objects()) - sum(type(thing) is kind for thing in earlier)

    return count


def test_folds_of_images_that_memory_does_not_hold_hold_none_but_those_validated_on(
    noise_dataset, tmp_path, monkeypatch, alive
):
    """Of six images in two folds one is validated on; of the others one is read, and the one before let go."""
    dataset, read, held = noise_dataset(images=6, side=16), AnnotatedImageReader.read, []

    def counted(*given):
        item = read(*given)
        held.append((alive(AnnotatedImage), alive(Validation)))
        return item

    monkeypatch.setattr(AnnotatedImageReader, "read", counted)
    settings = of_one_fold(RunConfig.preset("default").updated({**TINY, "train.validation_pixels": 300}), 2)
    for name, memory in (("here", inf), ("there", 0)):
        monkeypatch.setattr(command, "room", lambda train, memory=memory: memory)
        run_folds(dataset, tmp_path / name, settings, count=2, device="cpu")
        items, validations = zip(*held, strict=True)
        assert (max(items), max(validations)) == ((6, 0) if memory else (1 + 2, 1))
        held.clear()
    for fold in range(2):
        models = [(tmp_path / name / f"fold-{fold}" / "model.safetensors").read_bytes() for name in ("here", "there")]
        assert models[0] == models[1]
        assert not (tmp_path / "there" / f"fold-{fold}" / "prepared").exists()


@pytest.mark.parametrize("folder", ["labels", "targets"])
def test_a_fold_that_is_done_leaves_nothing_in_memory(tmp_path, monkeypatch, alive, folder):
    """Images with labels are those of all folds; target images are read anew, since others normalise them."""
    for number in range(4):
        image = np.random.default_rng(number).integers(0, 255, (16, 16)).astype(np.uint8)
        target = image // 128 if folder == "labels" else image.astype(np.float32)
        write(tmp_path / "data" / "images" / f"{number}.tif", Image(image, "YX"))
        write(tmp_path / "data" / folder / f"{number}.tif", Image(target, "YX"))
    train_run, held = command.train_run, []

    def counted(*given, **options):
        held.append((alive(AnnotatedImage), alive(Validation)))
        return train_run(*given, **options)

    monkeypatch.setattr(command, "train_run", counted)
    settings = of_one_fold(RunConfig.preset("default").updated(TINY), 2)
    run_folds(tmp_path / "data", tmp_path / "run", settings, count=2, device="cpu")
    assert held == [(4, 0), (4, 0)]
