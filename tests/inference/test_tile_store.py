"""What is put tile by tile is read by any region."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.boxes import Box
from biounet.core.geometry import Geometry
from biounet.inference.tile_store import TileStore
from biounet.inference.tiles import TilePlan

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(sizes, sizes, st.data())
def test_any_region_is_what_the_tiles_hold(tmp_path_factory, shape, step, data):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    tiles = TilePlan(shape, step, Geometry((1, 1), (0, 0), (0, 0), padded=True))
    folder = tmp_path_factory.mktemp("elevation")
    elevation, other = TileStore(folder, 1, tiles), TileStore(folder, 0, tiles)
    for index in np.ndindex(tiles.counts):
        assert not elevation.holds(index)
        elevation.put(index, image[tiles.tile(index).output.slices])
        assert elevation.holds(index)
        assert not other.holds(index)
    stop = tuple(data.draw(st.integers(1, size)) for size in shape)
    start = tuple(data.draw(st.integers(0, end - 1)) for end in stop)
    np.testing.assert_array_equal(elevation.read(Box(start, stop)), image[Box(start, stop).slices])
