"""Workspaces: events, scores, files that are written when the hand rests, faults that are told. Nothing learns here."""

import queue
import time

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import DatasetError, ImageError, OutputError
from biounet.io import Image, read, write
from biounet.workspace import Edit, Workspace
from biounet.workspace import workspace as workspace_module
from biounet.workspace.predictions import Prediction, save_prediction
from small_projects import draw_spots, everything, rectangle

WHOLE = Box((0, 0), (96, 120))


@pytest.fixture
def workspace(tmp_path):
    with Workspace(draw_spots(tmp_path, images=2), learn=False) as opened:
        yield opened


def predict(workspace, labels, *, image=0, step=7, doubtful=()):
    box = Box((0, 0), labels.shape)
    foreground = (labels > 0).astype(np.uint8) * 255
    name = workspace.project.images[image].name
    found = Prediction(name, (0, 0), box, step, labels.astype(np.int32), foreground, 0.2, doubtful)
    workspace.predictions(workspace.image(image), (0, 0)).add(found)


def heard(listener, event, *, seconds=20.0):
    """Wait for an event."""
    end = time.monotonic() + seconds
    while True:
        found = listener.get(timeout=max(0.01, end - time.monotonic()))
        if found["event"] == event:
            return found


def test_everybody_hears_of_an_edit(workspace):
    first, second = workspace.listeners.listen(), workspace.listeners.listen()
    workspace.edit(0, rectangle(10, 10, 20, 30))
    assert heard(first, "labels") == heard(second, "labels")
    workspace.listeners.leave(second)
    workspace.undo(0, 1)
    assert heard(first, "labels")["undo"] is False
    with pytest.raises(queue.Empty):
        second.get_nowait()


def test_the_file_is_written_when_the_hand_rests(workspace):
    listener = workspace.listeners.listen()
    workspace.edit(1, rectangle(10, 10, 20, 30))
    assert heard(listener, "saved")["image"] == 1
    store = workspace.image(1).store
    assert (read(store.file.path, labels=True).array == everything(store)).all()


def test_a_prediction_is_scored_against_what_is_drawn_after_it(workspace):
    guess = np.zeros((96, 120), np.int32)
    guess[10:20, 10:20] = 1
    predict(workspace, guess)
    listener = workspace.listeners.listen()
    workspace.edit(0, rectangle(10, 10, 20, 30))  # half of it was predicted
    score = heard(listener, "score")
    assert (score["pixels"], score["right"], score["step"]) == (200, 0.5, 7)
    assert score["dice"] == round(2 / 3, 4)
    workspace.edit(0, Edit(kind="finish", version=1))
    whole = heard(listener, "score")
    assert whole["pixels"] == 96 * 120
    assert whole["right"] == round(1 - 100 / (96 * 120), 4)
    assert 0 <= whole["ap"] <= 1
    assert [row["kind"] for row in workspace.scores.rows()] == ["outline", "finish"]


def test_what_was_accepted_and_corrected_then_counts_as_wrong(workspace):
    guess = np.zeros((96, 120), np.int32)
    guess[10:20, 10:20], guess[50:60, 50:60] = 1, 2
    predict(workspace, guess)
    workspace.edit(0, Edit(kind="accept"))
    workspace.edit(0, Edit(kind="delete", points=((55, 55),), version=1))
    listener = workspace.listeners.listen()
    workspace.edit(0, Edit(kind="finish", version=2))
    score = heard(listener, "score")
    assert score["right"] == round(1 - 100 / (96 * 120), 4)
    assert score["ap"] == 0.5


def test_the_most_doubtful_region_comes_first_and_finished_ones_never(workspace):
    with pytest.raises(DatasetError, match="no doubtful region"):
        workspace.doubtful(0)
    here, there, most = Box((0, 0), (20, 20)), Box((30, 30), (50, 50)), Box((60, 60), (80, 80))
    labels = np.zeros((96, 120))
    predict(workspace, labels, doubtful=((here, 0.3), (there, 0.25)))
    predict(workspace, labels, image=1, doubtful=((most, 0.9),))
    assert workspace.doubtful(0)["image"] == 1  # three times as much doubt
    assert workspace.doubtful(0)["box"] == [0, 0, 20, 20]
    workspace.edit(0, Edit(kind="finish", box=(25, 25, 60, 60)))
    with pytest.raises(DatasetError):
        workspace.doubtful(0)


def test_what_is_looked_at_is_cut_to_the_image(workspace):
    assert workspace.look(0, (0, 0), Box((-50, 20), (5000, 5000))) == Box((0, 20), (96, 120))
    with pytest.raises(ImageError, match="no plane"):
        workspace.look(0, (1, 0), Box((0, 0), (5, 5)))
    with pytest.raises(ImageError, match="no image 2"):
        workspace.look(2, (0, 0), Box((0, 0), (5, 5)))


def test_a_label_file_of_another_program_is_told_and_shown(workspace):
    listener = workspace.listeners.listen()
    workspace.edit(0, rectangle(10, 10, 20, 30))
    heard(listener, "saved")
    theirs = np.full((96, 120), 5, np.uint8)
    write(workspace.image(0).store.file.path, Image(theirs, "YX"), overwrite=True)
    assert "another program" in heard(listener, "problem")["text"]
    assert (everything(workspace.image(0).store) == 5).all()


def test_a_label_file_that_was_removed_is_written_again(workspace):
    listener = workspace.listeners.listen()
    workspace.edit(0, rectangle(10, 10, 20, 30))
    heard(listener, "saved")
    workspace.image(0).store.file.path.unlink()
    workspace.edit(0, rectangle(30, 30, 40, 40, version=1))
    heard(listener, "saved")
    store = workspace.image(0).store
    assert (read(store.file.path, labels=True).array == everything(store)).all()


def test_an_image_that_has_gone_is_told_and_its_labels_stay(workspace):
    image = workspace.image(0)
    workspace.edit(0, rectangle(10, 10, 20, 30))
    image.planes.path.unlink()
    with pytest.raises(ImageError, match="is gone"):
        image.planes.read((0, 0), Box((0, 0), (5, 5)))
    workspace.edit(0, rectangle(30, 30, 40, 40, version=1))
    assert image.store.version == 2


def test_labels_and_tables_are_taken_away(workspace, tmp_path):
    import zipfile

    with pytest.raises(DatasetError, match="nothing is drawn"):
        workspace.take_away("labels")
    with pytest.raises(DatasetError, match="no model yet"):
        workspace.take_away("model")
    workspace.edit(0, rectangle(10, 10, 20, 30))
    with zipfile.ZipFile(workspace.take_away("labels")) as packed:
        assert packed.namelist() == ["labels/spots_0.tif"]
    with zipfile.ZipFile(workspace.take_away("tables")) as packed:
        heading, row = packed.read("objects.csv").decode().splitlines()
    assert dict(zip(heading.split(","), row.split(","), strict=True))["area_px"] == "200"


def test_two_processes_do_not_work_on_one_folder(workspace):
    with pytest.raises(OutputError, match=r"is being written by process \d+"):
        Workspace(workspace.project.folder, learn=False)
    workspace.close()
    Workspace(workspace.project.folder, learn=False).close()


def test_a_folder_that_has_gone_is_told_and_not_made_again(workspace):
    workspace.edit(0, rectangle(10, 10, 20, 30))
    folder = workspace.project.folder
    moved = folder.rename(folder.with_name(f"{folder.name}-moved"))
    try:
        for number, version in ((0, 1), (1, 0)):
            with pytest.raises(OutputError, match="is gone; put it back"):
                workspace.edit(number, rectangle(30, 30, 40, 40, version=version))
        assert not folder.exists()
    finally:
        moved.rename(folder)
    assert workspace.edit(0, rectangle(30, 30, 40, 40, version=1)).version == 2


def test_an_edit_counts_though_its_score_cannot_be_written(workspace):
    predict(workspace, np.zeros((96, 120), np.int32))
    workspace.scores.path.mkdir(parents=True)
    listener = workspace.listeners.listen()
    assert workspace.edit(0, rectangle(10, 10, 20, 30)).version == 1
    assert heard(listener, "labels")["version"] == 1
    assert "scores.csv could not be written" in heard(listener, "problem")["text"]


def test_predictions_of_which_there_are_too_many_are_forgotten(workspace, monkeypatch):
    monkeypatch.setattr(workspace_module, "PREDICTED", 6 * 96 * 120)  # those of one plane have 5 bytes per pixel
    for image in (0, 1):
        found = Prediction(
            f"spots_{image}", (0, 0), WHOLE, 1, np.zeros((96, 120), np.int32), np.zeros((96, 120), np.uint8), 0.1
        )
        save_prediction(workspace.project.place / "live" / "predictions" / "a.npz", found)
        workspace._hear({"event": "prediction", "file": "a.npz", **found.facts})
    known = [workspace.predictions(image, (0, 0)).nbytes for image in workspace.project.images]
    assert known == [0, 5 * 96 * 120]


def test_a_run_whose_process_has_ended_is_told(workspace):
    workspace._hear({"event": "run", "share": 0.4, "left": 3.0, "text": "step 40", "name": "run-1"})
    workspace._closed = True  # none is started
    listener = workspace.listeners.listen()
    workspace._hear({"event": "ended", "text": "out of memory"})
    assert "stopped (out of memory); it is started again" in heard(listener, "state")["text"]
    assert "out of memory" in heard(listener, "run")["failed"]
    assert workspace.describe()["run"]["share"] == 1
