"""Arrays saved by numpy: mapped, in any order, and never a pickle."""

import numpy as np
import pytest

from biounet.core.errors import ImageError
from biounet.io import open_lazily, read

STACK = np.arange(4 * 8 * 9, dtype=np.uint16).reshape(4, 8, 9)


@pytest.mark.parametrize("array", [STACK, np.asfortranarray(STACK), STACK.astype(">f8"), STACK.astype(bool)])
def test_order_and_bytes_of_an_array_do_not_matter(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    image = read(tmp_path / "a.npy")
    assert (image.axes, image.spacing) == ("ZYX", None)
    np.testing.assert_array_equal(image.array, array)


def test_axes_are_those_of_the_user(tmp_path):
    np.save(tmp_path / "a.npy", STACK.transpose(1, 2, 0))
    with pytest.raises(ImageError, match=r"a\.npy: 8 x 9 x 4 px .* give --axes YXC"):
        read(tmp_path / "a.npy")
    image = read(tmp_path / "a.npy", axes="YXC")
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.array, STACK)


def test_one_of_several_arrays_is_named(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, image=STACK, scale=np.arange(3), labels=STACK[0])
    with pytest.raises(ImageError, match=r"it holds 2 arrays; give one of image, labels, as a\.npz:/image"):
        read(path)
    np.testing.assert_array_equal(read(f"{path}:/labels").array, STACK[0])
    np.testing.assert_array_equal(read(path, series="image").array, STACK)


def test_the_only_array_needs_no_name(tmp_path):
    np.savez(tmp_path / "a.npz", STACK[0])
    assert read(tmp_path / "a.npz").axes == "YX"


class Evil:
    """What a pickle can hold: to read it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return self.folder.mkdir, ()


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_pickle_is_refused_and_not_run(tmp_path, suffix):
    objects = np.empty((8, 8), object)
    objects[0, 0] = Evil(tmp_path / "executed")
    (np.save if suffix == ".npy" else np.savez)(tmp_path / f"a{suffix}", objects)
    with pytest.raises(ImageError, match=rf"a\{suffix} holds Python objects as a pickle"):
        open_lazily(tmp_path / f"a{suffix}")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(("content", "said"), [(b"", "the file is empty"), (b"\x80\x04K\x01.", "magic string")])
def test_what_is_no_array_is_refused(tmp_path, content, said):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ImageError, match=rf"a\.npy cannot be read as an array of numpy \(.*{said}"):
        read(tmp_path / "a.npy")
