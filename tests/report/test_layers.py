"""Layers of a picture, pixel by pixel."""

import numpy as np

from biounet.core.labels import IGNORE
from biounet.report import Picture
from biounet.report.found import find
from biounet.report.layers import BOTH, CLASS_COLORS, CONFUSED, RESULT, TRUTH, VIRIDIS, layers, stretch
from biounet.report.views import planes
from html_page import pixels
from report_pictures import classes_picture, objects_picture


def layers_of(picture, **options):
    (plane,) = planes(picture)
    return {name: pixels(address) for name, address in layers(plane, kind=picture.kind, **options)}


def colour(pixel):
    return tuple(int(part) for part in pixel[:3])


def test_objects_that_are_missed_false_and_merged_have_tints():
    truth, result = np.zeros((9, 24), int), np.zeros((9, 24), int)
    truth[2:7, 1:6] = 1
    result[2:7, 8:13] = 1
    truth[2:7, 15:19], truth[2:7, 19:23], result[2:7, 15:23] = 2, 3, 2
    picture = objects_picture(truth, result)
    found = find(truth, result)
    drawn = layers_of(picture, missed=found.missed(truth)[None], false=found.false(result)[None])["both"]
    assert colour(drawn[4, 3]) == TRUTH
    assert colour(drawn[4, 10]) == RESULT
    assert 0 < drawn[4, 3, 3] < 255
    assert drawn[0, 0, 3] == 0, "nothing lies on the background"
    # Each half has an IoU of exactly 1/2 with the merged object, which is found: so neither has a tint.
    assert drawn[4, 17, 3] == 0


def test_outlines_are_white_where_both_agree_and_blue_where_objects_of_the_expert_meet():
    truth, result = np.zeros((9, 12), int), np.zeros((9, 12), int)
    truth[2:7, 2:6], truth[2:7, 6:10] = 1, 2
    result[2:7, 2:10] = 1
    drawn = layers_of(objects_picture(truth, result))["both"]
    assert colour(drawn[2, 3]) == BOTH
    assert colour(drawn[4, 5]) == colour(drawn[4, 6]) == TRUTH
    assert drawn[4, 5, 3] == 255


def test_layers_of_expert_and_network_show_one_side():
    truth, result = np.zeros((9, 12), int), np.zeros((9, 12), int)
    truth[2:7, 1:5], result[2:7, 6:11] = 1, 1
    drawn = layers_of(objects_picture(truth, result))
    assert colour(drawn["expert"][2, 2]) == TRUTH
    assert drawn["expert"][2, 7, 3] == 0
    assert colour(drawn["network"][2, 7]) == RESULT
    assert drawn["network"][2, 2, 3] == 0


def test_numbers_are_colours():
    labels = np.array([[0, 1, 256, 65_537, IGNORE]])
    drawn = layers_of(objects_picture(labels, np.maximum(labels, 0)))["expert-numbers"]
    assert [red + 256 * green + 65_536 * blue for red, green, blue, _ in drawn[0].tolist()] == [
        0,
        1,
        256,
        65_537,
        2**24 - 1,
    ]


def test_stripes_show_where_no_expert_looked():
    truth = np.zeros((9, 9), int)
    truth[:, 5:] = IGNORE
    drawn = layers_of(objects_picture(truth, np.zeros((9, 9), int)))["both"]
    assert drawn[3, 5, 3] > 0  # every eighth diagonal: 3 + 5
    assert not drawn[4, 5:8, 3].any()
    assert not drawn[:, :5, 3].any()


def test_classes_have_their_colours_and_differences_three():
    truth, result = np.array([[0, 1, 2, 0, 1]]), np.array([[0, 1, 1, 1, 0]])
    drawn = layers_of(classes_picture(size=(1, 5), classes=3, truth=truth, result=result))
    assert [colour(pixel) for pixel in drawn["expert"][0, 1:3]] == [tuple(row) for row in CLASS_COLORS[1:3].tolist()]
    assert drawn["both"][0, :2, 3].tolist() == [0, 0]
    assert [colour(pixel) for pixel in drawn["both"][0, 2:]] == [CONFUSED, RESULT, TRUTH]
    assert "probability" not in drawn


def test_probabilities_run_from_dark_to_bright():
    probability = np.linspace(0, 1, 64, dtype=np.float32)[None]
    zeros = np.zeros((1, 64), int)
    drawn = layers_of(classes_picture(size=(1, 64), truth=zeros, result=zeros, probability=probability))["probability"]
    np.testing.assert_array_equal(drawn[0, 0, :3], VIRIDIS[0])
    np.testing.assert_array_equal(drawn[0, -1, :3], VIRIDIS[-1])
    lightness = drawn[0, :, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_images_share_the_contrast_of_the_target():
    target = np.array([[[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]])
    drawn = layers_of(Picture("a", target, target, target / 2, "image", {}))
    assert drawn["expert"][0, -1, 0] == 255
    assert drawn["network"][0, -1, 0] < 200
    assert drawn["difference"][0, 0].tolist() != drawn["difference"][0, -1].tolist()


def test_contrast_is_stretched_and_a_hot_pixel_does_not_matter():
    image = np.tile(np.arange(1000, 1064), (64, 1)).astype(np.float32)
    image[0, 0] = 60_000
    drawn = stretch(image[None])[0]
    assert drawn[5, 0] == 0
    assert drawn[5, 63] == 255


def test_constant_and_empty_images_are_grey():
    assert (stretch(np.full((1, 4, 4), 3, np.float32)) == 128).all()
    assert (stretch(np.full((1, 4, 4), np.nan, np.float32)) == 128).all()


def test_large_photographs_are_jpeg_and_their_labels_are_not():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (400, 400))
    (plane,) = planes(objects_picture(labels, labels, image=rng.random((400, 400))))
    kinds = {name: address[:15] for name, address in layers(plane, kind="objects")}
    assert kinds.pop("image") == "data:image/jpeg"
    assert set(kinds.values()) == {"data:image/png;"}
