"""Runs of a project: their numbers, which of them came to their end, and what is said of one that was interrupted."""

import os

import pytest

from biounet.core.errors import DatasetError, OutputError
from biounet.workspace import Project
from biounet.workspace.take_away import last_model
from small_projects import draw_spots


@pytest.fixture
def project(tmp_path):
    return Project(draw_spots(tmp_path))


def make(project, name, *, model=True, **told):
    """Make the folder of a run, and tell of it."""
    folder = project.folder / name
    folder.mkdir()
    if model:
        (folder / "model.safetensors").touch()
    if told:
        project.runs.keep({"name": name, **told})
    return folder


def test_a_number_is_given_once(project):
    assert project.runs.next_folder().name == "run-1"
    for number in (2, 9, 10):  # she has removed the first
        make(project, f"run-{number}")
    make(project, "run-of-hers")
    assert project.runs.next_folder().name == "run-11"
    project.runs.keep({"name": "run-11", "share": 0.0})  # killed before its folder was made
    assert project.runs.next_folder().name == "run-12"


def test_the_last_model_is_that_of_the_last_run_that_came_to_its_end(project):
    with pytest.raises(DatasetError, match="no model yet"):
        last_model(project)
    make(project, "run-2")  # of a version that kept no records
    last = make(project, "run-10", share=1, finished=True)
    os.utime(last / "model.safetensors", (0, 0))  # the clock was set back
    make(project, "run-11", share=1, finished=False)
    make(project, "run-12", share=1, failed="nothing is labelled")
    make(project, "run-13", share=0.0)
    make(project, "run-14", model=False, share=1, finished=True)
    assert last_model(project) == last / "model.safetensors"


def test_what_became_of_the_last_run_is_known_after_a_restart(project):
    assert project.runs.last() is None
    project.runs.keep({"name": "run-2", "share": 0.0, "text": "images are read"})
    project.runs.keep({"name": "run-2", "share": 0.5, "text": "step 7"})
    assert project.runs.last()["failed"].startswith("biounet serve ended meanwhile")
    done = {"event": "run", "name": "run-10", "share": 1, "finished": True, "lines": ["the finished model finds all"]}
    project.runs.keep(done)
    assert project.runs.last() == done


@pytest.mark.parametrize("text", ["", "{", '{"share": "much", "name": "run-1"}', "[" * 10_000])
def test_a_damaged_record_is_refused_by_name(project, text):
    project.runs.keep({"name": "run-1", "share": 1})
    (project.place / "runs" / "run-1.json").write_text(text)
    with pytest.raises(OutputError, match=r"run-1\.json.*; move it away"):
        project.runs.last()
