"""The check of label images."""

import numpy as np
import pytest

from biounet.core.errors import LabelError, ShapeError
from biounet.core.labels import check_labels


def test_labels_are_integers_and_truth_values_where_asked_for():
    check_labels(np.array([0, -1, 7], np.int8))
    check_labels(np.array([True]), masks=True)
    for array in (np.array([True]), np.array([0.0]), np.array(["1"])):
        with pytest.raises(LabelError, match=f"the truth must be integers, got {array.dtype}"):
            check_labels(array, name="the truth")


def test_labels_fit_63_bits():
    check_labels(np.array([2**63 - 1], np.uint64))
    with pytest.raises(LabelError, match="label 9223372036854775808 does not fit 63 bits"):
        check_labels(np.array([2**63], np.uint64))


def test_axes_are_those_that_were_asked_for():
    check_labels(np.zeros((1, 2, 3, 4), int))
    check_labels(np.zeros((2, 3), int), axes=("YX", "ZYX"))
    with pytest.raises(ShapeError, match=r"must have axes YX or ZYX, got shape \(3,\)"):
        check_labels(np.zeros(3, int), axes=("YX", "ZYX"))
