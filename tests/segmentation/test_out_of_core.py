"""Objects made region by region are those of the whole image, to the number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import ArrayReader, ArrayWriter
from biounet.core.components import label_objects
from biounet.core.errors import MemoryBudgetError, ShapeError
from biounet.segmentation import label_elevation, label_out_of_core, region_size
from biounet.segmentation.regions import BYTES_PER_PIXEL, RegionPieces, Regions

RULES = st.builds(
    ObjectRules,
    seed=st.sampled_from([0.2, 0.5, 0.9]),
    least_seed=st.integers(0, 4),
    peak=st.sampled_from([0.0, 0.4, 0.8]),
    grow=st.booleans(),
    second_seed=st.sampled_from([None, 0.0, 0.3]),
    largest_seed=st.sampled_from([None, 1, 5, 30]),
    least_pixels=st.integers(0, 6),
    largest_hole=st.sampled_from([None, 0, 2]),
)


@st.composite
def elevations(draw):
    """Label-like images: noise, smooth hills, plains with walls; and regions to cut them into."""
    shape = draw(
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=24)
        | arrays.array_shapes(min_dims=3, max_dims=3, max_side=8)
    )
    region = tuple(draw(st.integers(1, 9)) for _ in shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["noise", "hills", "walls"]))
    if kind == "noise":
        heights = rng.integers(0, 256, shape)
    elif kind == "hills":
        heights = gaussian_filter(rng.normal(size=shape), 1.2) * 300 + rng.integers(0, 200)
    else:
        heights = rng.choice([0, 1, 70, 200], shape, p=[0.3, 0.5, 0.1, 0.1])
    return np.clip(heights, 0, 255).astype(np.uint8), region


def in_regions(elevation, rules, region):
    labels = np.full(elevation.shape, 77, np.uint32)
    count = label_out_of_core(ArrayReader(elevation), ArrayWriter(labels), rules, region=region)
    assert count == labels.max(initial=0)
    return labels


@settings(max_examples=60)
@given(elevations(), RULES)
def test_regions_give_the_numbers_of_the_whole_image(drawn, rules):
    elevation, region = drawn
    np.testing.assert_array_equal(in_regions(elevation, rules, region), label_elevation(elevation, rules))


@settings(max_examples=30)
@given(arrays.arrays(bool, (9, 7)), st.integers(2, 9), st.integers(2, 7))
def test_pieces_join_to_the_components_of_the_whole_mask(mask, height, width):
    regions = Regions(mask.shape, (height, width))
    pieces, found = RegionPieces(regions), np.zeros(mask.shape, int)
    parts = {index: label_objects(mask[regions.box(index).slices]) for index in regions}
    for index, part in parts.items():
        pieces.add(index, part)
    component = pieces.join()
    for index, part in parts.items():
        found[regions.box(index).slices] = np.append(0, component[pieces.of(index)] + 1)[part]
    pairs = np.unique(np.stack([found, label_objects(mask)]).reshape(2, -1), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


def test_an_object_that_winds_through_all_regions():
    snake = np.zeros((16, 15), np.uint8)
    snake[::2] = 10
    snake[1::4, -1] = snake[3::4, 0] = 10
    snake[0, 0], snake[14, -1] = 200, 200
    whole = label_elevation(snake, ObjectRules())
    assert whole.max() == 2
    for region in [(2, 3), (5, 15), (16, 2)]:
        assert (in_regions(snake, ObjectRules(), region) == whole).all()


def test_a_hole_that_reaches_over_many_regions():
    ring = np.zeros((12, 12), np.uint8)
    ring[1:11, 1:11] = 200
    ring[2:10, 2:10] = 0
    assert in_regions(ring, ObjectRules(), (3, 5)).sum() == 100
    ring[1, 5] = 0
    assert in_regions(ring, ObjectRules(), (3, 5)).sum() == 35


def test_regions_that_were_written_before_are_left_alone():
    elevation = np.full((4, 4), 200, np.uint8)
    labels = np.zeros((4, 4), np.uint32)
    reader, writer = ArrayReader(elevation), ArrayWriter(labels)
    label_out_of_core(reader, writer, ObjectRules(), region=(2, 4), done=lambda box: box.start[0] == 0)
    assert labels.tolist() == [[0] * 4] * 2 + [[1] * 4] * 2


def test_an_image_without_pixels_has_no_objects():
    assert in_regions(np.zeros((0, 9), np.uint8), ObjectRules(), (4, 4)).shape == (0, 9)
    assert label_elevation(np.zeros((0, 9), np.uint8), ObjectRules()).shape == (0, 9)


def test_storing_grown_seeds_changes_nothing():
    elevation = np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint8)
    labels = np.zeros(elevation.shape, np.uint32)
    reader, writer = ArrayReader(elevation), ArrayWriter(labels)
    label_out_of_core(reader, writer, ObjectRules(), region=(6, 7), keep={})
    assert (labels == label_elevation(elevation, ObjectRules())).all()


def test_a_wrong_region_is_refused():
    reader, writer = ArrayReader(np.zeros((4, 4), np.uint8)), ArrayWriter(np.zeros((4, 4), np.uint32))
    with pytest.raises(ShapeError, match="2 sizes"):
        label_out_of_core(reader, writer, ObjectRules(), region=(2,))
    with pytest.raises(ShapeError, match="at least 1"):
        label_out_of_core(reader, writer, ObjectRules(), region=(2, 0))


def test_regions_fit_the_memory():
    assert region_size((100, 100), 10**9) == (100, 100)
    assert region_size((8192, 8192), BYTES_PER_PIXEL * 1000**2) == (1000, 1000)
    assert region_size((30, 8192, 8192), BYTES_PER_PIXEL * 2**21, multiple=(16, 128, 128)) == (32, 256, 256)
    with pytest.raises(MemoryBudgetError, match="allow more"):
        region_size((100, 100), 1000, multiple=(50, 50))
