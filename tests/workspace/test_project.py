"""Projects: which images and labels a folder has, and what labels mean."""

import numpy as np
import pytest

from biounet.core.errors import ConfigError, DatasetError, ShapeError
from biounet.data import find_dataset
from biounet.io import Image, write
from biounet.workspace import Project
from small_projects import draw_spots, everything, nothing, rectangle


def test_images_may_lie_in_the_folder_itself(tmp_path):
    draw_spots(tmp_path, images=2)
    assert [image.name for image in Project(tmp_path / "images").images] == ["spots_0", "spots_1"]
    assert Project(tmp_path).labels_folder == tmp_path / "labels"


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="has no images"):
        Project(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        Project(tmp_path / "nowhere")


def test_training_reads_the_labels(tmp_path):
    folder = draw_spots(tmp_path, images=2)
    for image in Project(folder).images:
        for left in (5, 25, 45):
            image.store.apply(rectangle(10, left, 20, left + 9, version=image.store.version), nothing)
        image.store.write_file()
    dataset = find_dataset(folder)
    assert [pair.kind for pair in dataset.pairs] == ["objects", "objects"]
    _, labels = dataset.load(dataset.pairs[0])
    assert np.unique(labels).tolist() == [-1, 1, 2, 3]


@pytest.mark.parametrize(
    ("axes", "leading", "plane"), [("ZYX", (3,), (0, 2)), ("TYX", (4,), (3, 0)), ("TZYX", (2, 3), (1, 2))]
)
def test_stacks_and_series_are_labelled_plane_by_plane(tmp_path, axes, leading, plane):
    folder = draw_spots(tmp_path, axes=axes, leading=leading)
    store = Project(folder).images[0].store
    store.apply(rectangle(10, 10, 20, 30, plane=plane), nothing)
    store.write_file()
    again = Project(folder).images[0].store
    assert again.file.axes == axes
    for each in again.file.planes:
        assert (everything(again, each) == 1).any() == (each == plane)
        assert (again.file.read(each, box_of(again)) == everything(store, each)).all()


def box_of(store):
    from biounet.core.boxes import Box

    return Box((0, 0), store.file.size)


def test_labels_of_a_format_without_unknown_pixels_move_aside(tmp_path):
    folder = draw_spots(tmp_path)
    write(folder / "masks" / "spots_0.png", Image(np.full((96, 120), 3, np.uint8), "YX"))
    project = Project(folder)
    image = project.images[0]
    assert (everything(image.store) == 3).all()
    image.store.apply(rectangle(10, 10, 20, 30, over=True), nothing)
    project.keep_original(image)
    image.store.write_file()
    assert sorted(path.name for path in (folder / "masks").iterdir()) == ["spots_0.tif"]
    assert (project.place / "originals" / "spots_0.png").exists()
    assert (everything(Project(folder).images[0].store) == everything(image.store)).all()


def test_labels_of_another_size_are_refused(tmp_path):
    folder = draw_spots(tmp_path)
    write(folder / "labels" / "spots_0.tif", Image(np.zeros((9, 9), np.uint8), "YX"))
    with pytest.raises(ShapeError, match="9 x 9 pixels, its image has 96 x 120"):
        everything(Project(folder).images[0].store)


def test_meaning_of_labels_is_told_by_files_and_kept(tmp_path):
    folder = draw_spots(tmp_path)
    rows = np.repeat(np.arange(96) // 48, 120).reshape(96, 120).astype(np.uint8)
    write(folder / "labels" / "spots_0.tif", Image(rows, "YX"))
    project = Project(folder)
    assert project.settings.kind == "classes"
    with pytest.raises(ConfigError, match="are classes"):
        project.change({"kind": "objects"})
    project.change({"classes": ("background", "left", "right")})
    assert Project(folder).settings.classes == ("background", "left", "right")


@pytest.mark.parametrize("change", [{"kind": "cells"}, {"classes": ("one",)}, {"colour": 3}])
def test_settings_that_make_no_sense_are_refused(tmp_path, change):
    with pytest.raises(ConfigError):
        Project(draw_spots(tmp_path)).change(change)


def test_a_few_objects_stay_objects_after_a_restart(tmp_path):
    folder = draw_spots(tmp_path)
    project = Project(folder)
    project.keep_settings()
    project.images[0].store.apply(rectangle(10, 10, 20, 30), nothing)
    project.images[0].store.write_file()
    assert Project(folder).numbered


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": 3}', '{"colour": "red"}', '{"classes": ' + "[" * 10_000])
def test_settings_that_are_damaged_are_refused_by_name(tmp_path, text):
    folder = draw_spots(tmp_path, images=1)
    (folder / ".biounet").mkdir()
    (folder / ".biounet" / "project.json").write_text(text)
    with pytest.raises(ConfigError, match=r"project\.json.*; move it away"):
        Project(folder)
