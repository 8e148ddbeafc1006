"""Size of the objects and looks of training images: the same from memory and from strips."""

import numpy as np
import pytest

from biounet.data.annotated_image import AnnotatedImage
from biounet.data.measure_learnt import KEPT, measure_learnt


def discs(name, *radii, spacing=None):
    """Discs in a row, far apart."""
    labels = np.zeros((80, 80 * len(radii)), np.int64)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    for number, radius in enumerate(radii):
        labels[(y - 40) ** 2 + (x - 40 - 80 * number) ** 2 < radius**2] = number + 1
    image = np.random.default_rng(len(radii)).normal(size=(1, *labels.shape)).astype(np.float32)
    return AnnotatedImage(name, image, labels, labels, spacing)


class InStrips:
    """An image that comes in two strips, the second of which has no rows of its own above."""

    in_memory = False

    def __init__(self, whole, at):
        self.whole, self.at, self.anisotropy, self.statistics = whole, at, whole.anisotropy, whole.statistics

    def strips(self):
        yield self.whole.cropped(slice(0, self.at + 10)), slice(0, self.at)
        yield self.whole.cropped(slice(self.at - 10, None)), slice(10, None)


def test_diameters_are_those_of_circles():
    learnt = measure_learnt([discs("a", 10, 10, 30), discs("b", 20)], numbered=True)
    assert learnt.diameter == pytest.approx(30, abs=0.5)  # of 20, 20, 40, 60: the middle
    assert learnt.diameters == pytest.approx((21, 39), abs=0.7)  # of 20 and 40, without 5 % on each side
    assert len(learnt.looks) == 2


def test_an_object_that_two_strips_share_is_one():
    whole = discs("a", 20, 30)
    assert measure_learnt([InStrips(whole, 40)], numbered=True) == measure_learnt([whole], numbered=True)


def test_pixels_are_along_x_where_they_are_not_square():
    learnt = measure_learnt([discs("a", 20, spacing=(0.4, 0.1))], numbered=True)
    assert learnt.diameter == pytest.approx(2 * 40, abs=0.5)  # four times the area


def test_unknown_pixels_and_classes_are_no_objects():
    unknown = discs("a", 20)
    unknown.labels[:, :10] = -1
    assert measure_learnt([unknown], numbered=True).diameter == measure_learnt([discs("a", 20)], numbered=True).diameter
    learnt = measure_learnt([discs("a", 20)], numbered=False)
    assert (learnt.diameter, learnt.diameters, len(learnt.looks)) == (None, None, 1)


def test_numbers_that_are_left_out_are_no_objects():
    far = discs("a", 20, 30)
    far.labels[far.labels == 2] = 900
    assert (
        measure_learnt([far], numbered=True).diameters == measure_learnt([discs("a", 20, 30)], numbered=True).diameters
    )


def test_of_many_images_some_looks_are_kept():
    rng = np.random.default_rng(0)
    labels = np.zeros((64, 64), np.int64)
    many = [
        AnnotatedImage(str(n), (rng.normal() * 3 + rng.normal(size=(1, 64, 64))).astype(np.float32), labels, labels)
        for n in range(60)
    ]
    assert len(measure_learnt(many, numbered=True).looks) == KEPT
