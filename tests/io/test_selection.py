"""What is read of a file that holds more than one image."""

from pathlib import Path

import numpy as np
import pytest

from biounet.core.boxes import Box
from biounet.core.errors import ConfigError, ImageError
from biounet.io import Image, Selection, open_lazily, read, write


@pytest.fixture
def film(tmp_path: Path) -> Path:
    pixels = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    write(tmp_path / "film.tif", Image(pixels, "TCYX"))
    return tmp_path / "film.tif"


def test_channels_come_in_the_order_they_are_asked_for(film):
    whole = read(film).array
    some = read(film, channel=(2, 0))
    assert some.axes == "TCYX"
    assert np.array_equal(some.array, whole[:, [2, 0]])


def test_one_channel_is_an_image_without_channels(film):
    one = read(film, channel=[1])
    assert one.axes == "TYX"
    assert np.array_equal(one.array, read(film).array[:, 1])


def test_a_region_of_some_channels(film):
    whole = read(film).array
    with open_lazily(film, channel=(2, 0, 1)) as file:
        region = file.read(Box((1, 1, 1, 2), (2, 3, 4, 5)))
    assert np.array_equal(region, whole[1:2, [0, 1], 1:4, 2:5])


def test_an_image_without_channels_has_one(tmp_path):
    write(tmp_path / "grey.png", Image(np.eye(4, dtype=np.uint8), "YX"))
    assert np.array_equal(read(tmp_path / "grey.png", channel=(0,)).array, np.eye(4))
    with pytest.raises(ImageError, match=r"grey.png: it has one channel, there is no channel 1"):
        read(tmp_path / "grey.png", channel=(1,))


def test_a_channel_that_is_not_there_is_refused(film):
    with pytest.raises(ImageError, match="channels 0 to 2, there is no channel 3"):
        read(film, channel=(3,))


@pytest.mark.parametrize("wrong", [{"level": -1}, {"channel": (-1,)}, {"channel": ()}, {"series": -2}])
def test_numbers_below_zero_are_refused(wrong):
    with pytest.raises(ConfigError, match="numbers from 0"):
        Selection(**wrong)


@pytest.mark.parametrize("axes", ["ABYX", "", "T0YX", "2YX"])
def test_axes_are_letters_with_sizes(axes):
    with pytest.raises(ConfigError, match="axes are letters of TCZYX"):
        Selection(axes)


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"series": 1}, "there is no series 1; leave out --series"), ({"level": 2}, "no level 2; leave out --level")],
)
def test_a_format_of_one_image_and_size_refuses_others(tmp_path, asked, words):
    write(tmp_path / "grey.png", Image(np.eye(4, dtype=np.uint8), "YX"))
    with pytest.raises(ImageError, match=words):
        read(tmp_path / "grey.png", **asked)
