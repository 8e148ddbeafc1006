"""From probabilities to labels, by hand."""

import numpy as np
import pytest

from biounet.core.components import label_objects
from biounet.core.errors import ShapeError
from biounet.segmentation import segment


def two(foreground):
    foreground = np.asarray(foreground, np.float32)
    return np.stack([1 - foreground, foreground])


def test_two_classes_are_told_apart_by_the_threshold():
    probabilities = two([[0.2, 0.5, 0.6, 0.9]])
    assert segment(probabilities, target="classes").tolist() == [[0, 0, 1, 1]]
    assert segment(probabilities, target="classes", threshold=0.7).tolist() == [[0, 0, 0, 1]]


def test_of_more_classes_the_most_probable_wins():
    probabilities = np.array([[[0.5, 0.2, 0.1]], [[0.3, 0.5, 0.3]], [[0.2, 0.3, 0.6]]], np.float32)
    assert segment(probabilities, target="classes").tolist() == [[0, 1, 2]]
    assert segment(probabilities, target="foreground").tolist() == [[0, 1, 1]]


def test_objects_are_connected_by_sides_not_corners():
    mask = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 1]], bool)
    assert label_objects(mask).tolist() == [[1, 1, 0], [0, 0, 2], [3, 0, 2]]
    assert label_objects(np.array([[[1, 0]], [[0, 1]]], bool)).max() == 2
    assert label_objects(np.array([[[1, 0]], [[1, 1]]], bool)).max() == 1


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (1, 1)])
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_empty_and_full_images(shape, fill):
    labels = segment(two(np.full(shape, fill)), target="foreground")
    assert labels.dtype == np.uint32
    assert (labels == fill).all()


def test_many_classes_have_room():
    probabilities = np.zeros((300, 1, 1), np.float32)
    probabilities[299] = 1
    assert segment(probabilities, target="classes").tolist() == [[299]]


def test_wrong_axes_are_refused():
    with pytest.raises(ShapeError, match="axes C"):
        segment(np.zeros((2, 3), np.float32), target="classes")
