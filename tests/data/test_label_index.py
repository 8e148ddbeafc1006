"""Every labelled pixel is found by its number, and by no other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from biounet.data.label_index import LabelIndex

IMAGES = arrays(np.int64, array_shapes(min_dims=2, max_dims=3, max_side=6), elements=st.integers(-1, 3))


@given(IMAGES)
def test_pixels_of_a_class_are_counted_in_the_order_of_the_array(labels):
    kept = LabelIndex.of(labels)
    assert kept.counts.tolist() == [(labels == number).sum() for number in range(1 + labels.max())]
    assert (kept.known, kept.sparse) == ((labels >= 0).sum(), (labels < 0).any())
    for wanted, fits in [(None, labels >= 0), *((number, labels == number) for number in range(1 + labels.max()))]:
        found = [kept.find(labels.__getitem__, number, wanted=wanted) for number in range(fits.sum())]
        assert found == list(map(tuple, np.argwhere(fits).tolist()))


def test_what_is_kept_grows_with_the_lines():
    assert LabelIndex.of(np.full((10, 1000), 2)).before.shape == (11, 3)


@given(IMAGES, st.integers(1, 20))
def test_labels_read_part_by_part_are_counted_alike(labels, pixels):
    lines, read = labels.reshape(-1, labels.shape[-1]), []
    found = LabelIndex.counted(labels.shape, lambda some: read.append(lines[some].size) or lines[some], pixels=pixels)
    assert (found.before == LabelIndex.of(labels).before).all()
    assert max(read) <= max(pixels, labels.shape[-1])
