"""Seeds that are too large for one object are split where their parts are higher than what joins them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import label

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import ArrayReader
from biounet.segmentation import label_elevation
from biounet.segmentation.elevation import seed_level
from biounet.segmentation.large_seeds import STEP, largest_seed, least_part, split_large
from biounet.segmentation.region_labels import RegionLabels
from biounet.segmentation.regions import Regions

PAIR = np.array([[140, 250, 250, 180, 250, 250, 140]], np.uint8)
"""Two hills with a saddle of 180 between them."""


def split(elevation, seeds, rules):
    """`split_large` of an image that is one region."""
    image = RegionLabels(ArrayReader(elevation), Regions(elevation.shape, elevation.shape))
    return split_large(image, lambda index: seeds, rules)((0,) * elevation.ndim)


def parts_of(elevation, piece, level, least):
    """Large parts of a piece above the lowest level at which there are two, and that level; or none."""
    for height in range(level + STEP, 255, STEP):
        parts, found = label(piece & (elevation >= height))
        kept = [parts == part for part in range(1, found + 1) if (parts == part).sum() >= least]
        if len(kept) > 1:
            return [(part, height) for part in kept]
    return []


def split_plainly(elevation, seeds, rules):
    """The same, seed by seed."""
    pieces, count = label(seeds)
    mask, waiting = np.zeros_like(seeds), [(pieces == number, seed_level(rules.seed)) for number in range(1, count + 1)]
    while waiting:
        piece, level = waiting.pop()
        parts = parts_of(elevation, piece, level, least_part(rules)) if piece.sum() > rules.largest_seed else []
        waiting += parts
        if not parts:
            mask |= piece
    return mask


@pytest.mark.parametrize(("largest", "expected"), [(None, 1), (7, 1), (6, 2), (2, 2), (1, 2)])
def test_a_pair_is_two_where_one_object_is_no_larger_than_the_limit(largest, expected):
    labels = label_elevation(PAIR, ObjectRules(seed=0.5, largest_seed=largest))
    assert labels.max() == expected
    assert (labels > 0).all()
    assert labels.tolist() == ([[1] * 7] if expected == 1 else [[1, 1, 1, 1, 2, 2, 2]])


def test_a_large_seed_with_one_peak_stays_one_object():
    hill = np.array([[140, 160, 180, 200, 220, 200, 180, 160, 140]], np.uint8)
    assert (label_elevation(hill, ObjectRules(seed=0.5, largest_seed=2)) == 1).all()


def test_a_part_of_a_few_pixels_is_none():
    spike = np.array([[140, 250, 180, *[250] * 30]], np.uint8)
    assert label_elevation(spike, ObjectRules(seed=0.5, largest_seed=29)).max() == 1  # a part has 2 pixels or more
    assert label_elevation(spike, ObjectRules(seed=0.5, largest_seed=10)).max() == 2
    assert label_elevation(spike, ObjectRules(seed=0.5, largest_seed=10, least_seed=2)).max() == 1


def test_parts_of_parts():
    three = np.array([[255, 255, 170, 255, 255, 240, 255, 255]], np.uint8)
    assert label_elevation(three, ObjectRules(seed=0.5, largest_seed=5)).max() == 2
    assert label_elevation(three, ObjectRules(seed=0.5, largest_seed=4)).max() == 3


@given(
    arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=3, max_side=9)),
    st.integers(1, 30),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.1, 0.5, 0.9]),
)
def test_it_is_what_a_plain_loop_does(elevation, largest, least, seed):
    rules = ObjectRules(seed=seed, largest_seed=largest, least_seed=least)
    seeds = elevation >= seed_level(seed)
    np.testing.assert_array_equal(split(elevation, seeds, rules), split_plainly(elevation, seeds, rules))


def test_sizes_of_some_objects_tell_the_largest_seed():
    sizes = np.arange(80, 121)
    assert largest_seed(sizes) == 118  # 80 + 0.95 * 40
    assert largest_seed(sizes[:8]) == 86
    assert largest_seed(sizes[:7]) is None
    assert largest_seed(np.array([], np.int64)) is None
