"""The widget that trains says what is in view, and what is missing."""

import numpy as np
import pytest

from biounet.napari.model_choice import chosen_model
from biounet.napari.train import free_folder

pytestmark = pytest.mark.filterwarnings("ignore")  # napari and its libraries have warnings of their own


def test_the_widget_lists_what_is_in_view(viewer, dock, wait, noise, tmp_path):
    panel = dock("Train")
    assert panel.pairs.value.startswith("no labels over an image")
    viewer.add_image(noise(20, 24), name="cells")
    viewer.add_labels(np.zeros((20, 24), int), name="strokes")
    assert panel.pairs.value == "cells + strokes"
    panel.out.value = tmp_path / "run"
    panel.worker.run()
    wait(lambda: panel.worker.thread is None)
    assert panel.worker.line.value.startswith("labels over an image are wanted")
    viewer.layers["strokes"].visible = False
    assert panel.pairs.value.startswith("no labels over an image")


def test_the_next_run_begins_with_the_model_of_the_last(viewer, dock, tmp_path):
    panel = dock("Train")
    assert chosen_model(panel.init) == ""
    panel._finish(tmp_path / "run-1")
    assert chosen_model(panel.init) == str(tmp_path / "run-1" / "model.safetensors")


def test_a_run_has_a_folder_of_its_own(tmp_path):
    (tmp_path / "run-1").mkdir()
    assert free_folder(tmp_path) == tmp_path / "run-2"
