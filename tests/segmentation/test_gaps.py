"""Gaps in membranes: closed by the evidence beside them, the same on regions as on the whole image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter

from biounet.core.boxes import ArrayReader, ArrayWriter
from biounet.core.components import label_objects
from biounet.core.errors import ImageError, ShapeError
from biounet.segmentation import close_gaps, close_gaps_out_of_core


@st.composite
def foregrounds(draw):
    """Probabilities: noise, smooth hills, plains with walls; and regions to cut them into."""
    shape = draw(
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=24)
        | arrays.array_shapes(min_dims=3, max_dims=3, max_side=8)
    )
    region = tuple(draw(st.integers(1, 9)) for _ in shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    noise = rng.random(shape)
    smooth = np.clip(gaussian_filter(noise, 1.2) * 3 - 1, 0, 1)
    walls = rng.choice([0.0, 0.2, 1.0], shape, p=[0.2, 0.1, 0.7])
    return draw(st.sampled_from([noise, smooth, walls])).astype(np.float32), region


def two_cells(gap, *, rows=40):
    """A membrane of one pixel between two cells, with a gap of some rows."""
    image = np.full((rows, 21), 0.95, np.float32)
    image[:, 10] = 0.05
    image[:gap, 10] = 0.9
    return image


@settings(max_examples=60)
@given(foregrounds())
def test_regions_give_the_pixels_of_the_whole_image(drawn):
    image, region = drawn
    closed = np.full(image.shape, np.nan, np.float32)
    close_gaps_out_of_core(ArrayReader(image), ArrayWriter(closed), region=region)
    np.testing.assert_array_equal(closed, close_gaps(image))


@given(foregrounds())
def test_nothing_becomes_more_probable(drawn):
    image, _ = drawn
    closed = close_gaps(image)
    assert closed.dtype == np.float32
    assert (closed <= image).all()
    assert (closed >= 0).all()


@pytest.mark.parametrize("gap", [1, 3, 6])
def test_a_gap_joins_no_cells(gap):
    image = two_cells(gap)
    assert label_objects(image > 0.8).max() == 1
    closed = close_gaps(image)
    assert label_objects(closed > 0.8).max() == 2
    np.testing.assert_array_equal(closed[:, :9], image[:, :9])


def test_a_membrane_that_is_mostly_gap_stays_open():
    assert label_objects(close_gaps(two_cells(36)) > 0.8).max() == 1


def test_a_cell_that_is_narrow_somewhere_is_not_cut():
    image = np.full((23, 41), 0.05, np.float32)
    image[4:19, 2:18] = image[4:19, 23:39] = image[10:13, 2:39] = 0.95
    assert label_objects(close_gaps(image) > 0.5).max() == 1


def test_sections_are_joined_through_a_volume():
    volume = np.stack([two_cells(3, rows=12)] * 4)
    closed = close_gaps(volume)
    assert label_objects(closed > 0.8).max() == 2


@pytest.mark.parametrize("image", [np.full((5, 6), 0.3), np.zeros((3, 4)), np.ones((1, 1)), np.zeros((0, 4))])
def test_an_even_image_stays_as_it_is(image):
    np.testing.assert_array_equal(close_gaps(image.astype(np.float32)), image.astype(np.float32))


def test_regions_that_are_written_already_are_left_out():
    image, written = two_cells(3), []
    closed = np.zeros_like(image)
    options = {"region": (40, 11), "done": lambda box: not written.append(box) and box.start == (0, 0)}
    close_gaps_out_of_core(ArrayReader(image), ArrayWriter(closed), **options)
    assert len(written) == 2
    assert not closed[:, :11].any()
    np.testing.assert_array_equal(closed[:, 11:], close_gaps(image)[:, 11:])


def test_other_arrays_are_refused():
    with pytest.raises(ShapeError, match="1 axes; take one channel"):
        close_gaps(np.zeros(4, np.float32))
    with pytest.raises(ImageError, match="divide them first"):
        close_gaps(np.zeros((4, 4), np.uint8))
