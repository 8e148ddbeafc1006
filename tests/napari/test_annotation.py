"""Labels find their image, and what is painted becomes a dataset that training can read."""

import numpy as np
import pytest

from biounet.core.errors import DatasetError
from biounet.data import find_dataset
from biounet.io import read
from biounet.napari.annotation import Annotated, annotated_in_view, write_dataset
from biounet.napari.layers import PROBABILITIES
from layers_of_tests import layer

SQUARE = np.zeros((20, 24), np.int64)


def names(layers):
    return [str(pair) for pair in annotated_in_view(layers, lambda one: one.data.dtype.kind == "i")]


def test_labels_belong_to_the_visible_image_of_their_size_that_lies_next_below():
    first, second = layer(np.zeros((20, 24)), name="first"), layer(np.zeros((20, 24)), name="second")
    labels, other = layer(SQUARE, name="labels"), layer(np.zeros((9, 9)), name="other")
    assert names([first, second, other, labels]) == ["second + labels"]
    assert names([labels, second, first]) == ["second + labels"]
    assert names([other, labels]) == []
    second.visible = False
    assert names([first, second, labels]) == ["first + labels"]
    labels.visible = False
    assert names([first, labels]) == []


def test_probabilities_are_not_learnt_from():
    image, shown = layer(np.zeros((20, 24)), name="image"), layer(np.zeros((20, 24)), metadata=PROBABILITIES)
    assert names([image, shown, layer(SQUARE, name="labels")]) == ["image + labels"]


def test_channels_and_colours_need_no_labels_of_their_own():
    labels = layer(SQUARE, name="labels")
    assert names([layer(np.zeros((20, 24, 3)), rgb=True), labels]) == ["cells + labels"]
    assert names([layer(np.zeros((2, 20, 24))), labels]) == ["cells + labels"]
    assert names([layer(np.zeros((9, 20, 24))), labels]) == []


def test_only_sections_with_labels_are_written(tmp_path, noise):
    image, labels = noise(4, 20, 24), np.zeros((4, 20, 24), np.int64)
    labels[2, 3:9, 3:9] = 5
    assert write_dataset([Annotated(layer(image), layer(labels))], tmp_path, volumes=False, unpainted="background") == 1
    written = read(tmp_path / "images" / "0000.tif")
    assert written.axes == "YX"
    np.testing.assert_array_equal(written.array, image[2])
    np.testing.assert_array_equal(read(tmp_path / "labels" / "0000.tif", labels=True).array, labels[2])
    assert len(find_dataset(tmp_path).pairs) == 1


def test_where_unpainted_is_unknown_label_1_is_background(tmp_path, noise):
    labels = SQUARE.copy()
    labels[:5], labels[5:9] = 1, 2
    write_dataset([Annotated(layer(noise(20, 24)), layer(labels))], tmp_path, volumes=False, unpainted="unknown")
    np.testing.assert_array_equal(read(tmp_path / "labels" / "0000.tif", labels=True).array, labels - 1)


def test_a_volume_keeps_its_channels(tmp_path, noise):
    image, labels = noise(2, 4, 20, 24), np.ones((4, 20, 24), np.int64)
    write_dataset([Annotated(layer(image), layer(labels))], tmp_path, volumes=True, unpainted="background")
    written = read(tmp_path / "images" / "0000.tif")
    assert written.axes == "CZYX"
    np.testing.assert_array_equal(written.array, image)


def test_labels_without_a_stroke_are_refused(tmp_path, noise):
    with pytest.raises(DatasetError, match="labels over an image are wanted"):
        write_dataset([Annotated(layer(noise(20, 24)), layer(SQUARE))], tmp_path, volumes=False, unpainted="background")
