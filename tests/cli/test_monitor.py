"""A run as a person follows it: what is said when, and what Ctrl-C does."""

import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from biounet.cli.monitor import follow, tell_new
from biounet.cli.train import run_training
from biounet.config import RunConfig
from biounet.core.errors import OutputError, TrainingError
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.normalize import Normalization
from biounet.data.training_set import TrainingSet
from biounet.models.model_file import read_card
from biounet.report.run_report import labelled_pixels
from biounet.training import loop as train
from biounet.training import run as runs
from biounet.training.distributed import make_fabric
from biounet.training.run import TrainingRun

TINY = {
    "model.width": 2,
    "model.depth": 1,
    "train.patch": 16,
    "train.steps": 4,
    "train.reports": 2,
    "train.precision": "float32",
    "train.target": "classes",
    "train.auto": [],
}


@pytest.fixture
def experiment(tmp_path):
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, (16, 16))
    items = [AnnotatedImage("a", rng.normal(size=(1, 16, 16)).astype(np.float32), target, target)]
    config = RunConfig.preset("default").updated(TINY)
    data = TrainingSet(items, items, "classes", ())
    return TrainingRun(config, data, Normalization(), tmp_path / "run", make_fabric("cpu", "float32"))


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_held_out_images_without_a_label_keep_the_last_network_and_that_is_said_once(experiment, capfd, norm):
    experiment.config = experiment.config.updated({"model.norm": norm})
    (item,) = experiment.data.train
    unknown = replace(item, labels=np.full((16, 16), -1), target=np.full((16, 16), -1))
    experiment.data = replace(experiment.data, validation=[unknown])
    assert follow(experiment, resume=False, tensorboard=False) == 0
    card = read_card(experiment.folder)
    assert (card.training["step"], card.temperature, card.threshold) == (4, 1.0, 0.5)
    said = capfd.readouterr().err.splitlines()
    notes = [number for number, line in enumerate(said) if "labelled" in line or "No pixel" in line]
    assert notes == [0]
    assert "no pixel of the held-out images is labelled" in said[0]
    assert "best score" not in (experiment.folder / "report.html").read_text()


def test_minutes_that_hold_few_steps_are_told_at_the_end(experiment, capfd):
    experiment.config = experiment.config.updated({"train.steps": None, "train.minutes": 1e-6})
    assert follow(experiment, resume=False, tensorboard=False) == 0
    *_, said = capfd.readouterr().err.splitlines()
    assert said.startswith("note: 1e-06 minutes hold 1 step only, and a network hardly learns from less than 100;")
    assert "1e-06 minutes hold 1 step only" in (experiment.folder / "report.html").read_text()


def test_a_loss_that_is_no_number_is_on_the_page(experiment, monkeypatch):
    update = train.train_step
    monkeypatch.setattr(train, "train_step", lambda *given, **options: update(*given, **options) * torch.nan)
    with pytest.raises(TrainingError, match="the loss is no number since step 0"):
        follow(experiment, resume=False, tensorboard=False)
    page = (experiment.folder / "report.html").read_text()
    assert "The training loss is no number at step 2" in page
    assert "After step 2: the loss is no number since step 0" in page
    assert "Go on with" not in page  # the same would come of it


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("a fault of ours"), "After step 3: ValueError: a fault of ours"),
        (OutputError("no room on this disk"), "After step 3: no room on this disk"),
        (KeyboardInterrupt(), "After step 3: Ctrl-C, twice, so that it ended at once"),
    ],
)
def test_the_page_of_a_run_that_fails_says_why_and_that_of_one_that_goes_on_does_not(
    experiment, monkeypatch, error, said
):
    page = experiment.folder / "report.html"
    update, pages = train.train_step, []

    def broken(state, *given, **options):
        pages.append(page.read_text() if page.exists() else "")
        if state.step == 3:
            raise error
        return update(state, *given, **options)

    monkeypatch.setattr(train, "train_step", broken)
    with pytest.raises(type(error)):
        follow(experiment, resume=False, tensorboard=False, again="the same --resume")
    assert pages[0] == ""
    assert ["No curves yet" in text for text in pages[1:]] == [True, False, False]
    assert all("state training" in text and "the same --resume" in text for text in pages[1:])
    assert said in page.read_text()
    assert "Go on with <code>the same --resume</code>" in page.read_text()
    monkeypatch.undo()
    assert follow(experiment, resume=True, tensorboard=False) == 0
    assert "state finished" in page.read_text()


def test_a_run_that_does_not_begin_leaves_the_page_of_another(experiment):
    experiment.folder.mkdir()
    (experiment.folder / "report.html").write_text("of another")
    with pytest.raises(OutputError, match="not empty"):
        follow(experiment, resume=False, tensorboard=False)
    assert (experiment.folder / "report.html").read_text() == "of another"


def test_the_page_tells_how_much_of_the_training_images_is_labelled(experiment):
    (item,) = experiment.data.train
    levels = np.full((16, 16), -1)
    levels[:4, :4] = np.arange(4)
    train = [replace(item, name="scribbled", labels=levels, target=levels)]
    experiment.data = replace(experiment.data, train=train, kind="objects", target="distance")
    assert labelled_pixels(experiment, 2)["scribbled"].tolist() == [240, 4, 12]


def test_a_finding_is_told_once_whatever_its_numbers(capfd):
    told = set()
    for findings in ({"loss": "from 1 to 4"}, {"loss": "from 1 to 5", "without border": "border is never"}, {}):
        told |= tell_new(findings, told)
    assert capfd.readouterr().err.splitlines() == ["note: from 1 to 4", "note: border is never"]


def test_a_network_that_calls_everything_background_is_told_when_it_does(experiment, capfd):
    (item,) = experiment.data.train
    ones = np.ones((16, 16), np.int64)
    experiment.data = replace(experiment.data, train=[replace(item, labels=ones - 1, target=ones - 1)])
    rare = np.eye(16, dtype=np.int64)
    experiment.data = replace(experiment.data, validation=[replace(item, labels=rare, target=rare)])
    vars(experiment)["validation"] = replace(experiment.validation, thresholds=[0.9999])  # no probability is above it
    follow(experiment, resume=False, tensorboard=False)
    said = capfd.readouterr().err
    assert said.count("note: Nothing but class 0 is ever predicted") == 1
    assert said.index("step     2") < said.index("Nothing but class 0") < said.index("step     4")


@pytest.fixture
def dataset(noise_dataset):
    return noise_dataset(images=2, side=16)


OPTIONS = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]


@pytest.mark.parametrize(
    ("number", "status", "reason", "notes"),
    [
        (signal.SIGINT, 130, "Ctrl-C", ["stopping after this step; Ctrl-C again to stop at once"]),
        (signal.SIGTERM, 143, "told to end (SIGTERM)", ["told to end (SIGTERM): stopping after this step"]),
    ],
)
def test_a_run_that_was_stopped_has_the_status_of_it_and_goes_on(
    command, dataset, tmp_path, monkeypatch, number, status, reason, notes
):
    update = train.train_step

    def interrupted(state, *given, **options):
        for _ in range(1 if number == signal.SIGINT else 2):  # `timeout` sends it twice
            if state.step == 2:
                signal.raise_signal(number)
        return update(state, *given, **options)

    monkeypatch.setattr(train, "train_step", interrupted)
    before = signal.getsignal(number)
    ended, _, said = command("train", dataset, "--out", tmp_path / "run", "--device", "cpu", *OPTIONS)
    assert ended == status, said
    assert signal.getsignal(number) is before
    again = f"biounet train {dataset} --out {tmp_path / 'run'} --resume --device cpu"
    page = tmp_path / "run" / "report.html"
    *_, note, line, last = said.splitlines()
    assert [note] == notes
    assert line.endswith(f"go on with: {again}")
    assert last == "biounet: stopped"
    assert (tmp_path / "run" / "last" / "step-00000003.safetensors").exists()
    assert f"After step 3: {reason}. The state is written." in page.read_text()
    assert f"Go on with <code>{again}</code>" in page.read_text()
    monkeypatch.undo()
    ended, _, said = command("train", dataset, "--out", tmp_path / "run", "--device", "cpu", "--resume")
    assert ended == 0, said
    assert "Stopped" not in page.read_text()


def test_a_run_that_is_told_to_end_before_its_first_step_ends_at_once(command, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("biounet.cli.train.announce", lambda data: signal.raise_signal(signal.SIGTERM))
    status, _, said = command("train", dataset, "--out", tmp_path / "run", "--device", "cpu", *OPTIONS)
    assert (status, said) == (143, "biounet: stopped\n")
    assert not (tmp_path / "run").exists()


def test_where_nothing_was_begun_there_is_nothing_to_resume(command, dataset, tmp_path):
    status, _, said = command("train", dataset, "--out", tmp_path / "run", "--resume")
    assert (status, said) == (2, f"biounet: {tmp_path / 'run'} holds no run to resume; train without --resume\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_a_run_while_the_model_is_settled_lets_it_finish(dataset, tmp_path, monkeypatch, capfd, number):
    finalise = runs.finalise

    def interrupted(*given, **options):
        signal.raise_signal(number)
        return finalise(*given, **options)

    monkeypatch.setattr(runs, "finalise", interrupted)
    settings = RunConfig.preset("default").updated({**TINY, "train.validation": 0.5})
    run_training(dataset, tmp_path / "run", settings, device="cpu")
    said = capfd.readouterr().err
    assert "finishing: all steps are made" in said
    assert "done: " in said
