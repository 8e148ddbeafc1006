"""NRRD: kinds of axes, units, and pixels that are missing."""

import nrrd
import numpy as np
import pytest

from biounet.core.errors import ImageError
from biounet.io import open_lazily, read

STACK = np.arange(4 * 8 * 9, dtype=np.int16).reshape(4, 8, 9)
SPACE = {"space": "left-posterior-superior", "space directions": np.diag([0.5, -0.25, 2.0])}


def save(path, pixels, **header):
    nrrd.write(str(path), pixels.T, {name.replace("_", " "): value for name, value in header.items()})
    return path


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
def test_any_encoding_is_read_with_millimetres_of_the_patient(tmp_path, encoding, suffix):
    image = read(save(tmp_path / f"a{suffix}", STACK, encoding=encoding, **SPACE))
    assert (image.axes, image.array.dtype) == ("ZYX", np.int16)
    assert image.spacing == pytest.approx((2000, 250, 500))
    np.testing.assert_array_equal(image.array, STACK)


@pytest.mark.parametrize(
    ("header", "spacing"),
    [
        ({"spacings": [0.5, 0.25, 2.0]}, None),
        ({"spacings": [0.5, 0.25, 2.0], "units": ["um", "um", "um"]}, (2, 0.25, 0.5)),
        ({"space dimension": 3, "space directions": np.eye(3)}, None),
        ({**SPACE, "space units": ["um", "um", "um"]}, (2, 0.25, 0.5)),
    ],
)
def test_a_size_without_unit_and_space_is_unknown(tmp_path, header, spacing):
    image = read(save(tmp_path / "a.nrrd", STACK, **header))
    assert image.spacing == (None if spacing is None else pytest.approx(spacing))


@pytest.mark.parametrize(
    ("kind", "axes"), [("RGB-color", "CYX"), ("vector", "CYX"), ("time", "TYX"), ("domain", "ZYX")]
)
def test_kinds_say_what_axes_are(tmp_path, kind, axes):
    image = read(save(tmp_path / "a.nrrd", STACK, kinds=["domain", "domain", kind]))
    assert image.axes == axes
    np.testing.assert_array_equal(image.array, STACK)


def test_pixels_are_read_only_when_they_are_needed(tmp_path):
    path = save(tmp_path / "a.nhdr", STACK, encoding="raw")
    (tmp_path / "a.raw").unlink()
    with open_lazily(path) as lazy:
        assert lazy.shape == (4, 8, 9)
    with pytest.raises(ImageError, match=r"a\.nhdr"):
        read(path)
