"""A run that begins with a model: what it takes over, what it says, what it refuses, and that it resumes exactly."""

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import biounet
from biounet.config import TrainConfig
from biounet.config.object_rules import ObjectRules
from biounet.config.tasks import TASKS
from biounet.config.toml import RunConfig
from biounet.core.errors import ConfigError, TrainingError
from biounet.data.learnt_images import LearntImages
from biounet.io import Image, write
from biounet.models.model_file import load_network, read_card, save_network
from biounet.training.monitor import StoppedError
from biounet.training.starting_model import StartingModel, first_rules, keeps_fit, starting_model
from small_sets import make_set

TINY = {
    "model.width": 2,
    "model.depth": 1,
    "train.patch": 16,
    "train.batch": 2,
    "train.reports": 1,
    "train.precision": "float32",
    "train.auto": [],
}
FROM = {name: value for name, value in TINY.items() if not name.startswith("model.")}
ASSIGNED = [word for name, value in FROM.items() for word in ("--set", f"{name}={value}")]


def dataset(folder, *, classes=2, channels=1, images=3, side=24):
    """Images of noise whose classes follow from the brightness."""
    rng = np.random.default_rng(0)
    for number in range(images):
        grey = rng.integers(0, 255, (side, side)).astype(np.uint8)
        colours = np.stack([grey, *(rng.permuted(grey) for _ in range(channels - 1))], axis=-1)
        image = Image(grey, "YX") if channels == 1 else Image(colours.transpose(2, 0, 1), "CYX")
        write(folder / "images" / f"{number}.tif", image)
        write(folder / "labels" / f"{number}.tif", Image(grey // (256 // classes), "YX"))
    return folder


def trained(folder, data, **changes):
    settings = {**TINY, "train.target": "classes", **changes}
    return biounet.train(data, folder, steps=2, settings=settings, report=False, device="cpu")


@pytest.fixture
def source(tmp_path):
    trained(tmp_path / "source", dataset(tmp_path / "data"))
    return tmp_path / "source"


def begin(command, data, out, source, *words):
    options = ["--set", "train.target=classes", "--device", "cpu", "--steps", 2, *ASSIGNED]
    return command("train", data, "--out", out, "--from", source, *options, *words)


def test_a_run_takes_over_the_architecture_and_records_the_model(command, source, tmp_path):
    status, said, errors = begin(command, tmp_path / "data", tmp_path / "run", source)
    assert status == 0, errors
    sha256 = hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
    card = read_card(tmp_path / "run")
    assert card.model == read_card(source).model
    assert card.training["start"] == {"model": str(source), "sha256": sha256}
    config = RunConfig.from_toml((tmp_path / "run" / "config.toml").read_text())
    assert (config.train.init, config.train.init_sha256) == (str(source), sha256)
    assert config.train.learning_rate == 1e-4
    whole = len(load_network(source)[0].state_dict())
    assert (
        f"note: begins with {source} (SHA-256 {sha256[:12]}), {whole} of {whole} tensors as they are" in said + errors
    )


def test_check_says_what_is_taken_over_and_refuses_what_training_would(command, source, tmp_path):
    options = ["--set", "train.target=classes", "--device", "cpu", "--steps", 2, *ASSIGNED]
    status, said, errors = command("check", tmp_path / "data", "--from", source, *options)
    assert status == 0, errors
    assert f"note: begins with {source} (SHA-256" in said
    assert "unet of width 2 and depth 1" in said
    status, _, errors = command("check", tmp_path / "data", "--from", tmp_path / "no-model", *options)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "nuclei" in errors


def test_objects_of_a_size_that_the_model_does_not_know_are_told(source):
    card = read_card(source).model_copy(update={"learnt": LearntImages(diameter=20, diameters=(15, 30))})
    start = replace(starting_model(TrainConfig(init=str(source))), card=card)
    data = SimpleNamespace(
        target="classes", learnt=LearntImages(diameter=50, diameters=(40, 60)), train=[None], validation=[]
    )
    config = RunConfig.preset("default").updated({**TINY, "model.classes": 2, "model.in_channels": 1})
    assert start.notes(config, data)[-1] == f"objects have a median diameter of 50 px; {source} knows 15 to 30 px"
    data.learnt = LearntImages()
    assert "diameter" not in start.notes(config, data)[-1]


def test_the_first_weights_are_those_of_the_model(source, tmp_path):
    settings = {
        **FROM,
        "train.target": "classes",
        "train.learning_rate": 1e-12,
        "train.ema": 0.0,
        "train.finalise": False,
    }
    options = {"settings": settings, "init": source, "report": False, "device": "cpu"}
    model = biounet.train(tmp_path / "data", tmp_path / "run", steps=1, **options)
    before = load_network(source)[0].state_dict()
    for name, weights in model.net.state_dict().items():
        if "running" not in name and weights.is_floating_point():
            assert torch.allclose(weights, before[name], atol=1e-6), name


def test_other_channels_and_classes_are_said(command, source, tmp_path):
    data = dataset(tmp_path / "colour", channels=3, classes=4)
    status, said, errors = begin(command, data, tmp_path / "run", source)
    assert status == 0, errors
    assert "the first layer is adapted from 1 channels to 3" in said + errors
    assert "random weights begin in head.weight, head.bias: the model has 2 outputs of classes, now 4" in said + errors
    assert read_card(tmp_path / "run").model.in_channels == 3


def test_fewer_classes_are_refused_unless_they_are_named(command, tmp_path):
    trained(tmp_path / "source", dataset(tmp_path / "three", classes=3))
    data = dataset(tmp_path / "data")
    status, _, errors = begin(command, data, tmp_path / "run", tmp_path / "source")
    assert status == 2
    assert "source knows 3 classes, the labels have 2, background included; annotate an image with the others" in errors
    assert not (tmp_path / "run").exists()
    status, _, errors = begin(command, data, tmp_path / "run", tmp_path / "source", "--classes", "background,cell")
    assert status == 0, errors
    assert read_card(tmp_path / "run").model.classes == 2


def test_another_dimensionality_is_refused_before_an_image_is_read(command, source, tmp_path):
    volume = np.random.default_rng(0).integers(0, 255, (4, 24, 24)).astype(np.uint8)
    for number in range(2):
        write(tmp_path / "volumes" / "images" / f"{number}.tif", Image(volume, "ZYX"))
        write(tmp_path / "volumes" / "labels" / f"{number}.tif", Image(volume // 128, "ZYX"))
    status, _, errors = begin(command, tmp_path / "volumes", tmp_path / "run", source)
    assert status == 2
    assert "is a model for images (Y, X), the dataset has volumes (Z, Y, X); begin with another model" in errors


def test_a_model_that_draws_images_is_refused_for_labels(source):
    start = StartingModel.of(source)
    with pytest.raises(ConfigError, match="has learnt labels, the dataset has target images"):
        start.check_images((1, 24, 24), "image")
    start.check_images((5, 24, 24), "distance")  # another head
    start.check_classes(2, TASKS["classes"], ())


def test_objects_begin_with_classes_and_with_their_rules(command, source, tmp_path):
    labels = [np.kron(np.arange(1, 10).reshape(3, 3), np.ones((8, 8))).astype(np.uint16) for _ in range(3)]
    for each in labels:
        each[::8], each[:, ::8] = 0, 0
    images = [(each > 0).astype(np.uint8) * 100 + number for number, each in enumerate(labels)]
    data = make_set(tmp_path / "objects", labels, images=images)
    words = ["--device", "cpu", "--steps", 2, "--objects", *ASSIGNED]
    for name, before in (("first", source), ("second", tmp_path / "first")):
        status, said, errors = command("train", data, "--out", tmp_path / name, "--from", before, *words)
        assert status == 0, errors
        assert ("random weights begin in head" in said + errors) == (name == "first")
        assert ("rules of objects" in said + errors) == (name == "second")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "nucleii"], "nucleii is missing; give a model file"),
        (["--from", "data/labels/0.tif"], "0.tif is torn or no model file"),
        (["--from", "source", "--set", "model.width=4"], "model.width is 2 in the model to begin with, and 4 in the"),
        (["--from", "source", "--model", "unet++"], "model.name is unet in the model to begin with, and unet++ in the"),
        (["--from", "source", "--resume"], "the settings of the run say what it began with; leave out --from"),
    ],
)
def test_what_cannot_be_begun_with_is_refused_in_one_line(command, source, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    status, _, errors = command("train", "data", "--out", "run", "--steps", 1, *words)
    assert status == 2
    assert said in errors
    assert len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_model_that_has_changed_is_refused(source, tmp_path):
    start = StartingModel.of(source)
    train = RunConfig().updated(start.settings).train
    assert starting_model(train) == start
    trained(tmp_path / "other", tmp_path / "data", **{"train.seed": 1})
    (source / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(TrainingError, match="has changed since the run began with it"):
        starting_model(train)


class StopAfter:
    """A monitor that stops a run after some steps."""

    again = "again"

    def __init__(self, steps):
        self.left = steps

    def say(self, line):
        """Say nothing."""

    @contextmanager
    def watch(self, *, is_main_process):
        yield self._asked

    def _asked(self, share, text):
        self.left -= 1
        return "" if self.left else "that is enough"


@pytest.mark.parametrize("stopped_after", [1, 3])
def test_a_resumed_run_ends_with_the_bytes_of_one_that_was_not_stopped(source, tmp_path, stopped_after):
    options = {"report": False, "device": "cpu"}
    begin = {**options, "settings": {**FROM, "train.target": "classes"}, "init": source, "steps": 4}
    biounet.train(tmp_path / "data", tmp_path / "whole", **begin)
    with pytest.raises(StoppedError):
        biounet.train(tmp_path / "data", tmp_path / "run", monitor=StopAfter(stopped_after), **begin)
    biounet.train(tmp_path / "data", tmp_path / "run", resume=True, **options)
    whole, resumed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run"))
    assert whole == resumed


def test_old_images_are_learnt_from_beside_new_ones(command, source, tmp_path):
    old = dataset(tmp_path / "old", images=2)
    status, said, errors = begin(command, tmp_path / "data", tmp_path / "run", source, "--also", old)
    assert status == 0, errors
    assert "2 images of old are learnt from as well (--also), and none of them is held out" in said + errors
    assert [name for name in read_card(tmp_path / "run").training["trained_on"] if name.startswith("old/")] == [
        "old/0.tif",
        "old/1.tif",
    ]


def test_few_held_out_images_keep_the_rules_and_the_calibration_of_a_model(command, source, tmp_path):
    labels = [np.kron(np.arange(1, 10).reshape(3, 3), np.ones((8, 8))).astype(np.uint16) for _ in range(6)]
    for each in labels:
        each[::8], each[:, ::8] = 0, 0
    images = [(each > 0).astype(np.uint8) * 100 + number for number, each in enumerate(labels)]
    words = ["--device", "cpu", "--steps", 2, "--objects", *ASSIGNED]
    data = make_set(tmp_path / "objects", labels, images=images)
    assert command("train", data, "--out", tmp_path / "first", "--from", source, *words)[0] == 0
    net, card = load_network(tmp_path / "first" / "model.safetensors")
    fitted = {"smoothing": 3, "temperature": 0.7, "rules": ObjectRules(target=card.target, seed=0.61, least_seed=3)}
    known = tmp_path / "known.safetensors"
    save_network(known, net, card.model_copy(update=fitted))
    for name, share, kept in (("with-two", 0.3, True), ("with-three", 0.5, False)):
        held_out = ["--validation", share]
        status, said, errors = command("train", data, "--out", tmp_path / name, "--from", known, *words, *held_out)
        assert status == 0, errors
        told = "fewer than 3 images are held out: rules of objects and calibration of"
        assert (told in said + errors) == kept
        found = read_card(tmp_path / name)
        assert ((found.smoothing, found.temperature) == (3, 0.7)) == kept
        assert (found.rules == fitted["rules"]) == kept


@pytest.mark.parametrize(
    ("diameter", "images", "kept", "least"),
    [(20, 2, True, 40), (20, 3, False, 40), (60, 2, True, 160), (5, 1, True, 4), (None, 1, False, 40)],
)
def test_rules_stay_where_held_out_images_are_few_in_the_size_of_their_objects(source, diameter, images, kept, least):
    known = {"learnt": LearntImages(diameter=20, diameters=(15, 30)), "target": "distance"}
    rules = ObjectRules(target="distance", least_pixels=40)
    card = read_card(source).model_copy(update={**known, "rules": rules})
    start = replace(starting_model(TrainConfig(init=str(source))), card=card)
    found = LearntImages(diameter=diameter, diameters=diameter and (diameter, diameter))
    data = SimpleNamespace(target="distance", learnt=found, validation=[None] * images)
    assert keeps_fit(start, data) == kept
    assert first_rules(start, data) == rules.model_copy(update={"least_pixels": least})
    assert not keeps_fit(start, SimpleNamespace(**{**vars(data), "target": "border"}))
    assert not keeps_fit(None, data)


def test_a_model_that_training_makes_worse_is_kept(command, source, tmp_path):
    words = ["--set", "train.learning_rate=1", "--set", "train.ema=0", "--set", "train.finalise=false"]
    status, _, errors = begin(command, tmp_path / "data", tmp_path / "run", source, *words)
    assert status == 0, errors
    assert read_card(tmp_path / "run").training["step"] == 0
    before, after = (load_network(path / "model.safetensors")[0].state_dict() for path in (source, tmp_path / "run"))
    assert all(torch.equal(after[name], weights) for name, weights in before.items())
