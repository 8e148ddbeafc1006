"""A run that somebody follows: what is said when, what its page says, and what stops it."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from biounet.config import RunConfig
from biounet.core.errors import OutputError, TrainingError
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.normalize import Normalization
from biounet.data.training_set import TrainingSet
from biounet.models.model_file import read_card
from biounet.report.run_report import RunReport, labelled_pixels
from biounet.training import loop as train
from biounet.training.announcements import Loud
from biounet.training.distributed import make_fabric
from biounet.training.monitor import PrintingMonitor, tell_new
from biounet.training.monitor import follow as follow_run
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


@pytest.fixture
def said():
    """Lines that the run says."""
    return []


@pytest.fixture
def follow(said):
    """Follow a run with a page; return why it was stopped."""

    def call(run, *, resume=False, again="", **options):
        return follow_run(run, PrintingMonitor(again, said.append), resume=resume, write_report=RunReport(), **options)

    return call


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_held_out_images_without_a_label_keep_the_last_network_and_that_is_said_once(experiment, follow, said, norm):
    experiment.config = experiment.config.updated({"model.norm": norm})
    (item,) = experiment.data.train
    unknown = replace(item, labels=np.full((16, 16), -1), target=np.full((16, 16), -1))
    experiment.data = replace(experiment.data, validation=[unknown])
    assert follow(experiment) == ""
    card = read_card(experiment.folder)
    assert (card.training["step"], card.temperature, card.threshold) == (4, 1.0, 0.5)
    notes = [number for number, line in enumerate(said) if "labelled" in line or "No pixel" in line]
    assert notes == [0]
    assert "no pixel of the held-out images is labelled" in said[0]
    page = (experiment.folder / "report.html").read_text()
    assert "best score" not in page
    assert "No pixel is labelled on 1 image never trained on" in page


def test_minutes_that_hold_few_steps_are_told_at_the_end(experiment, follow, said):
    experiment.config = experiment.config.updated({"train.steps": None, "train.minutes": 1e-6})
    assert follow(experiment) == ""
    warning = "--minutes 1e-06 is time for 1 step, and a network hardly learns from less than 100"
    assert said[-1].startswith(f"note: {warning}")
    assert warning in (experiment.folder / "report.html").read_text()


def test_a_loss_that_is_no_number_is_on_the_page(experiment, follow, monkeypatch):
    update = train.train_step
    monkeypatch.setattr(train, "train_step", lambda *given, **options: update(*given, **options) * torch.nan)
    with pytest.raises(TrainingError, match="the loss is no number since step 0"):
        follow(experiment)
    page = (experiment.folder / "report.html").read_text()
    assert "The training loss is no number at step 2" in page
    assert "After step 2: the loss is no number since step 0" in page
    assert "Go on with" not in page  # the same would come of it


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError("a fault of ours"), "After step 3: ValueError: a fault of ours"),
        (OutputError("no room on this disk"), "After step 3: no room on this disk"),
        (KeyboardInterrupt(), "After step 3: Ctrl-C ended it at once"),
    ],
)
def test_the_page_of_a_run_that_fails_says_why_and_that_of_one_that_goes_on_does_not(
    experiment, follow, monkeypatch, error, why
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
        follow(experiment, again="the same --resume")
    assert pages[0] == ""
    assert ["No curves yet" in text for text in pages[1:]] == [True, False, False]
    assert all("state training" in text and "the same --resume" in text for text in pages[1:])
    assert why in page.read_text()
    assert "Go on with <code>the same --resume</code>" in page.read_text()
    monkeypatch.undo()
    assert follow(experiment, resume=True) == ""
    assert "state training" not in page.read_text()
    assert "Stopped on" not in page.read_text()


def test_a_run_that_does_not_begin_leaves_the_page_of_another(experiment, follow):
    experiment.folder.mkdir()
    (experiment.folder / "report.html").write_text("of another")
    with pytest.raises(OutputError, match="not empty"):
        follow(experiment)
    assert (experiment.folder / "report.html").read_text() == "of another"


def test_the_page_tells_how_much_of_the_training_images_is_labelled(experiment):
    (item,) = experiment.data.train
    levels = np.full((16, 16), -1)
    levels[:4, :4] = np.arange(4)
    train = [replace(item, name="scribbled", labels=levels, target=levels)]
    experiment.data = replace(experiment.data, train=train, kind="objects", target="distance")
    assert labelled_pixels(experiment, 2)["scribbled"].tolist() == [240, 4, 12]


def test_a_finding_is_told_once_whatever_its_numbers(said):
    told = set()
    for findings in ({"loss": "from 1 to 4"}, {"loss": "from 1 to 5", "without border": "border is never"}, {}):
        told |= tell_new(findings, told, said.append)
    assert said == ["note: from 1 to 4", "note: border is never"]


def test_a_finished_model_that_finds_nothing_is_told_aloud_with_commands(experiment, follow, said):
    (item,) = experiment.data.train
    images = TrainingSet([item], [item], "objects", (), "foreground")
    experiment.config = experiment.config.updated({"train.target": "auto", "train.steps": 1, "train.reports": 1})
    scattered = np.zeros((16, 16), np.int64)
    scattered[::2, ::2] = 1  # no connected object has half of it
    experiment.data = replace(images, validation=[replace(item, labels=scattered)])
    follow(experiment, again="biounet train 'my data' --out run --resume")
    loud = [line for line in said if isinstance(line, Loud)]
    assert len(loud) == 1
    assert loud[0].startswith("Nothing found: 0 of 1 object found on 1 image never trained on")
    assert "biounet check 'my data'" in loud[0]
    assert "Nothing found" in (experiment.folder / "report.html").read_text()


def test_the_work_after_the_last_step_is_shown_with_its_progress(experiment, said):
    shown = []

    class Window(PrintingMonitor):
        @contextmanager
        def watch(self, *, is_main_process):
            yield lambda share, text: shown.append((share, text)) or ""

    follow_run(experiment, Window("", said.append))
    after = shown[shown.index(next(each for each in shown if each[0] == 1)) + 1 :]
    shares = [share for share, _ in after]
    assert shares == sorted(shares)
    assert [text for _, text in after][-1] == "drawing the report"
    assert {"predicting the held-out images", "calibrating probabilities"} <= {text for _, text in after}


def test_a_network_that_calls_everything_background_is_told_when_it_does(experiment, follow, said):
    (item,) = experiment.data.train
    ones = np.ones((16, 16), np.int64)
    experiment.data = replace(experiment.data, train=[replace(item, labels=ones - 1, target=ones - 1)])
    rare = np.eye(16, dtype=np.int64)
    experiment.data = replace(experiment.data, validation=[replace(item, labels=rare, target=rare)])
    vars(experiment)["validation"] = replace(experiment.validation, thresholds=[0.9999])  # no probability is above it
    follow(experiment)
    text = "\n".join(said)
    assert text.count(" is ever predicted") == 1
    assert text.index("note: Nothing but ") > text.index("step 2"), (
        "in the first half of a run it would be a false alarm"
    )


def test_a_monitor_that_asks_for_it_stops_the_run_between_two_steps(experiment, said):
    shown = []

    class Window(PrintingMonitor):
        @contextmanager
        def watch(self, *, is_main_process):
            assert is_main_process
            yield lambda share, text: shown.append((share, text)) or "the window was closed" * (share > 0.5)

    assert (
        follow_run(experiment, Window("the button", said.append), write_report=RunReport()) == "the window was closed"
    )
    assert [share for share, _ in shown] == [0.25, 0.5, 0.75]
    assert shown[-1][1].startswith("step 3 loss ")
    assert (experiment.folder / "last" / "step-00000003.safetensors").exists()
    page = (experiment.folder / "report.html").read_text()
    assert "After step 3: the window was closed. The state is written." in page
    assert "Go on with <code>the button</code>" in page


def test_without_a_report_there_is_no_page(experiment, said):
    assert follow_run(experiment, PrintingMonitor("", said.append)) == ""
    assert not (experiment.folder / "report.html").exists()
    assert [line.split(":")[0].split(", ")[1] for line in said if line.startswith("after ")] == ["step 2", "step 4"]
