"""Labels of an image: edits are on the disk at once, can be undone, conflict in words, and outlive a killed process."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biounet.core.boxes import Box
from biounet.core.errors import OutputError
from biounet.io import Image, read, write
from biounet.workspace import ConflictError, Edit, Project
from processes import process_of
from small_projects import draw_spots, everything, nothing, rectangle


def store_of(folder):
    return Project(folder).images[0].store


def test_an_edit_is_seen_by_another_process_that_follows(tmp_path):
    folder = draw_spots(tmp_path)
    ours, theirs = store_of(folder), store_of(folder)
    applied = ours.apply(rectangle(10, 10, 20, 30), nothing)
    assert (applied.version, applied.number, applied.tiles) == (1, 1, ((0, 0),))
    assert theirs.refresh()
    assert (everything(theirs) == everything(ours)).all()
    assert (everything(theirs)[10:20, 10:30] == 1).all()
    assert (everything(theirs) >= 0).sum() == 200


def test_edits_of_a_version_that_is_not_the_last_are_refused(tmp_path):
    store = store_of(draw_spots(tmp_path))
    store.apply(rectangle(10, 10, 20, 30), nothing)
    with pytest.raises(ConflictError, match="changed elsewhere"):
        store.apply(rectangle(30, 10, 40, 30), nothing)
    with pytest.raises(ConflictError):
        store.undo(0)
    assert store.version == 1


def test_an_edit_that_is_sent_again_is_not_made_twice(tmp_path):
    folder = draw_spots(tmp_path)
    store = store_of(folder)
    edit = rectangle(10, 10, 20, 30, id="of-a-page")
    first = store.apply(edit, nothing)
    again = store_of(folder)  # the answer was lost, the server started anew
    assert again.apply(edit, nothing).tiles == first.tiles
    assert again.version == 1
    with pytest.raises(ConflictError):
        again.apply(rectangle(10, 10, 20, 30, id="of-another"), nothing)


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["edit", "undo", "redo"]), min_size=1, max_size=14), st.integers(0, 2**16))
def test_undo_and_redo_walk_through_what_was_there(tmp_path_factory, steps, seed):
    folder = draw_spots(tmp_path_factory.mktemp("project"))
    store, rng = store_of(folder), np.random.default_rng(seed)
    past, future = [everything(store)], []
    for step in steps:
        if step == "edit":
            top, left = rng.integers(0, 80, 2)
            store.apply(rectangle(top, left, top + 9, left + 9, version=store.version, over=True), nothing)
            past, future = [*past, everything(store)], []
        elif step == "undo":
            assert (store.undo(store.version) is None) == (len(past) == 1)
            if len(past) > 1:
                future = [*future, past.pop()]
        else:
            assert (store.redo(store.version) is None) == (not future)
            if future:
                past = [*past, future.pop()]
        assert (everything(store) == past[-1]).all()
        assert store.can_undo == (len(past) > 1)
        assert store.can_redo == bool(future)
    again = store_of(folder)
    assert (everything(again) == past[-1]).all()
    assert again.version == store.version
    assert again.can_undo == store.can_undo


def test_finished_regions_come_back_with_undo(tmp_path):
    store = store_of(draw_spots(tmp_path))
    store.apply(Edit(kind="finish", box=(0, 0, 50, 120)), nothing)
    store.apply(Edit(kind="finish", version=1), nothing)
    assert store.finished == [(0, 0, 0, 0, 96, 120)]
    store.undo(2)
    assert store.finished == [(0, 0, 0, 0, 50, 120)]
    store.apply(Edit(kind="reopen", box=(10, 10, 20, 20), version=3), nothing)
    assert store.finished == []
    assert (everything(store)[:50] == 0).all()
    assert (everything(store)[50:] == -1).all()


def test_the_label_file_is_what_was_drawn_and_numbers_go_on_after_a_restart(tmp_path):
    folder = draw_spots(tmp_path)
    store = store_of(folder)
    for number in range(130):
        store.apply(rectangle(number % 90, 5, number % 90 + 2, 9, version=store.version, over=True), nothing)
    store.write_file()
    file = read(folder / "labels" / "spots_0.tif", labels=True)
    assert (file.axes, file.array.dtype) == ("YX", np.int16)
    assert (file.array == everything(store)).all()
    assert store_of(folder).apply(rectangle(50, 50, 60, 60, version=130), nothing).number == 131


def test_labels_that_were_there_are_shown_and_edited(tmp_path):
    folder = draw_spots(tmp_path)
    given_labels = np.zeros((96, 120), np.uint8)
    given_labels[5:9, 5:9] = 4
    write(folder / "labels" / "spots_0.tif", Image(given_labels, "YX"))
    store = store_of(folder)
    assert (everything(store) == given_labels).all()
    applied = store.apply(rectangle(20, 20, 30, 30), nothing)
    assert applied.number == 5
    store.write_file()
    assert read(store.file.path, labels=True).array[[6, 25], [6, 25]].tolist() == [4, 5]


@pytest.mark.parametrize("opened_anew", [True, False])
def test_a_file_that_another_program_wrote_is_taken_over_and_can_be_undone(tmp_path, opened_anew):
    folder = draw_spots(tmp_path)
    store = store_of(folder)
    store.apply(rectangle(10, 10, 20, 30), nothing)
    store.write_file()
    ours = everything(store)
    theirs = np.zeros((96, 120), np.uint8)
    theirs[40:50, 40:50] = 9
    write(store.file.path, Image(theirs, "YX"), overwrite=True)
    if opened_anew:
        store = store_of(folder)
    assert store.file_is_foreign
    assert [applied.kind for applied in store.adopt()] == ["adopt"]
    assert (everything(store) == theirs).all()
    assert not store.file_is_foreign
    store.undo(store.version)
    assert (everything(store) == ours).all()
    assert store.adopt() == []


def test_a_file_of_ours_from_before_a_crash_does_not_take_back_later_edits(tmp_path):
    folder = draw_spots(tmp_path)
    store = store_of(folder)
    store.apply(rectangle(10, 10, 20, 30), nothing)
    store.write_file()
    store.apply(rectangle(40, 10, 50, 30, version=1), nothing)
    again = store_of(folder)
    again.adopt()
    assert (everything(again) == everything(store)).all()


def test_what_was_predicted_before_is_kept_beside_what_is_drawn(tmp_path):
    store = store_of(draw_spots(tmp_path))

    def predicted(value):
        return lambda box: np.full(box.shape, value, np.int32)

    store.apply(rectangle(10, 10, 20, 30), predicted(3))
    store.apply(Edit(kind="paint", points=((15.5, 15.5),), label=0, radius=2, version=1), predicted(8))
    asked = store.plane((0, 0), layer="asked").read(Box((0, 0), (96, 120)))
    assert (asked[10:20, 10:30] == 3).all()
    assert (asked >= 0).sum() == 200


def test_a_full_disk_loses_no_edit_and_is_told(tmp_path, monkeypatch):
    store = store_of(draw_spots(tmp_path))
    store.apply(rectangle(10, 10, 20, 30), nothing)
    before = everything(store)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        store.apply(rectangle(40, 10, 50, 30, version=1), nothing)
    monkeypatch.undo()
    assert (everything(store) == before).all()
    assert store_of(tmp_path).version == 1
    store.apply(rectangle(60, 10, 70, 30, version=1), nothing)
    again = store_of(tmp_path)
    assert (everything(again) == everything(store)).all()
    assert again.version == 2


KILLED = """
import sys
from pathlib import Path
from small_projects import nothing, rectangle
from biounet.workspace import Project

store = Project(Path(sys.argv[1])).images[0].store
for number in range(100_000):
    store.apply(rectangle(number % 80, number % 100, number % 80 + 9, number % 100 + 9, version=number), nothing)
    print(store.version, flush=True)
    if number % 3 == 2:
        store.write_file()
"""


def test_what_was_drawn_outlives_kill_9(tmp_path):
    folder = draw_spots(tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", KILLED, str(folder)]
    with process_of(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        said = [int(process.stdout.readline()) for _ in range(20)]
        time.sleep(0.05)
        process.kill()
        rest = process.stdout.read().split("\n")
    said += [int(line) for line in rest if line]
    store = store_of(folder)
    assert store.version >= said[-1]
    expected = np.full((96, 120), -1)
    for number in range(store.version):
        top, left = number % 80, number % 100
        part = expected[top : top + 9, left : left + 9]
        part[part <= 0] = number + 1
    assert (everything(store) == expected).all()
    store.adopt()
    assert store.version <= said[-1] + 1
