"""Parts of large images: as many as fit, all over the images, each with the objects that it holds as a whole."""

from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.labels import IGNORE
from biounet.data import subset as crops

spread_crops = partial(crops.spread_crops, least=16)


def lattice(*shape):
    """Squares of 2 x 2 pixels, one in each 4 x 4, that touch no edge of it."""
    cells = np.arange(1, np.prod(shape) // 16 + 1).reshape([size // 4 for size in shape])
    return np.kron(cells, np.pad(np.ones((2, 2), int), 1))


sizes = st.tuples(st.integers(1, 30), st.integers(1, 30))


@given(st.lists(sizes, min_size=1, max_size=6), st.floats(16, 900), st.floats(1, 12))
def test_parts_fit_do_not_overlap_and_are_the_same_each_time(shapes, pixels, side):
    labels = [np.arange(1, np.prod(shape) + 1).reshape(shape) for shape in shapes]
    chosen = spread_crops(labels, pixels=pixels, side=side)
    counts = [np.zeros(shape, int) for shape in shapes]
    for crop in chosen:
        counts[crop.image][crop.box.slices] += 1
    assert max(count.max() for count in counts) == 1
    covered, total = (sum(int(one.sum()) for one in many) for many in (counts, [one > 0 for one in labels]))
    if total <= pixels:
        assert covered == total
    else:
        assert covered <= pixels or len(chosen) == 1 or covered == total  # where no part holds a whole object
    assert chosen == spread_crops(labels, pixels=pixels, side=side)


def test_all_sides_of_a_large_image_are_seen():
    image = lattice(64, 64)
    chosen = spread_crops([image], pixels=image.size / 4, side=8)
    assert [crop.box.shape for crop in chosen] == [(8, 8)] * 16
    for axis in (0, 1):
        assert 6 <= sum(crop.box.start[axis] < 32 for crop in chosen) <= 10


def test_small_images_are_taken_whole_from_all_over():
    images = [lattice(8, 8)] * 40
    chosen = spread_crops(images, pixels=64 * 10, side=8)
    assert len(chosen) == 10
    numbers = [crop.image for crop in chosen]
    assert max(np.diff(numbers)) <= 6
    assert all(crop.of(images[0]).shape == (8, 8) for crop in chosen)
    assert len(spread_crops(images, pixels=64 * 40, side=8)) == 40


def test_objects_that_are_cut_are_left_out_and_those_at_the_edge_of_the_image_stay():
    row = np.array([[1, 1, 0, 2, 2, 2, 0, 3], [1, 0, 0, 0, 0, 2, 0, 3]], np.uint8)
    first, last = crops.Crop(0, crops.Box((0, 0), (2, 4)), (2, 8)), crops.Crop(0, crops.Box((0, 4), (2, 8)), (2, 8))
    assert first.without_cut(first.of(row), IGNORE).tolist() == [[1, 1, 0, -1], [1, 0, 0, 0]]
    assert last.without_cut(last.of(row), 0).tolist() == [[0, 0, 0, 3], [0, 0, 0, 3]]


def test_what_nobody_knows_is_not_taken_and_some_part_has_an_object():
    image = np.full((32, 32), IGNORE)
    image[8:16, 8:32] = 0
    image[10:12, 26:28] = 5
    (crop,) = spread_crops([image], pixels=64, side=8)
    assert crop.box.slices == np.s_[8:16, 24:32]
    everywhere = np.full((32, 32), 3)
    (whole,) = spread_crops([everywhere], pixels=64, side=8)
    assert whole.box.shape == (32, 32)
