"""Regions of Zarr arrays with small and large chunks."""

import json

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import Image, open_lazily, write
from biounet.io import zarr_chunks as module
from biounet.io.zarr_chunks import ChunkReader

zarr = pytest.importorskip("zarr")


@pytest.mark.parametrize("large", [0, 2**20], ids=["one by one", "together"])
def test_a_region_is_the_same_however_chunks_are_read(tmp_path, monkeypatch, large):
    monkeypatch.setattr(module, "LARGE", large)
    pixels = np.random.default_rng(0).integers(0, 255, (7, 50, 30)).astype(np.uint16)
    array = zarr.create_array(tmp_path / "a.zarr", shape=pixels.shape, chunks=(3, 16, 30), dtype="uint16")
    array[:] = pixels
    reader = ChunkReader(array, tmp_path / "a.zarr")
    for box in (Box((0, 0, 0), (7, 50, 30)), Box((2, 10, 3), (5, 49, 4)), Box((6, 0, 0), (7, 1, 1))):
        np.testing.assert_array_equal(reader.read(box.slices), pixels[box.slices])


def test_decoding_counts_a_chunk_as_stored_and_decoded_and_kept(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(2**15, 2**15), chunks=(2**14, 2**14), dtype="uint8")
    assert ChunkReader(array, tmp_path / "a.zarr").decoding_bytes == 3 * 2**28


def test_chunks_without_pixels_are_refused(tmp_path):
    write(tmp_path / "a.zarr", Image(np.ones((8, 8), np.uint8), "YX"))
    place = tmp_path / "a.zarr" / "0" / "zarr.json"
    told = json.loads(place.read_text())
    told["chunk_grid"]["configuration"]["chunk_shape"] = [0, 8]
    place.write_text(json.dumps(told))
    with pytest.raises(ImageError, match=r"a\.zarr"):
        open_lazily(tmp_path / "a.zarr")
