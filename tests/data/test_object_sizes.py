"""Objects are as long as they are in the whole image, however it is cut into bands."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from biounet.data.statistics import Extents


@given(
    arrays(
        np.int32, array_shapes(min_dims=2, max_dims=3, max_side=6), elements=st.sampled_from([-1, 0, 1, 2, 2**31 - 1])
    ),
    st.sets(st.integers(1, 5)),
)
def test_sides_are_those_of_all_pixels_of_an_object(labels, cuts):
    extents = Extents()
    for band in np.split(labels, sorted(cut for cut in cuts if cut < labels.shape[-2]), axis=-2):
        extents.add(band)
    numbers = np.unique(labels[labels > 0])
    longest = [int(np.ptp(np.argwhere(labels == number), axis=0).max()) + 1 for number in numbers]
    assert sorted(extents.longest_sides()) == sorted(longest)
