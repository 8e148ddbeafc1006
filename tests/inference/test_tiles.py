"""Sizes, tiles and mirroring, against the paper and against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.boxes import ArrayReader, Box
from biounet.core.errors import ImageError, ShapeError
from biounet.core.geometry import Geometry
from biounet.inference.tiles import check_tile, mirrored_indices, plan_tiles, read_mirrored
from biounet.models.receptive_field import nearest_sizes, unet_geometry, valid_output_size


def paper_arithmetic(size: int, depth: int) -> int | None:
    """Figure 1 of the paper, walked through level by level; None where a pooling meets an odd size."""
    for _ in range(depth):
        size -= 4
        if size <= 0 or size % 2:
            return None
        size //= 2
    size -= 4
    for _ in range(depth):
        size = 2 * size - 4
    return size if size > 0 else None


@pytest.mark.parametrize(("size", "left"), [(572, 388), (188, 4), (204, 20)])
def test_sizes_of_the_paper(size, left):
    assert valid_output_size(size) == left


@given(st.integers(1, 700), st.integers(1, 5))
def test_output_size_is_the_arithmetic_of_figure_1(size, depth):
    expected = paper_arithmetic(size, depth)
    if expected is None:
        with pytest.raises(ShapeError, match="nearest sizes"):
            valid_output_size(size, depth=depth)
    else:
        assert valid_output_size(size, depth=depth) == expected


@given(st.integers(1, 700), st.integers(1, 5))
def test_nearest_sizes_fit_and_enclose(size, depth):
    below, above = nearest_sizes(size, depth=depth)
    assert paper_arithmetic(below, depth)
    assert paper_arithmetic(above, depth)
    assert above >= size
    assert not any(paper_arithmetic(between, depth) for between in range(max(below + 1, 1), above))


def test_padded_reach_is_followed_through_every_phase():
    # Depth 1: of an even pixel, skip +-4; through the pool: pixels -2..2 stand in half pixels -1..1, the bottom
    # makes it -3..3, that is -6..7, and the first block -8..9. The grid of 2 makes 9 into 10.
    assert unet_geometry(((2,),), padded=True).margin == (10,)


@pytest.mark.parametrize("padded", [True, False])
@given(depth=st.integers(0, 3), reach=st.integers(0, 20))
def test_a_widened_geometry_holds_as_much_more_in_phase(padded, depth, reach):
    own = unet_geometry(((2,),) * depth, padded=padded) if depth else Geometry((1,), (4,), (0,), padded)
    wide = own.widened((reach,))
    more = wide.margin[0] - own.margin[0]
    assert reach <= more < reach + own.grid[0]
    assert more % own.grid[0] == 0
    assert (wide.grid, wide.remainder, wide.padded) == (own.grid, own.remainder, own.padded)


def test_anisotropic_pooling_has_a_grid_per_axis():
    geometry = unet_geometry(((1, 2, 2), (2, 2, 2)), padded=True)
    assert geometry.grid == (2, 4, 4)
    assert all(margin % grid == 0 for margin, grid in zip(geometry.margin, geometry.grid, strict=True))


@given(st.lists(st.integers(1, 90), min_size=2, max_size=2), st.integers(1, 64), st.booleans(), st.integers(1, 3))
def test_tiles_fill_the_image_once_and_hold_their_context(shape, wanted, padded, depth):
    geometry = unet_geometry(((2, 2),) * depth, padded=padded)
    plan = plan_tiles(shape, (wanted, wanted), geometry)
    counted = np.zeros(shape, int)
    pixels = 0
    for tile in plan:
        counted[tile.output.slices] += 1
        pixels += tile.input.size
        assert tile.input.shape == plan.input_shape
        assert all(zero % grid == 0 for zero, grid in zip(tile.output.start, geometry.grid, strict=True))
        room = geometry.output_size(tile.input.shape)
        assert all(have >= need for have, need in zip(room, tile.output.shape, strict=True))
    assert (counted == 1).all()
    assert plan.redundancy == pixels / np.prod(shape)


@given(st.integers(2, 12), st.integers(0, 40), st.integers(0, 40))
def test_mirroring_is_that_of_numpy(size, before, after):
    expected = np.pad(np.arange(size), (before, after), mode="reflect")
    np.testing.assert_array_equal(mirrored_indices(-before, size + after, size), expected)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=3), st.data())
def test_mirrored_region_is_cut_from_the_mirrored_image(shape, data):
    image = np.arange(np.prod(shape)).reshape(1, *shape)
    start = [data.draw(st.integers(-12, size)) for size in shape]
    stop = [data.draw(st.integers(zero + 1, zero + 12)) for zero in start]
    got = read_mirrored(ArrayReader(image), Box(tuple(start), tuple(stop)))
    expected = image[0]
    for axis, (zero, end, size) in enumerate(zip(start, stop, shape, strict=True)):
        expected = expected.take([brute_mirror(at, size) for at in range(zero, end)], axis=axis)
    np.testing.assert_array_equal(got[0], expected)


def brute_mirror(at: int, size: int) -> int:
    """Bounce off the edges until inside."""
    while size > 1 and not 0 <= at < size:
        at = -at if at < 0 else 2 * (size - 1) - at
    return at if size > 1 else 0


def test_wrong_number_of_axes_is_said():
    with pytest.raises(ShapeError, match="2 spatial axes, the image has 3"):
        plan_tiles((8, 8, 8), (8, 8, 8), unet_geometry(((2, 2),), padded=True))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_tile_that_is_not_finite_is_refused_with_its_place(value):
    result = np.zeros((2, 3, 4, 5), np.float32)
    check_tile(result, Box((0, 8, 16), (3, 12, 21)))
    result[1, 2, 3, 4] = value
    with pytest.raises(ImageError, match=r"NaN or infinity at Z 0 to 3, Y 8 to 12, X 16 to 21; try"):
        check_tile(result, Box((0, 8, 16), (3, 12, 21)))
