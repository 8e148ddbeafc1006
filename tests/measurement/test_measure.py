"""`biounet.measure`: the table of the objects of one image, from arrays or files."""

import numpy as np
import pytest

from biounet.core.errors import LabelError, ShapeError
from biounet.io import Image, write
from biounet.measurement import measure_objects
from biounet.measurement.measure import measure

LABELS = np.array([[1, 1, 0, 0], [1, 1, 0, 2]], np.uint8)
IMAGE = np.array([[5, 5, 0, 0], [5, 9, 0, 7]], np.uint8)


def equal(one, other):
    assert list(one) == list(other)
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def test_arrays_and_files_have_one_table(tmp_path):
    write(tmp_path / "labels.tif", Image(LABELS, "YX"))
    write(tmp_path / "image.tif", Image(IMAGE, "YX"))
    table = measure(LABELS, IMAGE)
    equal(table, measure_objects(LABELS, image=IMAGE))
    equal(measure(str(tmp_path / "labels.tif"), tmp_path / "image.tif"), table)
    equal(measure(tmp_path / "labels.tif", None), measure_objects(LABELS))
    shares = np.full(LABELS.shape, 0.25)
    assert measure(LABELS, None, probabilities=shares)["confidence"].tolist() == [0.25, 0.25]


@pytest.mark.parametrize("known", ["labels", "image"])
def test_the_pixel_size_is_that_of_the_labels_or_the_image(tmp_path, known):
    write(tmp_path / "labels.tif", Image(LABELS, "YX", (0.5, 0.5) if known == "labels" else None))
    write(tmp_path / "image.tif", Image(np.stack([IMAGE, IMAGE]), "CYX", (0.5, 0.5) if known == "image" else None))
    assert measure(tmp_path / "labels.tif", tmp_path / "image.tif")["area_um2"].tolist() == [1, 0.25]
    assert measure(tmp_path / "labels.tif", tmp_path / "image.tif", spacing=(1, 1))["area_um2"].tolist() == [4, 1]


def test_several_time_points_and_probabilities_are_refused(tmp_path):
    write(tmp_path / "movie.tif", Image(np.stack([LABELS, LABELS]), "TYX"))
    with pytest.raises(ShapeError, match="holds 2 time points; use biounet measure"):
        measure(tmp_path / "movie.tif", None)
    with pytest.raises(LabelError, match="integers"):
        measure(LABELS / 2, None)
