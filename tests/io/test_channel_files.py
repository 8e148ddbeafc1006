"""Channels in files of their own: one image, read by region."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io import ArrayImage, Image, open_lazily, plain_name, read
from biounet.io.channel_files import ChannelFiles, channel_files

GREYS = np.random.default_rng(0).integers(0, 200, (3, 5, 6)).astype(np.uint8)


def save(folder, *arrays):
    for number, array in enumerate(arrays):
        tifffile.imwrite(
            folder / f"case_{number:04}.tif", array, photometric="rgb" if array.shape[-1] == 3 else "minisblack"
        )
    return folder / "case_????.tif"


def test_files_become_channels(tmp_path):
    path = save(tmp_path, *GREYS)
    image = read(path)
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.array, GREYS)
    assert plain_name(path) == "case"
    assert [file.name for file in channel_files(path)] == ["case_0000.tif", "case_0001.tif", "case_0002.tif"]


def test_colours_in_one_file_are_its_channels(tmp_path):
    image = read(save(tmp_path, np.moveaxis(GREYS, 0, -1)))
    np.testing.assert_array_equal(image.array, GREYS)


def test_the_spacing_beside_a_stack_is_in_the_order_of_its_array(tmp_path):
    path = save(tmp_path, np.stack([GREYS[0]] * 4), np.stack([GREYS[1]] * 4))
    (tmp_path / "case.json").write_text(json.dumps({"spacing": [2.0, 0.5, 0.4]}))
    image = read(path)
    assert (image.axes, image.array.shape, image.spacing) == ("CZYX", (2, 4, 5, 6), (2.0, 0.5, 0.4))
    for text in ('{"spacing": [1]}', '{"spacing": [0, 1, 1]}', "{}", "no"):
        (tmp_path / "case.json").write_text(text)
        with pytest.raises(ImageError, match=r"case\.json"):
            open_lazily(path)


@given(st.data())
def test_any_region_is_that_of_the_whole(data):
    coloured = data.draw(st.booleans())
    parts = [ArrayImage(Image(GREYS if coloured else grey, "CYX" if coloured else "YX")) for grey in GREYS[:2]]
    whole = np.concatenate([GREYS, GREYS]) if coloured else GREYS[:2]
    ends = [sorted(data.draw(st.sets(st.integers(0, size), min_size=2, max_size=2))) for size in whole.shape]
    box = Box(*zip(*ends, strict=True))
    with_channels = ChannelFiles(Path("no/such/case_????.tif"), parts)
    np.testing.assert_array_equal(with_channels.read(box), whole[box.slices])


def test_missing_and_unequal_files_are_named(tmp_path):
    with pytest.raises(ImageError, match=r"there is no file case_0000\.tif"):
        read(tmp_path / "case_????.tif")
    with pytest.raises(ImageError, match="save all channels in one size"):
        read(save(tmp_path, GREYS[0], GREYS[1, 1:]))
