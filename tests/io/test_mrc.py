"""MRC: axes in any order, sizes in Angstrom, stacks that are no volumes, compressed maps."""

import mrcfile
import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import open_lazily, read

STACK = np.arange(4 * 8 * 9, dtype=np.float32).reshape(4, 8, 9)


def save(path, pixels, *, order=(1, 2, 3), size=None, volume=True, compression=None):
    with mrcfile.new(path, pixels, compression=compression) as file:
        if pixels.ndim == 3:
            file.set_volume() if volume else file.set_image_stack()
        if size is not None:
            file.voxel_size = size
        file.header.mapc, file.header.mapr, file.header.maps = order
    return path


@pytest.mark.parametrize(("order", "axes"), [((1, 2, 3), "ZYX"), ((3, 1, 2), "YXZ"), ((2, 1, 3), "ZXY")])
@pytest.mark.parametrize("suffix", [".mrc", ".map.gz", ".map.bz2"])
def test_axes_in_any_order_are_put_right(tmp_path, order, axes, suffix):
    kind = {"gz": "gzip", "bz2": "bzip2"}.get(suffix.rsplit(".", 1)[-1])
    path = save(tmp_path / f"a{suffix}", STACK, order=order, size=10.0, compression=kind)
    with open_lazily(path) as lazy:
        assert (lazy.axes, lazy.notes) == ("ZYX", ())
        assert lazy.spacing == pytest.approx((1e-3,) * 3)
        whole = lazy.read(Box((0, 0, 0), lazy.shape))
    np.testing.assert_array_equal(whole, STACK.transpose([axes.index(axis) for axis in "ZYX"]))


def test_a_size_of_zero_is_unknown_and_a_picture_is_flat(tmp_path):
    image = read(save(tmp_path / "a.mrc", STACK[0], size=0.0))
    assert (image.axes, image.spacing) == ("YX", None)


def test_pictures_that_are_no_volume_are_told(tmp_path):
    with open_lazily(save(tmp_path / "a.mrc", STACK, volume=False)) as lazy:
        assert "its 4 planes are taken for sections" in lazy.notes[0]


def test_a_torn_map_is_refused(tmp_path):
    path = save(tmp_path / "a.mrc", STACK)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ImageError, match=r"a\.mrc cannot be read as MRC"):
        read(path)
