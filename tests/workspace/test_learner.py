"""Learning while labels are drawn: what teaches, what does not, what is predicted, and what outlives a restart."""

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

import biounet
from biounet.core.boxes import Box
from biounet.core.errors import ModelFileError
from biounet.models.model_file import read_card
from biounet.segmentation import segment_objects
from biounet.workspace import Edit, Project, Workspace
from biounet.workspace import learner as learner_module
from biounet.workspace.examples import Examples, labelled_boxes
from biounet.workspace.finish import FollowedRun, finish_run
from biounet.workspace.learner import Learner
from processes import process_of
from small_projects import draw_spots, nothing, rectangle

TINY = {"model.width": 2, "model.depth": 1, "train.patch": 32, "train.batch": 1, "train.precision": "float32"}
WHOLE = Box((0, 0), (96, 120))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(learner_module, "LIVE", {**learner_module.LIVE, **TINY})


def draw(project, *, image=0, background=True):
    store = project.images[image].store
    store.apply(rectangle(10, 10, 24, 30, version=store.version), nothing)
    if background:
        store.apply(Edit(kind="paint", label=0, points=((60, 60),), radius=9, version=store.version), nothing)


def test_nothing_is_learnt_before_there_are_objects_and_background(tmp_path):
    project = Project(draw_spots(tmp_path))
    learner = Learner(project)
    assert not learner.follow()
    assert "paint an object" in learner.missing()
    draw(project, background=False)
    assert learner.follow()
    assert "paint some background" in learner.missing()
    assert learner.state is None
    draw(project)
    assert learner.follow()
    assert (learner.missing(), learner.follow()) == ("", False)


def test_only_what_is_drawn_teaches(tmp_path):
    project = Project(draw_spots(tmp_path))
    draw(project)
    learner = Learner(project)
    learner.follow()
    batch = next(learner._batches)
    assert batch.labels.min() == -1
    assert (batch.labels >= 0).any()
    before = {name: value.clone() for name, value in learner.state.net.state_dict().items()}
    learner.step()
    assert any((value != before[name]).any() for name, value in learner.state.net.state_dict().items())


def test_a_region_is_predicted_as_the_whole_image_is(tmp_path):
    project = Project(draw_spots(tmp_path))
    draw(project)
    learner = Learner(project)
    learner.follow()
    for _ in range(3):
        learner.step()
    image = project.images[0]
    whole = learner.predict(image, (0, 0), WHOLE)
    part = learner.predict(image, (0, 0), Box((20, 32), (70, 100)))
    assert np.abs(part.foreground.astype(int) - whole.foreground[20:70, 32:100]).max() <= 1
    assert whole.step == 3
    assert 0 < whole.doubt <= 1
    for box, _ in part.doubtful:
        assert box.start >= (20, 32)
        assert box.stop <= (70, 100)


def test_objects_are_outlined_before_the_network_is_sure_of_their_middle(tmp_path):
    project = Project(draw_spots(tmp_path))
    draw(project)
    learner = Learner(project)
    learner.follow()
    unsure = np.zeros((9, 40, 40), np.float32)
    unsure[0] = 1
    unsure[:, 5:35, 5:35] = np.array([0, *[1 / 8] * 8])[:, None, None]  # inside, at any of the levels
    assert segment_objects(unsure, learner.card.rules).max() == 1


def test_what_is_much_larger_than_all_that_is_drawn_is_no_object(tmp_path, monkeypatch):
    project = Project(draw_spots(tmp_path))
    draw(project)
    learner = Learner(project)
    learner.follow()
    sure = np.zeros((9, *WHOLE.shape), np.float32)
    sure[0] = 1
    for inside in (np.s_[:, 2:10, 2:10], np.s_[:, 14:, 14:]):  # 64 px, and 8,692; 280 are drawn
        sure[inside] = np.array([0] * 8 + [1])[:, None, None]
    monkeypatch.setattr(learner_module, "predict_array", lambda net, pixels, **_: sure)
    monkeypatch.setattr(learner_module, "geometry_of", lambda model: SimpleNamespace(margin=(0, 0)))
    found = learner.predict(project.images[0], (0, 0), WHOLE).labels
    assert (found > 0).sum() == 64
    assert (found[2:10, 2:10] > 0).all()


def test_labels_that_come_later_are_taken_in_and_those_that_stay_are_not_read_again(tmp_path):
    project = Project(draw_spots(tmp_path, images=2))
    draw(project)
    learner = Learner(project)
    learner.follow()
    (first,) = learner._data.train
    draw(project, image=1)
    assert learner.follow()
    assert learner._data.train[0] is first
    assert len(learner._data.train) == 2


def test_a_restarted_learner_goes_on_where_it_was(tmp_path):
    project = Project(draw_spots(tmp_path))
    draw(project)
    learner = Learner(project)
    learner.follow()
    for _ in range(3):
        learner.step()
    learner.save()
    again = Learner(Project(project.folder))
    again.follow()
    assert again.steps == 3
    for name, value in learner.state.net.state_dict().items():
        assert (again.state.net.state_dict()[name] == value).all()
    assert read_card(learner.model_path).target == "distance"


def test_it_begins_with_a_model_and_refuses_one_of_other_labels(tmp_path):
    project = Project(draw_spots(tmp_path / "one"))
    draw(project)
    learner = Learner(project)
    learner.follow()
    learner.step()
    learner.save()
    other = Project(draw_spots(tmp_path / "two"))
    draw(other)
    begun = Learner(other, learner.model_path)
    begun.follow()
    assert begun.steps == 0
    for name, value in learner.state.average.state_dict().items():
        assert (begun.state.net.state_dict()[name] == value).all()
    classes = Project(draw_spots(tmp_path / "three"))
    classes.change({"kind": "classes"})
    draw(classes)
    with pytest.raises(ModelFileError, match="was trained for objects"):
        Learner(classes, learner.model_path).follow()


def test_a_model_predicts_before_anything_is_drawn(tmp_path):
    project = Project(draw_spots(tmp_path))
    learner = Learner(project, "nuclei")
    assert not learner.follow()
    assert learner.predicts
    image = project.images[0]
    found = learner.predict(image, (0, 0), WHOLE)
    model = biounet.load_model("nuclei")
    pixels = image.planes.read((0, 0), WHOLE)
    assert np.mean((found.labels > 0) == (model.segment(pixels[0]) > 0)) > 0.99
    assert found.step == 0
    draw(project)
    learner.follow()
    assert learner.config.model.width == 16  # of the model, not of these settings
    weights = {name: value.clone() for name, value in learner.state.net.state_dict().items()}
    learner.step()
    assert any((value != weights[name]).any() for name, value in learner.state.net.state_dict().items())
    assert learner.card.rules == model.card.rules
    assert learner.predict(image, (0, 0), WHOLE).step == 1


def test_a_model_for_labels_of_another_kind_predicts_nothing(tmp_path):
    project = Project(draw_spots(tmp_path))
    project.change({"kind": "classes"})
    assert not Learner(project, "nuclei").predicts


def test_classes_that_are_named_but_not_drawn_yet_have_a_place(tmp_path):
    project = Project(draw_spots(tmp_path))
    project.change({"kind": "classes", "classes": ("background", "nerve", "vessel")})
    draw(project)
    learner = Learner(project)
    learner.follow()
    assert learner.config.model.classes == 3
    learner.step()
    assert set(np.unique(learner.predict(project.images[0], (0, 0), WHOLE).labels)) <= {0, 1, 2}


def test_of_a_large_plane_only_the_parts_with_labels_are_taken(tmp_path):
    project = Project(draw_spots(tmp_path, size=(1600, 1500)))
    image = project.images[0]
    image.store.apply(rectangle(300, 300, 310, 310), nothing)
    image.store.apply(rectangle(1500, 1400, 1510, 1410, version=1), nothing)
    boxes = labelled_boxes(image, (0, 0))
    assert boxes == [Box((192, 192), (576, 576)), Box((1216, 1216), (1600, 1500))]
    learner = Learner(project)
    examples = Examples(project, learner._examples.normalization, "distance").collect()
    assert [example.labels.max() for example in examples] == [1, 2]


def test_images_are_held_out_whole_as_far_as_there_are_others(tmp_path):
    project = Project(draw_spots(tmp_path, images=4))
    for number in range(3):
        draw(project, image=number)
    data = Learner(project)._examples.training_set(held_out=1 / 6)
    names = [[each.name for each in part] for part in (data.train, data.validation)]
    assert names == [["spots_0", "spots_2"], ["spots_1"]]


def test_a_finished_run_is_an_ordinary_one(tmp_path, monkeypatch):
    project = Project(draw_spots(tmp_path))
    draw(project)
    project.images[0].store.apply(Edit(kind="finish", version=2), nothing)
    told = []
    monitor = FollowedRun(lambda share, left, text: told.append((share, left, text)), lambda: "")
    monkeypatch.setattr("biounet.workspace.finish.resolve_settings", lambda changes, minutes, start: short(changes))
    assert finish_run(project, project.runs.next_folder(), monitor, minutes=1)
    assert {path.name for path in (project.folder / "run-1").iterdir()} >= {
        "model.safetensors",
        "report.html",
        "log.csv",
    }
    card = read_card(project.folder / "run-1")
    assert card.rules is not None
    assert card.training["validated_on"] == ["spots_0"]
    assert project.runs.next_folder().name == "run-2"
    assert any("rows are held out" in line for line in monitor.lines)
    assert told


def short(changes):
    from biounet.config import RunConfig

    return RunConfig.preset("default").updated({**TINY, **changes, "train.steps": 3, "train.reports": 1})


def said_when_shown(folder, *model, count):
    """The first messages of a process that learns in a folder and is told to look at its first image."""
    words = [sys.executable, "-m", "biounet.workspace.trainer", str(folder), *model]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with process_of(words, **pipes) as process:
        process.stdin.write(json.dumps({"look": {"image": "spots_0", "plane": [0, 0], "box": [0, 0, 96, 120]}}) + "\n")
        process.stdin.flush()
        said = [json.loads(process.stdout.readline()) for _ in range(count)]
        process.stdin.close()
        process.wait(30)
    return said


def test_the_process_shows_what_a_model_finds_before_anything_is_drawn(tmp_path):
    ready, state, prediction = said_when_shown(draw_spots(tmp_path), "nuclei", count=3)
    assert ready["event"] == "ready"
    assert state["state"] == "showing"
    assert state["text"].startswith("This is what nuclei finds. To teach it, paint an object")
    assert (prediction["event"], prediction["image"], prediction["step"]) == ("prediction", "spots_0", 0)


def test_the_process_follows_orders_and_ends_with_its_owner(tmp_path):
    project = Project(draw_spots(tmp_path))
    draw(project)
    said = said_when_shown(project.folder, count=2)
    assert said == [{"event": "ready"}, {"event": "state", "state": "learning", "text": ""}]
    assert (project.place / "live" / "model.safetensors").exists()


def test_a_process_that_was_killed_is_started_anew(tmp_path):
    with Workspace(draw_spots(tmp_path)) as workspace:
        events = workspace.listeners.listen()
        workspace._trainer._process.kill()
        while "is started again" not in (said := events.get(timeout=30)).get("text", ""):
            pass
        assert (said["event"], said["state"]) == ("state", "ended")
        while events.get(timeout=60)["event"] != "ready":
            pass
        end = time.monotonic() + 10
        while not workspace._trainer.alive and time.monotonic() < end:
            time.sleep(0.05)
        assert workspace._trainer.alive
