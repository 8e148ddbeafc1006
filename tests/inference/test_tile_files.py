"""Tiles on disk: written one by one, read by any region."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.boxes import Box
from biounet.inference.tile_files import TileFiles

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(sizes, sizes, st.data())
def test_any_region_is_what_the_tiles_hold(tmp_path_factory, shape, step, data):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    files = TileFiles(tmp_path_factory.mktemp("tiles"), 1, shape, step)
    for box in files.boxes:
        assert not files.holds(box)
        files.write(box, image[box.slices])
        assert files.holds(box)
        assert not files.at(0).holds(box)
    stop = tuple(data.draw(st.integers(1, size)) for size in shape)
    start = tuple(data.draw(st.integers(0, end - 1)) for end in stop)
    np.testing.assert_array_equal(files.read(Box(start, stop)), image[Box(start, stop).slices])


def test_only_one_frame_is_forgotten(tmp_path):
    files = TileFiles(tmp_path, 0, shape=(2, 4), step=(2, 2), dtype=np.uint32)
    for frame in range(2):
        for number, box in enumerate(files.boxes):
            files.at(frame).write(box, np.full(box.shape, 70_000 + number))
    files.forget()
    files.forget()
    whole = Box((0, 0), (2, 4))
    assert files.at(1).read(whole)[0].tolist() == [70_000, 70_000, 70_001, 70_001]
    with pytest.raises(KeyError):
        files.read(whole)
