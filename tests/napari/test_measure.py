"""Labels are measured as by `biounet.measure`."""

import numpy as np
import pytest

import biounet
from biounet.core.errors import ShapeError
from biounet.napari.measure import measure_layer
from layers_of_tests import layer

LABELS = np.array([[1, 1, 0, 0], [1, 1, 0, 4]])
pytestmark = pytest.mark.filterwarnings("ignore")  # napari and its libraries have warnings of their own


def table_of(labels, image):
    work = measure_layer(labels, image)
    next(work)
    try:
        next(work)
    except StopIteration as end:
        return end.value


def test_a_layer_has_the_table_of_its_array(noise):
    image = noise(2, 4)
    table, expected = table_of(layer(LABELS), layer(image)), biounet.measure(LABELS, image)
    assert table.keys() == expected.keys()
    np.testing.assert_array_equal(table["label"], [1, 4])
    np.testing.assert_array_equal(table["intensity_mean"], expected["intensity_mean"])


def test_layers_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="choose an image of its size"):
        table_of(layer(LABELS), layer(np.zeros((9, 9))))
    with pytest.raises(ShapeError, match="labels of axes YX or ZYX are wanted, got 4 axes"):
        table_of(layer(np.zeros((1, 1, 2, 4), int)), None)


def test_the_table_is_linked_with_the_labels(viewer, dock, wait):
    viewer.add_labels(LABELS, name="cells")
    panel = dock("Measure")
    panel.image.value = None
    panel.worker.run()
    wait(lambda: panel.worker.thread is None)
    assert panel.worker.line.value.startswith("2 objects of cells")
    assert list(viewer.layers["cells"].features["index"]) == [1, 4]
    assert viewer.layers.selection.active is viewer.layers["cells"]
