"""Arrays of other libraries as images: order of axes, byte order, guesses, and which of several images is meant."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io.selection import Selection
from biounet.io.sliced import Planes, SlicedImage, WholeArray, pick_series, plain_axes

PATH = Path("a.npy")
SHAPE = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}


@given(st.permutations("TCZYX"), st.sampled_from([">u2", "<u2", ">f4"]), st.randoms())
def test_any_order_of_axes_is_read_in_the_order_tczyx(order, dtype, chance):
    array = np.arange(720).reshape([SHAPE[axis] for axis in order]).astype(dtype)
    image = SlicedImage(PATH, array, "".join(order), {"Z": 3.0, "Y": 2.0, "X": 1.0}, kind="npy")
    wanted = array.transpose([order.index(axis) for axis in "TCZYX"])
    assert (image.axes, image.shape, image.spacing) == ("TCZYX", wanted.shape, (3.0, 2.0, 1.0))
    start = tuple(chance.randrange(size) for size in wanted.shape)
    box = Box(start, tuple(chance.randint(first + 1, size) for first, size in zip(start, wanted.shape, strict=True)))
    pixels = image.read(box)
    assert pixels.dtype == image.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(pixels, wanted[box.slices])


def test_truth_values_are_numbers_and_what_is_no_number_is_refused():
    image = SlicedImage(PATH, np.eye(8, dtype=bool), "YX", {}, kind="npy")
    assert image.read(Box((0, 0), (1, 2))).tolist() == [[1, 0]]
    closed = []
    with pytest.raises(ImageError, match=r"a\.npy: pixels are of type complex128"):
        SlicedImage(PATH, np.zeros((8, 8), complex), "YX", {}, kind="npy", close=lambda: closed.append(1))
    assert closed == [1]


def test_pixels_that_are_not_numbers_or_not_there_are_refused():
    array = np.full((8, 8), np.nan)
    with pytest.raises(ImageError, match=r"a\.npy: 64 of 64 pixels are NaN"):
        SlicedImage(PATH, array, "YX", {}, kind="npy").read(Box((0, 0), (8, 8)))
    torn = WholeArray((8, 8), np.dtype(float), lambda: np.zeros((8, 5)))
    with pytest.raises(ImageError, match=r"a\.npy: a region of \(8, 8\) px has \(8, 5\)"):
        SlicedImage(PATH, torn, "YX", {}, kind="npy").read(Box((0, 0), (8, 8)))


def test_planes_of_unknown_meaning_are_taken_for_sections_and_that_is_said():
    array = np.zeros((4, 8, 9))
    guessed = SlicedImage(PATH, array, "IYX", {}, kind="npy")
    assert guessed.axes == "ZYX"
    assert guessed.notes == ("its 4 planes are taken for sections (Z); if it is a film give --axes TYX",)
    told = SlicedImage(PATH, array, "IYX", {}, kind="npy", axes="TYX")
    assert (told.axes, told.notes) == ("TYX", ())


@pytest.mark.parametrize(
    ("shape", "said"), [((64, 64, 2), "2 columns; if the last axis is channels"), ((9,), "two axes")]
)
def test_shapes_that_are_hardly_images_are_refused(shape, said):
    with pytest.raises(ImageError, match=said):
        plain_axes(shape, "a.npy", None)


def test_whoever_names_the_axes_is_not_doubted():
    assert plain_axes((64, 64, 2), "a.npy", "YXC") == "IYX"


def test_a_whole_array_is_read_once_and_only_when_it_is_needed():
    calls = []
    array = WholeArray((2, 3), np.dtype(float), lambda: calls.append(1) or np.ones((2, 3)))
    assert calls == []
    assert array[:, 1:].tolist() == array[:, 1:].tolist() == [[1, 1], [1, 1]]
    assert calls == [1]


def test_what_is_decoded_at_once_is_counted():
    def image(array, **options):
        return SlicedImage(PATH, array, "ZYX", {}, kind="npy", **options).decoding_bytes

    assert image(np.zeros((4, 8, 9))) == 0
    assert image(np.zeros((4, 8, 9)), chunk=(2, 8, 8)) == 2 * 8 * 8 * 8
    assert image(WholeArray((4, 8, 9), np.dtype("u2"), lambda: np.zeros((4, 8, 9)))) == 4 * 8 * 9 * 2
    assert image(Planes((4,), (8, 9), np.dtype("u2"), lambda at: np.zeros((8, 9)))) == 8 * 9 * 2


def test_only_the_planes_of_a_region_are_read():
    asked = []
    array = Planes((4, 3), (5, 6), np.dtype(int), lambda at: asked.append(at) or np.full((5, 6), 10 * at[0] + at[1]))
    assert array[1:3, 2:3, 0:1, 0:2].tolist() == [[[[12, 12]]], [[[22, 22]]]]
    assert asked == [(1, 2), (2, 2)]


@pytest.mark.parametrize(("series", "number"), [(None, 0), (1, 1), ("1", 1), ("right", 1)])
def test_an_image_is_chosen_by_number_or_name(series, number):
    assert pick_series(["left", "right"], Selection(series=series), Path("a.lif"), "LIF")[0] == number


@pytest.mark.parametrize("series", [2, "middle"])
def test_an_image_that_is_not_there_is_refused_with_the_list(series):
    with pytest.raises(ImageError, match=rf"a\.lif: there is no series {series}; .* 0 left, 1 right"):
        pick_series(["left", "right"], Selection(series=series), Path("a.lif"), "LIF")
