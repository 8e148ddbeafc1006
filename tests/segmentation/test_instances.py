"""Objects in memory, by hand and against scipy."""

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import binary_fill_holes, label

from biounet.config.object_rules import ObjectRules
from biounet.core.components import label_objects
from biounet.core.errors import ImageError, ShapeError
from biounet.segmentation import (
    label_elevation,
    make_elevation,
    segment_objects,
    watershed,
)

SHAPES = arrays.array_shapes(min_dims=2, max_dims=3, max_side=8)
ELEVATIONS = arrays.arrays(np.uint8, SHAPES, elements=st.sampled_from([0, 0, 1, 30, 60, 128, 255]))


def around(place, shape):
    for axis in range(len(shape)):
        for step in (-1, 1):
            neighbour = (*place[:axis], place[axis] + step, *place[axis + 1 :])
            if 0 <= neighbour[axis] < shape[axis]:
                yield neighbour


def cheapest_paths(elevation, seeds):
    """The definition of `watershed`, pixel by pixel, with one priority queue."""
    best = np.zeros(elevation.shape, np.uint32)
    queue = [(0, int(seeds[place]), place) for place in zip(*np.nonzero(seeds), strict=True)]
    heapq.heapify(queue)
    while queue:
        cost, number, place = heapq.heappop(queue)
        if best[place]:
            continue
        best[place] = number
        for neighbour in around(place, elevation.shape):
            if elevation[neighbour] and not best[neighbour]:
                climb = max(0, int(elevation[neighbour]) - int(elevation[place]))
                heapq.heappush(queue, (cost + 1 + climb, number, neighbour))
    return best


@given(ELEVATIONS)
def test_each_pixel_belongs_to_the_seed_with_the_cheapest_path(elevation):
    seeds = label_objects(elevation >= 128)
    assert (watershed(elevation, seeds) == cheapest_paths(elevation, seeds)).all()


@given(ELEVATIONS, st.booleans())
def test_objects_are_connected_and_numbered_by_their_first_pixels(elevation, keep):
    labels = label_elevation(elevation, ObjectRules(second_seed=0.0 if keep else None, largest_hole=0))
    numbers, first = np.unique(labels[labels > 0], return_index=True)
    assert numbers.tolist() == list(range(1, len(numbers) + 1))
    assert (np.diff(first) > 0).all()
    assert label_objects(labels).max(initial=0) == labels.max(initial=0)
    if keep:
        assert ((labels > 0) == (elevation > 0)).all()


def test_seeds_meet_in_the_valley_not_halfway():
    row = np.array([[200, 180, 160, 140, 120, 100, 60, 120, 200]], np.uint8)
    assert label_elevation(row, ObjectRules(seed=0.75)).tolist() == [[1, 1, 1, 1, 1, 1, 2, 2, 2]]


def test_on_a_plain_seeds_meet_halfway_and_the_first_wins_a_tie():
    row = np.array([[200, 60, 60, 60, 60, 200, 60, 200]], np.uint8)
    assert label_elevation(row, ObjectRules(seed=0.75)).tolist() == [[1, 1, 1, 2, 2, 2, 2, 3]]


def test_what_has_no_seed_is_dropped_or_kept():
    row = np.array([[50, 0, 200, 50, 0, 9]], np.uint8)
    assert label_elevation(row, ObjectRules()).tolist() == [[0, 0, 1, 1, 0, 0]]
    assert label_elevation(row, ObjectRules(second_seed=0.0)).tolist() == [[1, 0, 2, 2, 0, 3]]


def test_an_object_without_a_high_seed_has_a_low_one():
    # Two bright objects that touch, and two dim ones that do: one level of seeds tells apart one pair only.
    row = np.array([[220, 120, 220, 0, 100, 30, 100]], np.uint8)
    high, low = ObjectRules(seed=0.8), ObjectRules(seed=0.3)
    assert label_elevation(row, high).tolist() == [[1, 1, 2, 0, 0, 0, 0]]
    assert label_elevation(row, low).tolist() == [[1, 1, 1, 0, 2, 2, 3]]
    both = high.model_copy(update={"second_seed": 0.3})
    assert label_elevation(row, both).tolist() == [[1, 1, 2, 0, 3, 3, 4]]


def test_small_seeds_are_none():
    row = np.array([[200, 200, 50, 200, 0, 200]], np.uint8)
    assert label_elevation(row, ObjectRules(least_seed=2)).tolist() == [[1, 1, 1, 1, 0, 0]]
    assert label_elevation(row, ObjectRules(least_seed=2, second_seed=0.0)).tolist() == [[1, 1, 1, 1, 0, 2]]


def test_seeds_without_a_peak_are_none():
    # A doubtful hill beside two sure ones, which a gap parts that only a low level of seeds leaves open.
    row = np.array([[140, 160, 140, 0, 220, 120, 140, 0, 220]], np.uint8)
    low = ObjectRules(seed=0.5)
    assert label_elevation(row, low).tolist() == [[1, 1, 1, 0, 2, 2, 3, 0, 4]]
    peak = ObjectRules(seed=0.5, peak=0.8)
    assert label_elevation(row, peak).tolist() == [[0, 0, 0, 0, 1, 1, 1, 0, 2]]
    assert label_elevation(row, ObjectRules(seed=0.5, peak=0.4)).tolist() == label_elevation(row, low).tolist()
    again = ObjectRules(seed=0.5, peak=0.8, second_seed=0.0)
    assert label_elevation(row, again).tolist() == [[1, 1, 1, 0, 2, 2, 2, 0, 3]]


def test_seeds_that_do_not_grow_are_the_objects():
    row = np.array([[50, 0, 200, 50, 130]], np.uint8)
    assert label_elevation(row, ObjectRules(grow=False)).tolist() == [[0, 0, 1, 0, 2]]


@given(arrays.arrays(bool, SHAPES))
def test_holes_of_one_object_are_those_of_scipy(mask):
    every, count = label(mask)
    for number in range(1, count + 1):
        alone = every == number
        elevation = np.where(alone, np.uint8(200), np.uint8(0))
        assert ((label_elevation(elevation, ObjectRules()) > 0) == binary_fill_holes(alone)).all()


def test_a_hole_between_two_objects_stays():
    elevation = np.array([[200, 200, 200], [200, 0, 100], [200, 200, 200]], np.uint8)
    assert (label_elevation(elevation, ObjectRules()) > 0).all()
    two = np.array([[200, 200, 100], [200, 0, 200], [100, 200, 200]], np.uint8)
    assert label_elevation(two, ObjectRules()).tolist() == [[1, 1, 1], [1, 0, 2], [1, 2, 2]]


def test_holes_have_a_largest_size():
    ring = np.full((3, 5), 200, np.uint8)
    ring[1, 1:3] = 0
    assert label_elevation(ring, ObjectRules(largest_hole=2)).all()
    assert ((label_elevation(ring, ObjectRules(largest_hole=1)) > 0) == (ring > 0)).all()


def test_small_objects_go_before_holes_are_filled():
    elevation = np.full((5, 5), 200, np.uint8)
    elevation[1:4, 1:4] = 0
    elevation[2, 2] = 200
    assert (label_elevation(elevation, ObjectRules(least_pixels=2)) == 1).all()


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (1, 1)])
@pytest.mark.parametrize("rules", [ObjectRules(), ObjectRules(second_seed=0.0, least_pixels=1)])
def test_no_object_a_whole_one_and_one_of_one_pixel(shape, rules):
    assert not label_elevation(np.zeros(shape, np.uint8), rules).any()
    assert (label_elevation(np.full(shape, 255, np.uint8), rules) == 1).all()
    dot = np.zeros(shape, np.uint8)
    dot[(-1,) * len(shape)] = 200
    assert (label_elevation(dot, rules) == (dot > 0)).all()


def test_more_objects_than_16_bits_count():
    elevation = np.zeros((600, 600), np.uint8)
    elevation[::2, ::2] = 200
    assert label_elevation(elevation, ObjectRules()).max() == 90_000


@pytest.mark.parametrize(("target", "classes"), [("foreground", 2), ("border", 3), ("distance", 9)])
def test_an_elevation_map_is_the_same_by_region(target, classes):
    scores = np.random.default_rng(0).normal(size=(classes, 13, 11)).astype(np.float32)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=0)
    rules = ObjectRules(target=target, foreground=0.8)
    whole = make_elevation(probabilities, rules)
    assert (make_elevation(probabilities[:, 2:9, 3:11], rules) == whole[2:9, 3:11]).all()
    assert ((whole > 0) == (probabilities[0] < 0.2)).mean() > 0.99
    assert 0 < (whole > 0).mean() < 1


def test_the_foreground_alone_will_do():
    foreground = np.array([[0.2, 0.8, 0.51, 0.5]], np.float32)
    both = np.stack([1 - foreground, foreground])
    assert (make_elevation(both, ObjectRules()) == make_elevation(foreground[np.newaxis], ObjectRules())).all()
    assert segment_objects(both, ObjectRules()).tolist() == [[0, 1, 1, 0]]


def test_wrong_probabilities_are_refused():
    with pytest.raises(ShapeError, match="target border has 3 classes, got 2"):
        make_elevation(np.zeros((2, 4, 4), np.float32), ObjectRules(target="border"))
    with pytest.raises(ShapeError, match="3 or more"):
        make_elevation(np.zeros((2, 4, 4), np.float32), ObjectRules(target="distance"))
    with pytest.raises(ShapeError, match="axes C"):
        make_elevation(np.zeros((4, 4), np.float32), ObjectRules())
    with pytest.raises(ImageError, match="floating point"):
        make_elevation(np.zeros((2, 4, 4), np.uint8), ObjectRules())
