"""Arrays in a folder behave like those in a dict."""

import numpy as np
import pytest

from biounet.core.array_store import ArrayFolder
from biounet.core.errors import OutputError


def test_it_is_a_mapping(tmp_path):
    arrays, model = ArrayFolder(tmp_path), {}
    for mapping in (arrays, model):
        mapping[1, 2] = np.arange(6, dtype=np.uint32).reshape(2, 3)
        mapping[0, 10] = np.zeros((0, 4))
        mapping[1, 2] = mapping[1, 2] * 2
        mapping[5,] = np.ones(3, np.uint8)
        del mapping[5,]
    assert sorted(arrays) == sorted(model)
    assert len(arrays) == 2
    for key, array in model.items():
        assert arrays[key].dtype == array.dtype
        np.testing.assert_array_equal(arrays[key], array)


def test_what_is_not_there_is_said(tmp_path):
    arrays = ArrayFolder(tmp_path)
    with pytest.raises(KeyError):
        arrays[3, 4]
    with pytest.raises(KeyError):
        del arrays[3, 4]
    assert (3, 4) not in arrays
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not be written"):
        ArrayFolder(tmp_path / "file")[0,] = np.zeros(1)


def test_what_a_killed_process_left_half_written_is_not_there(tmp_path):
    arrays = ArrayFolder(tmp_path)
    arrays[0, 1] = np.zeros(1)
    (tmp_path / ".0-2.writing.npy").write_bytes(b"torn")
    assert list(arrays) == [(0, 1)]
