"""The table of label formats: labels, to a file, to the same labels."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biounet.core.errors import LabelError, OutputError
from biounet.io import FORMATS, Image
from biounet.io.label_formats import LABEL_FORMATS, label_format_of

SIZES = st.tuples(st.integers(2, 9), st.integers(1, 9), st.integers(1, 9))
LARGEST = st.sampled_from([1, 3, 255, 256, 65_535, 65_536, 2**31 - 1])


@pytest.mark.parametrize("form", LABEL_FORMATS.values(), ids=lambda form: form.name)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=SIZES, axes=st.sampled_from(["YX", "ZYX"]), largest=LARGEST, data=st.data())
def test_labels_to_a_file_to_the_same_labels(tmp_path, form, size, axes, largest, data):
    numbers = st.integers(0, largest)
    labels = data.draw(hnp.arrays(np.int32, size[-len(axes) :], elements=numbers))
    path = tmp_path / f"a{form.suffixes[0]}"
    stored = np.min_scalar_type(labels.max())
    image_format = FORMATS.get(form.name)
    if image_format and not any(holds.fits(axes, labels.shape, stored) for holds in image_format.holds):
        with pytest.raises(OutputError, match=rf"a{form.suffixes[0]}: {form.name} cannot hold"):
            form.write(path, Image(labels, axes), overwrite=True)
        return
    form.write(path, Image(labels, axes), overwrite=True)
    back = form.read(path)
    assert back.axes == axes
    assert back.array.dtype.kind in "iu"
    np.testing.assert_array_equal(back.array, labels)


@pytest.mark.parametrize("form", LABEL_FORMATS.values(), ids=lambda form: form.name)
def test_a_label_file_has_the_format_of_its_name(tmp_path, form):
    for suffix in form.suffixes:
        assert label_format_of(tmp_path / f"a{suffix.upper()}") is form


@pytest.mark.parametrize("name", ["a.jpeg", "a.csv", "a"])
def test_what_holds_no_labels_is_refused(tmp_path, name):
    with pytest.raises(LabelError, match=rf"{name}: labels are written as .*TIFF"):
        label_format_of(tmp_path / name)
