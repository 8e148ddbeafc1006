"""The widget that predicts: layers come, progress is shown, the work stops, and what is missing is said."""

import numpy as np
import pytest

import biounet
from biounet.napari.layers import place_of
from biounet.napari.prediction import Predicted

pytestmark = pytest.mark.filterwarnings("ignore")  # napari and its libraries have warnings of their own


def test_a_layer_is_predicted_next_to_it(viewer, dock, wait, model, noise):
    image = noise(30, 40)
    viewer.add_image(image, name="cells", scale=(0.5, 0.5))
    panel = dock("Predict")
    panel.model.value, panel.keep.value = model, True
    panel.worker.run()
    assert panel.worker.stop.enabled
    assert not panel.worker.start.enabled
    wait(lambda: panel.worker.thread is None)
    assert [layer.name for layer in viewer.layers] == ["cells", "cells probabilities", "cells labels"]
    trained = biounet.load_model(model)
    np.testing.assert_array_equal(viewer.layers["cells labels"].data, trained.segment(image))
    # The thread of the window may split the soft-max at other pixels, of which single ones then round by 6e-8.
    np.testing.assert_allclose(viewer.layers["cells probabilities"].data, trained.predict(image)[1], atol=1.2e-7)
    np.testing.assert_array_equal(viewer.layers["cells labels"].scale, (0.5, 0.5))
    assert panel.worker.start.enabled
    assert panel.worker.bar.value == 1000


def test_a_shipped_model_is_chosen_by_its_name(viewer, dock, wait, noise):
    viewer.add_image(noise(40, 50), name="cells")
    panel = dock("Predict")
    panel.model.line_edit.value = "nuclei"
    panel.worker.run()
    wait(lambda: panel.worker.thread is None)
    assert "cells labels" in viewer.layers, panel.worker.line.value


def test_work_that_is_stopped_leaves_no_layer(viewer, dock, wait, model, noise):
    viewer.add_image(noise(50, 64, 64), name="cells")
    panel = dock("Predict")
    panel.model.value = model
    panel.worker.run()
    wait(lambda: panel.preview is not None)
    panel.worker.ask_to_stop()
    wait(lambda: panel.worker.thread is None)
    assert [layer.name for layer in viewer.layers] == ["cells"]
    assert panel.worker.line.value == "stopped"


def test_what_is_missing_is_said_in_the_widget(viewer, dock, wait, tmp_path, noise):
    panel = dock("Predict")
    panel.worker.run()
    assert panel.worker.line.value.startswith("an image is wanted: open one")
    viewer.add_image(noise(20, 24), name="cells")
    panel.worker.run()
    wait(lambda: panel.worker.thread is None)
    assert panel.worker.line.value.startswith("a model is wanted")
    panel.model.value = tmp_path / "nothing.safetensors"
    panel.worker.run()
    wait(lambda: panel.worker.thread is None)
    assert "nothing.safetensors" in panel.worker.line.value
    assert panel.worker.start.enabled


def test_a_picture_in_grey_tones_is_predicted_and_one_in_colours_is_refused_in_words(viewer, dock, wait, model):
    grey = np.repeat(np.random.default_rng(0).integers(0, 255, (20, 24, 1)).astype(np.uint8), 3, axis=2)
    viewer.add_image(grey, name="grey", rgb=True)
    panel = dock("Predict")
    panel.model.value = model
    panel.worker.run()
    wait(lambda: panel.worker.thread is None)
    expected = biounet.load_model(model).segment(grey[..., 0])
    np.testing.assert_array_equal(viewer.layers["grey labels"].data, expected)
    viewer.add_image(grey * np.uint8([1, 2, 3]), name="colours", rgb=True)
    panel.layer.value = viewer.layers["colours"]
    panel.worker.run()
    wait(lambda: panel.worker.thread is None)
    assert "1 channels are wanted, it has 3" in panel.worker.line.value


def test_a_preview_that_the_user_removed_is_not_missed(viewer, dock, noise):
    viewer.add_image(noise(20, 24), name="cells")
    panel = dock("Predict")
    shown = Predicted(noise(20, 24), place_of(viewer.layers["cells"], "YX"))
    panel._show(shown)
    viewer.layers.remove(panel.preview)
    panel._show(shown)
    panel._leave()
    assert [layer.name for layer in viewer.layers] == ["cells"]
