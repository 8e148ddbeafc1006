"""Statistics of an image are the same whether it comes whole or in strips, and hashes change with any pixel."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from biounet.data.normalize import Normalization
from biounet.data.statistics import COLUMNS, Extents, ImageStatistics


def arrays(shape=(2, 9, 5)):
    """An image with labels and a target in which the highest class stands in the last row."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 50, shape[1:])
    target = rng.integers(-1, 2, shape[1:])
    target[..., -1, 0] = 4
    return rng.normal(size=shape).astype(np.float32), labels, target


@pytest.mark.parametrize("shape", [(2, 9, 5), (1, 3, 9, 5)])
@pytest.mark.parametrize("cuts", [[4], [1, 2, 8], list(range(1, 9))])
def test_strips_have_the_statistics_of_the_whole(shape, cuts):
    whole = arrays(shape)
    strips = zip(*(np.split(array, cuts, axis=-2) for array in whole), strict=True)
    found, wanted = ImageStatistics.joined("a", strips), ImageStatistics.of("a", *whole)
    assert (found.name, found.shape, found.hash) == (wanted.name, shape, wanted.hash)
    assert (found.image_hash, found.extent) == (wanted.image_hash, wanted.extent)
    assert found.counts.tolist() == wanted.counts.tolist()
    assert found.counts.tolist() == [(whole[2] == number).sum() for number in range(-1, 5)]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_any_pixel_changes_the_digest(which):
    before = arrays()
    after = [array.copy() for array in before]
    after[which][..., 3, 2] += 1
    assert ImageStatistics.of("a", *before).hash != ImageStatistics.of("a", *after).hash
    assert (ImageStatistics.of("a", *before).image_hash == ImageStatistics.of("a", *after).image_hash) == (which > 0)


def test_so_does_the_shape():
    image, labels, target = arrays((1, 6, 4))
    turned = [array.reshape(*array.shape[:-2], 4, 6) for array in (image, labels, target)]
    assert ImageStatistics.of("a", image, labels, target).hash != ImageStatistics.of("a", *turned).hash


def extent(*channels):
    """Of a picture (C, Y, X)."""
    image = np.array(channels, np.float32)
    labels = np.zeros(image.shape[1:], np.int64)
    return ImageStatistics.of("a", image, labels, labels).extent


def test_the_extent_of_intensities_by_hand():
    """Of 1000 pixels one is left out at the top, and nine at the bottom, whatever they are."""
    rows = np.repeat(np.float32([-7, 0, 0.25, 7]), [9, 500, 490, 1]).reshape(10, 100)
    assert extent(rows) == 0.25
    assert extent(rows.T) == 0.25
    assert extent(rows, 2 * rows) == 0.25
    assert extent(rows, np.zeros((10, 100))) == 0.25  # a channel without a picture says nothing
    assert extent(np.zeros((10, 100))) == inf


def test_what_lies_farther_out_counts_as_the_farthest():
    assert extent([[-100, 100]] * 10) == pytest.approx(16, abs=0.001)


def test_of_wide_images_some_columns_tell():
    image = np.zeros((2, 2 * COLUMNS), np.float32)
    image[:, ::2] = np.linspace(0, 1, COLUMNS)
    assert extent(image) == pytest.approx(0.988, abs=0.002)


@settings(max_examples=50)
@given(st.lists(st.sampled_from([0, 1, 7, 30, 100]), min_size=2, max_size=40))
def test_no_picture_within_its_percentiles_spans_less_than_two_standard_deviations(values):
    """Popoviciu 1935; of at most 40 values, each of which is 25 pixels, percentiles leave out none."""
    image = np.repeat(np.array(values), 25).reshape(1, 5, -1)
    normal = Normalization().measured(image).apply(image)
    assert extent(*normal) >= 2 - 0.001


@given(
    npst.arrays(
        np.int32,
        npst.array_shapes(min_dims=2, max_dims=3, max_side=6),
        elements=st.sampled_from([-1, 0, 1, 2, 2**31 - 1]),
    ),
    st.sets(st.integers(1, 5)),
)
def test_sides_are_those_of_all_pixels_of_an_object(labels, cuts):
    extents = Extents()
    for strip in np.split(labels, sorted(cut for cut in cuts if cut < labels.shape[-2]), axis=-2):
        extents.add(strip)
    numbers = np.unique(labels[labels > 0])
    longest = [int(np.ptp(np.argwhere(labels == number), axis=0).max()) + 1 for number in numbers]
    assert sorted(extents.longest_sides()) == sorted(longest)
