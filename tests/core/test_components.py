"""Renumbering and connected components, against numpy and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import generate_binary_structure, label

from biounet.core.components import dense_numbers, in_pieces, label_objects, number_objects, number_pieces
from biounet.core.errors import LabelError

SHAPES = arrays.array_shapes(min_dims=2, max_dims=3, max_side=6)
NUMBERS = st.sampled_from([-(2**40), -1, 0, 0, 1, 2, 3, 70_000, 2**40])


@given(arrays.arrays(np.int64, SHAPES, elements=NUMBERS), st.booleans())
def test_numbers_have_no_gaps_and_come_in_the_order_of_first_pixels(labels, background):
    numbers, names = number_objects(labels, background=background)
    least = 0 if background else 1
    in_order = list(dict.fromkeys(labels[labels >= least].tolist()))
    assert names.tolist() == ([] if background else [0]) + in_order
    assert numbers.dtype == np.int32
    assert (names[numbers[labels >= least]] == labels[labels >= least]).all()
    assert (numbers[labels < least] == least - 1).all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.uint32, np.uint64])
def test_numbers_of_every_type(dtype):
    numbers, names = number_objects(np.array([[0, 1], [1, 0]], dtype))
    assert numbers.tolist() == [[0, 1], [1, 0]]
    assert names.tolist() == [0, 1]


def test_of_no_pixels_there_are_no_numbers():
    assert number_objects(np.zeros((0, 3), int))[1].tolist() == [0]
    assert number_objects(np.zeros((0, 3), int), background=True)[1].tolist() == []


@given(arrays.arrays(np.int64, SHAPES, elements=NUMBERS))
def test_dense_numbers_keep_the_order_of_labels(labels):
    numbers = dense_numbers(labels)
    pairs = np.unique(np.stack([np.maximum(labels, 0), numbers]).reshape(2, -1), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    assert (np.diff(pairs[1]) > 0).all()
    assert numbers.max() <= max(labels.size, 1)
    assert not numbers[labels <= 0].any()


def test_dense_numbers_are_of_integers():
    with pytest.raises(LabelError, match="integers, got float64"):
        dense_numbers(np.zeros((2, 2)))


@given(arrays.arrays(bool, SHAPES), st.booleans(), st.sampled_from("CF"))
def test_components_are_those_of_scipy_in_the_order_of_first_pixels(mask, corners, order):
    objects = label_objects(np.asarray(mask, order=order), corners=corners)
    theirs, count = label(mask, generate_binary_structure(mask.ndim, mask.ndim if corners else 1))
    assert objects.max() == count
    assert (number_objects(theirs)[0] == objects).all()


def test_pieces_of_an_object_meet_at_corners():
    labels = np.array([[7, 0, 7], [0, 7, 0], [3, 0, 7]])
    assert number_pieces(labels)[1].tolist() == [0, 7, 3]
    assert in_pieces(labels) == {}
    labels[1, 1] = -1
    assert in_pieces(labels) == {7: 3}
