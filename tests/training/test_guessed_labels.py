"""Labels that a run guesses for images without any: what is guessed, from when on, and that a run resumes exactly."""

import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import biounet
from biounet.config.object_rules import ObjectRules
from biounet.core.array_store import ArrayFolder
from biounet.core.errors import ConfigError, TrainingError
from biounet.core.labels import IGNORE
from biounet.io import Image, read, write
from biounet.segmentation import segment_objects
from biounet.training.guessed_labels import GUESSED, SURE, guess
from biounet.training.monitor import StoppedError

TINY = {
    "model.width": 2,
    "model.depth": 1,
    "train.auto": (),
    "train.patch": 16,
    "train.batch": 2,
    "train.reports": 2,
    "train.precision": "float32",
}


def drawn(seed, classes, shape=(9, 11)):
    logits = np.random.default_rng(seed).normal(0, 2, (classes, *shape))
    shares = np.exp(logits)
    return (shares / shares.sum(0)).astype(np.float32)


@given(st.integers(0, 100), st.integers(2, 5))
def test_a_class_is_guessed_where_it_is_sure(seed, classes):
    probabilities = drawn(seed, classes)
    labels = guess(probabilities, None)
    known = labels != IGNORE
    np.testing.assert_array_equal(known, probabilities.max(0) >= SURE)
    np.testing.assert_array_equal(labels[known], probabilities.argmax(0)[known])


@given(st.integers(0, 100))
def test_objects_are_guessed_whole_or_not_at_all(seed):
    probabilities, rules = drawn(seed, 2), ObjectRules(foreground=0.4)
    labels, objects = guess(probabilities, rules), segment_objects(probabilities, rules)
    for number in range(1, objects.max() + 1):
        inside = objects == number
        sure = probabilities[1][inside].mean() >= SURE
        assert (labels[inside] == (number if sure else IGNORE)).all()
    background = objects == 0
    doubtful = probabilities[1][background] > 1 - SURE
    np.testing.assert_array_equal(labels[background], np.where(doubtful, IGNORE, 0))


class Stopping:
    """A monitor that stops a run after some steps, and keeps the lines."""

    again = "biounet.train(...)"

    def __init__(self, after=None):
        self.left, self.lines = after, []

    def say(self, line):
        self.lines.append(line)

    @contextmanager
    def watch(self, *, is_main_process):
        def after_step(share, text):
            self.left = None if self.left is None else self.left - 1
            return "enough" if self.left == 0 else ""

        yield after_step


@pytest.fixture
def folders(tmp_path):
    """A dataset of bright squares, and images of more of them without labels."""
    rng = np.random.default_rng(0)
    for number in range(9):
        labels = np.zeros((32, 32), np.uint8)
        for row, column in rng.integers(0, 24, (3, 2)):
            labels[row : row + 8, column : column + 8] = 1
        image = (100 * labels + rng.integers(0, 40, labels.shape)).astype(np.uint8)
        if number < 3:
            write(tmp_path / "data" / "images" / f"{number}.png", Image(image, "YX"))
            write(tmp_path / "data" / "labels" / f"{number}.png", Image(labels, "YX"))
        else:
            write(tmp_path / "more" / f"{number}.png", Image(image, "YX"))
    return tmp_path / "data", tmp_path / "more"


def train(folders, out, *, monitor=None, resume=False, report=False, **changes):
    data, more = folders
    settings = {**TINY, "train.target": "classes", "train.unlabelled": str(more), **changes}
    options = {"resume": True} if resume else {"settings": settings, "steps": 10}
    return biounet.train(data, out, report=report, monitor=monitor or Stopping(), **options)


@pytest.mark.parametrize("stop", [2, 4, 5, 8])
@pytest.mark.parametrize("target", ["classes", "distance"])
def test_a_run_that_was_stopped_ends_with_the_same_bytes(folders, tmp_path, stop, target):
    train(folders, tmp_path / "whole", **{"train.target": target})
    with pytest.raises(StoppedError):
        train(folders, tmp_path / "run", monitor=Stopping(stop), **{"train.target": target})
    train(folders, tmp_path / "run", resume=True)
    (folder,) = (tmp_path / "run" / GUESSED).iterdir()
    assert folder.name.startswith("4-")  # of 10 steps
    whole, run = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run"))
    assert whole == run


def test_they_are_learnt_from_once_they_are_guessed(folders, tmp_path):
    monitor = Stopping()
    with_them = train(folders, tmp_path / "with", monitor=monitor, report=True)
    assert any("6 images without labels" in line and "after 40 % of the run" in line for line in monitor.lines)
    assert any("labels guessed for 6 images without any" in line for line in monitor.lines)
    page = (tmp_path / "with" / "report.html").read_text()
    assert "6 of 6 images without labels, with those that were guessed" in page
    assert "Labels of 7" in page
    (folder,) = (tmp_path / "with" / GUESSED).iterdir()
    labels = ArrayFolder(folder)
    assert len(labels) == 6
    assert labels[0,].shape == (32, 32)
    assert with_them.card.training["settings"]["train"]["unlabelled"] == str(folders[1])
    without = train(folders, tmp_path / "without", **{"train.unlabelled": None})
    assert not (tmp_path / "without" / GUESSED).exists()
    image = np.zeros((32, 32), np.uint8)
    assert (with_them.predict(image) != without.predict(image)).any()


def test_other_images_than_those_that_labels_were_guessed_for_are_refused(folders, tmp_path):
    with pytest.raises(StoppedError):
        train(folders, tmp_path / "run", monitor=Stopping(6))
    path = folders[1] / "5.png"
    write(path, Image(read(path).array[::-1].copy(), "YX"), overwrite=True)
    with pytest.raises(TrainingError, match=r"more \(--unlabelled\) are not those that labels were guessed for"):
        train(folders, tmp_path / "run", resume=True)


def test_target_images_have_no_labels_to_guess(folders, tmp_path):
    shutil.rmtree(folders[0] / "labels")
    shutil.copytree(folders[0] / "images", folders[0] / "targets")
    with pytest.raises(ConfigError, match=r"--unlabelled is for labels, the dataset has target images; leave it out"):
        train(folders, tmp_path / "run", **{"train.target": "image", "train.loss": "l1"})
    assert not (tmp_path / "run").exists()


def test_the_command_takes_a_folder_or_the_word_none(command, folders, tmp_path):
    data, more = folders
    words = ["--classes", "a,b", "--steps", 4, "--precision", "float32"]
    words += [f"--set={name}={TINY[name]}" for name in ("model.width", "model.depth", "train.patch", "train.batch")]
    for place, guessed in ((more, True), ("none", False)):
        status, _, said = command("train", data, "--unlabelled", place, "--out", tmp_path / str(guessed), *words)
        assert status == 0, said
        assert ("labels guessed for 6 images" in said) == guessed
    status, _, said = command("train", data, "--unlabelled", tmp_path / "no", "--out", tmp_path / "run", *words)
    assert (status, said.count("\n")) == (2, 1)
    assert "there is no such folder of images, or stack, for --unlabelled; check the name" in said
    status, out, said = command("check", data, "--unlabelled", more, *words)
    assert status == 0, said
    assert "6 images without labels" in out + said
