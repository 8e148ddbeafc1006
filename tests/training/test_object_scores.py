"""Objects compared with those of an expert: counts, and distances of outlines by hand."""

import math

import numpy as np
import pytest

from biounet.config.object_rules import ObjectRules
from biounet.training.object_scores import compare_objects, outline_error


def test_the_outlines_of_found_objects_alone_are_measured():
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 0, 3, -1]])
    result = np.array([[7, 7, 7, 0, 0, 0, 0, 0, 8, 8]])
    # Objects 1 and 3 are found: ends of 1 at 0 and 3 against 0 and 2, with what lies between at 0; of 3 all the same.
    assert outline_error([(truth, result)], spacing=1.0) == pytest.approx((0 + 0 + 0 + 1 + 0 + 0 + 0 + 0 + 0) / 9)
    assert outline_error([(truth, result)], spacing=(1.0, 0.5)) == pytest.approx(0.5 / 9)
    assert math.isnan(outline_error([(truth, np.zeros_like(truth))], spacing=1.0))
    assert math.isnan(outline_error([], spacing=1.0))


def test_objects_of_images_are_counted_image_by_image_and_their_pixels_together():
    interior = np.array([[0.0, 0.9, 0.9, 0.0, 0.9]], np.float32)
    truths = [np.array([[0, 1, 1, 0, 2]]), np.array([[0, 1, 0, 0, -1]])]
    found = compare_objects([np.stack([1 - interior, interior])] * 2, truths, ObjectRules(), spacing=(1.0, 1.0))
    assert [(row["objects"], row["predicted"], row["found"]) for row in found.per_image] == [(2, 2, 2), (1, 1, 1)]
    assert found.confusion.tolist() == [[4, 1], [0, 4]]
    assert found.outline_error == pytest.approx(1 / 9)  # a pixel too long, of three and six ends
