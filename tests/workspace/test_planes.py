"""Planes of images: regions and levels, of small images and of large ones; and smaller copies that are made once."""

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import Image, write
from biounet.workspace import ImagePlanes, NotReadyError
from biounet.workspace import planes as planes_module
from biounet.workspace.planes import RecentPlanes


@pytest.fixture
def stack(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 60000, (2, 3, 600, 700)).astype(np.uint16)
    write(tmp_path / "stack.tif", Image(pixels, "CZYX", (2.0, 0.5, 0.5)))
    return pixels, tmp_path / "stack.tif"


@pytest.mark.parametrize("whole", [2**26, 0])
def test_regions_of_all_levels_are_means_of_the_pixels(stack, tmp_path, monkeypatch, request, whole):
    pixels, path = stack
    monkeypatch.setattr(planes_module, "WHOLE", whole)
    planes = ImagePlanes(path, tmp_path / "levels")
    request.addfinalizer(planes.close)
    assert (planes.sizes, planes.levels) == ({"T": 1, "C": 2, "Z": 3, "Y": 600, "X": 700}, 3)
    box = Box((100, 50), (180, 130))
    assert (planes.read((0, 1), box) == pixels[:, 1, 100:180, 50:130]).all()
    if not whole:
        with pytest.raises(NotReadyError, match="smaller copies"):
            planes.read((0, 1), Box((0, 0), (8, 8)), level=1)
        assert planes.needs_pyramid((0, 1))
        assert list(planes.pyramid((0, 1)).make())[-1] == 1
        planes.close()
        assert list(ImagePlanes(path, tmp_path / "levels").pyramid((0, 1)).make()) == []
    assert not planes.needs_pyramid((0, 1))
    half = pixels[:, 1].reshape(2, 300, 2, 350, 2).mean(axis=(2, 4))
    found = planes.read((0, 1), Box((10, 20), (300, 350)), level=1)
    assert np.abs(found - half[:, 10:, 20:]).max() <= 1
    assert planes.read((0, 1), Box((0, 0), (150, 175)), level=2).shape == (2, 150, 175)


def test_an_image_that_has_gone_and_a_plane_that_is_not_there_are_told(stack, tmp_path):
    _, path = stack
    planes = ImagePlanes(path, tmp_path / "levels")
    with pytest.raises(ImageError, match="no plane"):
        planes.read((0, 3), Box((0, 0), (8, 8)))
    path.unlink()
    with pytest.raises(ImageError, match=r"stack\.tif"):
        planes.read((0, 0), Box((0, 0), (8, 8)))


def test_the_range_that_is_shown_leaves_out_hot_pixels(tmp_path):
    pixels = np.full((300, 300), 100, np.uint16)
    pixels[:150] = 200
    pixels[0, 0] = 65535
    write(tmp_path / "a.tif", Image(pixels, "YX"))
    ((low, high),) = ImagePlanes(tmp_path / "a.tif", tmp_path / "levels").display_range((0, 0))
    assert low == 100
    assert high <= 200


def test_contrast_is_that_of_pixels_also_where_the_smallest_level_is_made_of_means(tmp_path):
    pixels = np.zeros((600, 600), np.uint8)
    pixels[::2, ::2] = 200
    write(tmp_path / "a.tif", Image(pixels, "YX"))
    assert ImagePlanes(tmp_path / "a.tif", tmp_path / "levels").display_range((0, 0)) == [(0, 200)]


def test_of_many_images_only_the_last_planes_are_kept(tmp_path):
    recent, read = RecentPlanes(most=250), []

    def levels():
        read.append(1)
        return [np.zeros(100, np.uint8)]

    for name in ("a", "b", "a", "c", "a", "b"):
        recent.get(tmp_path / name, (0, 0), levels)
    assert len(read) == 4  # b made room for c
    recent.get(tmp_path / "large", (0, 0), lambda: [np.zeros(1000, np.uint8)])
    recent.get(tmp_path / "large", (0, 0), levels)
    assert len(read) == 4


def test_fractions_travel_as_integers_that_leave_room_on_both_sides(tmp_path):
    pixels = np.linspace(0.25, 0.75, 100).reshape(10, 10).astype(np.float32)
    write(tmp_path / "a.tif", Image(pixels, "YX"))
    planes = ImagePlanes(tmp_path / "a.tif", tmp_path / "levels")
    assert planes.extent == pytest.approx((-0.25, 1.25), abs=0.01)
    ((dark, bright),) = planes.travelling_range()
    assert (dark, bright) == pytest.approx((65535 / 3, 65535 * 2 / 3), rel=0.01)
