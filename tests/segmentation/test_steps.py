"""Every step from an elevation map to labels: nothing, one object, and objects across the faces of regions."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import ArrayReader
from biounet.segmentation import STEPS, label_elevation
from biounet.segmentation.region_labels import RegionLabels
from biounet.segmentation.regions import Regions

RULES = {
    "all": ObjectRules(least_seed=2, peak=0.7, second_seed=0.1, least_pixels=4, largest_hole=3),
    "plain": ObjectRules(),
    "seeds alone": ObjectRules(grow=False, largest_hole=0),
}
EVERY = pytest.mark.parametrize("name", STEPS)
ALL_RULES = pytest.mark.parametrize("rules", RULES.values(), ids=RULES)


def labels_after(name, elevation, rules, *, region=None, keep=None):
    """Labels when the steps up to one of that name have run."""
    regions = Regions(elevation.shape, region or elevation.shape)
    image = RegionLabels(ArrayReader(elevation), regions, keep=keep)
    for step in islice(STEPS.values(), list(STEPS).index(name) + 1):
        step(image, rules)
    labels = np.full(elevation.shape, 99, np.uint32)
    for index in regions:
        labels[regions.box(index).slices] = image.labels(index)
    return labels


@EVERY
@ALL_RULES
@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (1, 1)])
def test_in_an_empty_image_there_is_no_object(name, rules, shape):
    assert not labels_after(name, np.zeros(shape, np.uint8), rules).any()
    assert not labels_after(name, np.zeros(shape, np.uint8), rules, region=(2,) * len(shape)).any()


@EVERY
@ALL_RULES
def test_one_object_is_one(name, rules):
    elevation = np.zeros((6, 7), np.uint8)
    elevation[1:5, 2:6] = 220
    assert (labels_after(name, elevation, rules) == (elevation > 0)).all()


@EVERY
@ALL_RULES
@pytest.mark.parametrize("region", [(3, 3), (4, 9), (1, 2)])
def test_an_object_across_faces_is_one(name, rules, region):
    elevation = np.zeros((8, 9), np.uint8)
    elevation[1:7, 1:8] = 220
    assert (labels_after(name, elevation, rules, region=region, keep={}) == (elevation > 0)).all()


@EVERY
@settings(max_examples=25)
@given(
    elevation=arrays.arrays(np.uint8, (7, 8), elements=st.sampled_from([0, 1, 60, 140, 230])),
    region=st.tuples(st.integers(1, 7), st.integers(1, 8)),
    rules=st.sampled_from(list(RULES.values())),
    keep=st.sampled_from([None, dict]),
)
def test_regions_change_nothing(name, elevation, region, rules, keep):
    whole = labels_after(name, elevation, rules)
    by_region = labels_after(name, elevation, rules, region=region, keep=keep and keep())
    np.testing.assert_array_equal(by_region, whole)


@ALL_RULES
def test_objects_are_segmented_by_all_steps_in_order(rules):
    elevation = np.random.default_rng(0).choice([0, 60, 140, 230], (20, 20)).astype(np.uint8)
    last = list(STEPS)[-1]
    np.testing.assert_array_equal(label_elevation(elevation, rules), labels_after(last, elevation, rules))


def test_each_step_by_hand():
    elevation = np.full((5, 8), 200, np.uint8)
    elevation[1, 1], elevation[:, 6], elevation[1:, 7], elevation[0, 5] = 0, 0, 0, 90
    rules = ObjectRules(least_pixels=2)  # a block with a hole, a pixel beside it that is no seed, and a speck apart
    rows = {name: labels_after(name, elevation, rules)[:2] for name in STEPS}
    assert rows["seeds"].tolist() == [[1, 1, 1, 1, 1, 0, 0, 2], [1, 0, 1, 1, 1, 1, 0, 0]]
    assert rows["watershed"].tolist() == [[1, 1, 1, 1, 1, 1, 0, 2], [1, 0, 1, 1, 1, 1, 0, 0]]
    assert rows["drop_small"].tolist() == [[1, 1, 1, 1, 1, 1, 0, 0], [1, 0, 1, 1, 1, 1, 0, 0]]
    assert rows["number"].tolist() == rows["drop_small"].tolist()
    assert rows["fill_holes"].tolist() == [[1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 0, 0]]


def test_numbers_have_no_gap_where_an_object_was_dropped():
    row = np.array([[200, 0, 200, 200]], np.uint8)
    rules = ObjectRules(least_pixels=2)
    assert labels_after("drop_small", row, rules).tolist() == [[0, 0, 2, 2]]
    assert labels_after("number", row, rules).tolist() == [[0, 0, 1, 1]]
