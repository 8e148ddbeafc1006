"""HDF5: datasets by path, axes of ilastik and of dimension labels, sizes, groups and broken files."""

import json

import h5py
import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import open_lazily, read

STACK = np.arange(4 * 8 * 9, dtype=np.uint16).reshape(4, 8, 9)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        yield opened


def test_one_of_several_datasets_is_named(file):
    file["volumes/raw"], file["volumes/labels"], file["names"] = STACK, STACK[0], np.arange(3)
    file["alias"] = h5py.SoftLink("/volumes/raw")
    path = file.filename
    file.close()
    with pytest.raises(ImageError, match=r"it holds 2 arrays; give one of volumes/labels, volumes/raw, as a\.h5:/"):
        read(path)
    np.testing.assert_array_equal(read(f"{path}:/volumes/raw").array, STACK)
    np.testing.assert_array_equal(read(path, series="volumes/labels").array, STACK[0])
    with pytest.raises(ImageError, match="there is no raw in it"):
        read(f"{path}:/raw")


@pytest.mark.parametrize(("order", "axes", "shape"), [("zyxc", "CZYX", (9, 5, 4, 8)), ("tyx", "TYX", (4, 8, 9))])
@pytest.mark.parametrize("way", ["axistags", "labels"])
def test_axes_are_named_as_ilastik_and_h5py_do(file, order, axes, shape, way):
    pixels = np.arange(np.prod((5, 4, 8, 9)[-len(order) :])).reshape((5, 4, 8, 9)[-len(order) :])
    data = file.create_dataset("raw", data=pixels, chunks=True, compression="gzip")
    if way == "axistags":
        data.attrs["axistags"] = json.dumps({"axes": [{"key": key, "resolution": 0} for key in order]})
    else:
        for axis, key in zip(data.dims, order, strict=True):
            axis.label = key
    path = file.filename
    file.close()
    image = read(path)
    assert (image.axes, image.array.shape) == (axes, shape)
    np.testing.assert_array_equal(image.array, pixels.transpose([order.upper().index(axis) for axis in axes]))


def test_sizes_of_elements_are_micrometres(file):
    file.create_dataset("raw", data=STACK).attrs["element_size_um"] = [0.5, 0.25, 0.125]
    path = file.filename
    file.close()
    with open_lazily(path) as lazy:
        assert lazy.spacing == (0.5, 0.25, 0.125)
        assert "taken for sections" in lazy.notes[0]
        np.testing.assert_array_equal(lazy.read(Box((1, 2, 3), (2, 4, 9))), STACK[1:2, 2:4, 3:])


def test_a_file_without_images_and_a_broken_one_are_refused(file, tmp_path):
    file["table"] = np.arange(3)
    path = file.filename
    file.close()
    with pytest.raises(ImageError, match=r"a\.h5 holds no array of two axes"):
        read(path)
    (tmp_path / "b.h5").write_bytes(b"no HDF5")
    with pytest.raises(ImageError, match=r"b\.h5 cannot be read as HDF5"):
        read(tmp_path / "b.h5")
