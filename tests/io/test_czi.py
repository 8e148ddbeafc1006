"""CZI: channels, sections, scenes, colours and planes that are missing, as Zeiss's own library writes them."""

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import open_lazily, read
from other_programs import write_czi

PLANES = np.random.default_rng(0).integers(0, 60_000, (2, 3, 20, 30)).astype(np.uint16)


def stack(skip=()):
    numbers = [(c, z) for c in range(2) for z in range(3) if (c, z) not in skip]
    return {((("C", c), ("Z", z), ("T", 0)), None): PLANES[c, z] for c, z in numbers}


def test_channels_and_sections_have_their_place_and_size(tmp_path):
    write_czi(tmp_path / "a.czi", stack(), scale=(5e-7, 2e-7, 1e-7))
    image = read(tmp_path / "a.czi")
    assert (image.axes, image.array.dtype) == ("CZYX", np.uint16)
    assert image.spacing == pytest.approx((0.5, 0.2, 0.1))
    np.testing.assert_array_equal(image.array, PLANES)
    with open_lazily(tmp_path / "a.czi") as lazy:
        part = lazy.read(Box((1, 0, 3, 4), (2, 2, 20, 9)))
    np.testing.assert_array_equal(part, PLANES[1:, :2, 3:, 4:9])


def test_a_plane_that_is_missing_is_no_black_picture(tmp_path):
    write_czi(tmp_path / "a.czi", stack(skip=[(1, 1)]))
    with open_lazily(tmp_path / "a.czi") as lazy:
        np.testing.assert_array_equal(lazy.read(Box((0, 0, 0, 0), (1, 3, 20, 30))), PLANES[:1])
        with pytest.raises(ImageError, match=r"a\.czi: the plane .*1.* is missing"):
            lazy.read(Box((1, 1, 0, 0), (2, 2, 20, 30)))


def test_colours_are_red_green_and_blue(tmp_path):
    colours = np.random.default_rng(1).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    write_czi(tmp_path / "a.czi", {((), None): colours[..., ::-1]})  # the file has blue first
    image = read(tmp_path / "a.czi")
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.array, colours.transpose(2, 0, 1))


def test_scenes_are_images_of_their_own(tmp_path):
    write_czi(tmp_path / "a.czi", {((), scene): PLANES[0, scene] for scene in range(3)})
    with open_lazily(tmp_path / "a.czi") as lazy:
        assert lazy.shape == (20, 30)
        assert "the first (scene 0) is read; left out: 1 scene 1, 2 scene 2" in lazy.notes[0]
    for series in (2, "scene 2"):
        np.testing.assert_array_equal(read(tmp_path / "a.czi", series=series).array, PLANES[0, 2])


@pytest.mark.parametrize("content", [b"", b"ZISRAWFILE" + bytes(500), b"something else"])
def test_what_is_no_czi_is_refused(tmp_path, content):
    (tmp_path / "a.czi").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.czi cannot be read as CZI"):
        read(tmp_path / "a.czi")
