"""The table of label formats: labels, to a file, to the same labels."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biounet.core.errors import LabelError, OutputError
from biounet.io import FORMATS, Image
from biounet.io.label_formats import LABEL_FORMATS, label_format_of
from biounet.io.shapes import Grid

SIZES = st.tuples(st.integers(2, 9), st.integers(1, 9), st.integers(1, 9))
LARGEST = st.sampled_from([1, 3, 255, 256, 65_535, 65_536, 2**31 - 1])
OUTLINES = [form for form in LABEL_FORMATS.values() if form.name not in FORMATS]


@pytest.mark.parametrize("form", LABEL_FORMATS.values(), ids=lambda form: form.name)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=SIZES, axes=st.sampled_from(["YX", "ZYX"]), largest=LARGEST, data=st.data())
def test_labels_to_a_file_to_the_same_labels(tmp_path, form, size, axes, largest, data):
    numbers = st.integers(0, largest)
    labels = data.draw(hnp.arrays(np.int32, size[-len(axes) :], elements=numbers))
    path = tmp_path / f"a{form.suffixes[0]}"
    stored = np.min_scalar_type(labels.max())
    image_format = FORMATS.get(form.name)
    held = not image_format or any(holds.fits(axes, labels.shape, stored) for holds in image_format.holds)
    if not held or not set(axes) <= set(form.axes) or (form.name == "Cellpose" and labels.max() > 65_535):
        with pytest.raises(OutputError, match=rf"a{form.suffixes[0]}: .*{form.name} cannot hold"):
            form.write(path, Image(labels, axes), overwrite=True)
        return
    check(form, path, Image(labels, axes))


@pytest.mark.parametrize("form", OUTLINES, ids=lambda form: form.name)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=SIZES, axes=st.sampled_from(["YX", "TYX", "TZYX"]), data=st.data())
def test_outlines_keep_holes_edges_corners_and_unknown_pixels(tmp_path, form, size, axes, data):
    axes = axes if set(axes) <= set(form.axes) else "YX"
    numbers = st.sampled_from([0, 1, 1, 1, 2, 7, -1 if form.has_ignore else 0])
    shape = {"YX": size[1:], "TYX": size, "TZYX": (2, *size)}[axes]
    labels = data.draw(hnp.arrays(np.int16, shape, elements=numbers))
    check(form, tmp_path / f"a{form.suffixes[0]}", Image(labels, axes))


@pytest.mark.parametrize("form", OUTLINES, ids=lambda form: form.name)
def test_thousands_of_objects_with_notches_that_touch(tmp_path, form):
    check(form, tmp_path / f"a{form.suffixes[0]}", Image(many_objects(40, 60), "YX"))


def many_objects(rows, columns):
    """Objects of 9 pixels in several pieces, numbered from 1, which touch."""
    numbers = np.arange(1, rows * columns + 1, dtype=np.int32).reshape(rows, columns)
    return np.kron(numbers, np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 0, 0]], np.int32))


def check(form, path, labels):
    """Write labels and read them back."""
    form.write(path, labels, overwrite=True)
    notes: list[str] = []
    back = form.read(path, grid=Grid.of(labels), notes=notes)
    assert (back.axes, notes) == (labels.axes, [])
    assert back.array.dtype.kind in "iu"
    np.testing.assert_array_equal(back.array, labels.array)


@pytest.mark.parametrize("form", [LABEL_FORMATS[name] for name in ("PNG", "TIFF", "NIfTI", "OME-Zarr")])
def test_a_label_file_has_the_format_of_its_name(tmp_path, form):
    for suffix in form.suffixes:
        assert label_format_of(tmp_path / f"a{suffix.upper()}") is form


@pytest.mark.parametrize("name", ["a.jpeg", "a.csv", "a"])
def test_what_holds_no_labels_is_refused(tmp_path, name):
    with pytest.raises(LabelError, match=rf"{name}: labels are written as .*TIFF"):
        label_format_of(tmp_path / name)
