"""ND2: frames by time, section and position; frames that are missing. The library is played by a class of ours."""

import sys
from itertools import product
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import open_lazily, read

SIZES = {"P": 2, "T": 3, "Z": 2, "C": 2, "Y": 8, "X": 9}
PIXELS = np.arange(2 * 3 * 2 * 2 * 8 * 9, dtype=np.uint16).reshape(2, 3, 2, 2, 8, 9)


class FakeFile:
    """The part of `nd2.ND2File` that is used, with frames in the order of positions, times and sections."""

    sizes, dtype, frames, calibrated, pixels = SIZES, PIXELS.dtype, 12, True, PIXELS

    def __init__(self, path):
        loops = [axis for axis in self.sizes if axis in "PTZ"]
        where = product(*(range(self.sizes[axis]) for axis in loops))
        self.loop_indices = tuple(dict(zip(loops, index, strict=True)) for index in where)
        self.attributes = SimpleNamespace(sequenceCount=self.frames)
        volume = SimpleNamespace(axesCalibrated=(self.calibrated,) * 3)
        self.metadata = SimpleNamespace(channels=[SimpleNamespace(volume=volume)])

    def read_frame(self, number):
        plane = [self.sizes[axis] for axis in "CYXS" if axis in self.sizes]
        return self.pixels.reshape(-1, *plane)[number].squeeze()

    def voxel_size(self):
        return SimpleNamespace(x=0.1, y=0.2, z=0.5)

    def close(self):
        """Nothing is open."""


@pytest.fixture
def nd2(monkeypatch, tmp_path):
    """Give the library other properties; return the path of a file that it opens."""

    def play(**properties):
        module = ModuleType("nd2")
        module.ND2File = type("Played", (FakeFile,), properties)
        monkeypatch.setitem(sys.modules, "nd2", module)
        (tmp_path / "a.nd2").touch()
        return tmp_path / "a.nd2"

    return play


def test_positions_are_images_of_times_channels_and_sections(nd2):
    path = nd2()
    for position in range(2):
        image = read(path, series=position)
        assert (image.axes, image.spacing) == ("TCZYX", (0.5, 0.2, 0.1))
        np.testing.assert_array_equal(image.array, PIXELS[position].transpose(0, 2, 1, 3, 4))
    with open_lazily(path) as lazy:
        assert "the first (position 0) is read; left out: 1 position 1" in lazy.notes[0]


def test_one_frame_of_one_channel_is_a_plane(nd2):
    path = nd2(sizes={"Y": 8, "X": 9}, frames=1, pixels=PIXELS[0, 0, 0, 0])
    image = read(path)
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.array, PIXELS[0, 0, 0, 0])


def test_colours_are_channels(nd2):
    colours = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)
    path = nd2(sizes={"C": 1, "Y": 8, "X": 9, "S": 3}, dtype=colours.dtype, frames=1, pixels=colours)
    image = read(path)
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.array, colours.transpose(2, 0, 1))


def test_a_frame_that_is_missing_is_no_black_picture(nd2):
    with open_lazily(nd2(frames=11), series=1) as lazy:
        assert lazy.read(Box((2, 0, 0, 0, 0), (3, 1, 1, 8, 9))).max() > 0
        with pytest.raises(ImageError, match=r"a\.nd2: the frame {'T': 2, 'Z': 1} is missing"):
            lazy.read(Box((2, 0, 1, 0, 0), (3, 1, 2, 8, 9)))


def test_a_size_that_was_not_calibrated_is_unknown(nd2):
    assert read(nd2(calibrated=False)).spacing is None


def test_axes_that_no_image_here_has_are_refused(nd2):
    with pytest.raises(ImageError, match=r"a\.nd2: axes W of ND2 are not known"):
        read(nd2(sizes={"W": 2, "Y": 8, "X": 9}))
