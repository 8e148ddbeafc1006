"""Pictures and their planes: sizes, sections and cuts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.errors import LabelError, ShapeError
from biounet.report import Picture
from biounet.report.views import LARGEST, LARGEST_OF_STACK, MOST_OF_STACK, badness, planes
from report_pictures import classes_picture, objects_picture


def test_errors_are_worst_where_they_are_high_and_missing_scores_come_last():
    scores = [{"rand_error": 0.1}, {}, {"rand_error": 0.3}, {"rand_error": math.nan}]
    ranked = sorted([classes_picture(scores=one) for one in scores], key=badness, reverse=True)
    assert [item.scores.get("rand_error") for item in ranked[:2]] == [0.3, 0.1]


def test_a_large_image_is_shown_smaller_and_says_so():
    size = (4, 2 * LARGEST + 1)
    image = np.arange(size[1]) * np.ones((4, 1))
    (plane,) = planes(objects_picture(image.astype(int), image.astype(int), image=image))
    assert plane.notes == ("shown at 1/3 of its size",)
    np.testing.assert_array_equal(plane.image[0, 0, 0, :3], [1, 4, 7])  # means of 0..2, 3..5, 6..8
    np.testing.assert_array_equal(plane.truth[0, 0, :3], [1, 4, 7])  # the pixels in the middle


@given(st.integers(1, 40), st.integers(LARGEST + 1, 3 * LARGEST))
def test_all_that_is_shown_has_one_size(rows, columns):
    (plane,) = planes(classes_picture(size=(rows, columns)))
    sizes = {plane.image.shape[-2:], plane.truth.shape[1:], plane.result.shape[1:], plane.probability.shape[1:]}
    (size,) = sizes
    assert 1 <= max(size) <= LARGEST


def test_sections_and_cuts_of_a_stack_by_hand():
    stack = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    along_z, along_y, along_x = planes(objects_picture(stack, stack, anisotropy=(3.0, 1.0, 1.0)))
    assert (along_z.axis, along_y.axis, along_x.axis) == ("Z", "Y", "X")
    np.testing.assert_array_equal(along_z.result, stack)
    np.testing.assert_array_equal(along_y.result[1], stack[:, 1])  # rows are z, columns x
    np.testing.assert_array_equal(along_x.result[2], stack[:, :, 2].T)  # rows are y, columns z
    assert (along_z.ratio, along_y.ratio, along_x.ratio) == (4 / 3, 4 / 6, 2)  # 4 : 3, 4 : 2 * 3, 2 * 3 : 3


def test_a_large_stack_is_bounded():
    (along_z, *cuts) = planes(objects_picture(None, np.zeros((40, 700, 500), np.uint8)))
    assert along_z.result[0].shape <= (LARGEST_OF_STACK, LARGEST_OF_STACK)
    assert along_z.result.size <= MOST_OF_STACK
    assert along_z.sections[along_z.first] in range(15, 25)
    assert [cut.result.shape for cut in cuts] == [(8, 40, 167), (8, 233, 40)]


@pytest.mark.parametrize("what", ["image", "truth", "probability"])
def test_arrays_that_do_not_fit_are_named(what):
    with pytest.raises(ShapeError, match=rf"a.tif: {what} must have the size \(12, 16\)"):
        classes_picture(**{what: np.zeros((12, 15), int)})


def test_a_class_beyond_the_classes_is_refused():
    with pytest.raises(LabelError, match=r"a.tif: the truth has class 7, but there are 2 classes; give kind='objects'"):
        classes_picture(truth=np.full((12, 16), 7))


def test_a_picture_of_images_has_channels():
    image = np.zeros((3, 4, 5))
    picture = Picture("a", image, image, image, "image", {})
    assert picture.size == (4, 5)
    assert planes(picture)[0].result.shape == (1, 3, 4, 5)
