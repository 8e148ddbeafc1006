"""Weight maps: against the textbook, by hand, and by their laws."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import distance_transform_edt, label

from biounet.core.errors import LabelError, ShapeError
from biounet.core.labels import IGNORE
from biounet.data.targets import separate_touching, touching
from biounet.data.weight_maps import border_weights, class_weights, weight_map

LAWS = settings(max_examples=60, deadline=None)
shapes = st.one_of(st.tuples(*[st.integers(1, 12)] * 2), st.tuples(*[st.integers(1, 7)] * 3))
label_images = shapes.flatmap(
    lambda shape: hnp.arrays(np.int32, shape, elements=st.integers(IGNORE, 4), fill=st.just(0))
)


def textbook(labels, *, w0=10.0, sigma=5.0, spacing=1.0):
    """Equation 2 word for word: a distance transform of the whole image per cell."""
    cells = np.unique(labels[labels > 0])
    if len(cells) < 2:
        return np.zeros(labels.shape)
    distances = np.sort([distance_transform_edt(labels != cell, sampling=spacing) for cell in cells], axis=0)
    return np.where(labels == 0, w0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2)), 0)


def boxes(shape, count, *, largest=12, seed=0):
    """Cells that are boxes, on top of each other, some in pieces, and a few unknown pixels."""
    rng, labels = np.random.default_rng(seed), np.zeros(shape, np.int64)
    for number in range(1, count + 1):
        corner = [rng.integers(size) for size in shape]
        labels[tuple(slice(start, start + rng.integers(1, largest)) for start in corner)] = number
    labels[rng.random(shape) < 0.02] = IGNORE
    return labels


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((60, 70), 1.0), ((60, 70), (2.0, 0.7)), ((20, 30, 40), (3.0, 1.0, 1.0)), ((1, 80), 1.0), ((80, 1), 1.0)],
)
@pytest.mark.parametrize("count", [2, 5, 40])
def test_border_weights_are_those_of_the_textbook(shape, spacing, count):
    labels = boxes(shape, count)
    assert border_weights(labels, spacing=spacing) == pytest.approx(textbook(labels, spacing=spacing), abs=1e-4)


@LAWS
@given(labels=label_images, sigma=st.sampled_from([0.5, 2.0, 20.0]), scale=st.sampled_from([0.1, 1.0, 3.0]))
def test_border_weights_of_any_labels_are_those_of_the_textbook(labels, sigma, scale):
    spacing = scale * np.arange(1, labels.ndim + 1)
    weights = border_weights(labels, sigma=sigma, spacing=spacing)
    assert weights.dtype == np.float32
    assert weights == pytest.approx(textbook(labels, sigma=sigma, spacing=spacing), abs=1e-4)


def test_the_gap_between_two_cells_by_hand():
    weights = border_weights(np.array([[1, 0, 0, 2, 0]]))
    assert weights.tolist() == [
        [0, *[pytest.approx(10 * np.exp(-9 / 50))] * 2, 0, pytest.approx(10 * np.exp(-25 / 50))]
    ]


def test_distances_are_in_the_unit_of_spacing():
    stack = np.array([1, 0, 2]).reshape(3, 1, 1)
    assert border_weights(stack, spacing=(5, 1, 1))[1, 0, 0] == pytest.approx(10 * np.exp(-100 / 50))


def test_two_pieces_of_one_number_are_one_cell():
    assert not border_weights(np.array([[1, 0, 1]])).any()
    assert border_weights(np.array([[1, 0, 1, 0, 0, 2]]))[0, 1] == pytest.approx(10 * np.exp(-25 / 50))


@pytest.mark.parametrize("labels", [np.zeros((5, 5), int), np.full((5, 5), IGNORE), np.eye(5, dtype=int)])
def test_fewer_than_two_cells_have_no_border(labels):
    assert not border_weights(labels).any()


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
@pytest.mark.parametrize("function", [border_weights, touching, partial(separate_touching, width=2)])
def test_numbers_of_cells_may_be_of_any_size(function, dtype):
    small = np.maximum(boxes((40, 40), 6), 0).astype(dtype)
    large = np.where(small > 0, small + dtype(2**62), dtype(0))
    assert np.array_equal(function(small), function(large))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint64])
def test_every_integer_type_will_do_and_stays_as_it_was(dtype):
    labels = np.array([[1, 0, 2]], dtype=dtype)
    assert border_weights(labels)[0, 1] == pytest.approx(10 * np.exp(-4 / 50))
    assert labels.tolist() == [[1, 0, 2]]


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (ValueError, {"sigma": 0.0}),
        (ValueError, {"sigma": np.nan}),
        (ValueError, {"w0": -1.0}),
        (ValueError, {"spacing": 0.0}),
        (ValueError, {"spacing": (1.0, 1.0, 1.0)}),
    ],
)
def test_border_weights_refuse_options_without_meaning(error, options):
    with pytest.raises(error, match="must be positive"):
        border_weights(np.zeros((4, 4), int), **options)


@pytest.mark.parametrize("function", [border_weights, class_weights, weight_map, touching, separate_touching])
@pytest.mark.parametrize("dtype", [float, bool])
def test_labels_must_be_integers(function, dtype):
    with pytest.raises(LabelError, match="must be integers"):
        function(np.zeros((4, 4), dtype))


def test_class_weights_by_hand():
    labels = np.array([[0, 0, 0, 0, 0, 0, 1, 1, 2], [IGNORE] * 9])
    assert class_weights(labels) == pytest.approx([9 / (3 * 6), 9 / (3 * 2), 9 / 3])
    assert class_weights(labels).dtype == np.float32


@LAWS
@given(labels=hnp.arrays(np.int64, st.integers(1, 50), elements=st.integers(IGNORE, 3)))
def test_class_weights_balance_and_average_to_one(labels):
    weights = class_weights(labels, classes=4)
    counts = np.bincount(labels[labels >= 0], minlength=4)
    assert weights[counts == 0] == pytest.approx(1)
    if counts.any():
        shares = (weights * counts)[counts > 0]
        assert shares == pytest.approx(shares[0])
        assert shares.sum() == pytest.approx(counts.sum())


def test_class_weights_of_a_training_set_are_those_of_all_its_pixels():
    images = [np.array([0, 0, 1]), np.array([[2, IGNORE], [0, 0]])]
    together = class_weights(np.array([0, 0, 1, 2, 0, 0]))
    assert np.array_equal(class_weights(images), together)
    assert np.array_equal(class_weights(iter(images), classes=3), together)


def test_a_class_beyond_the_last_is_refused():
    with pytest.raises(LabelError, match="below 2, got 255"):
        class_weights(np.array([0, 255]), classes=2)


def test_the_full_map_is_class_weights_plus_border_weights():
    objects = boxes((30, 40), 8)
    target = np.where(objects < 0, objects, objects > 0)
    known, balance = target >= 0, np.array([0.5, 2.0])
    weights = weight_map(target, objects=objects, balance=balance, w0=3.0, sigma=2.0)
    assert weights[known] == pytest.approx((balance[target] + border_weights(objects, w0=3.0, sigma=2.0))[known])
    assert not weights[~known].any()
    assert weight_map(target)[known] == pytest.approx(class_weights(target)[target[known]])


def test_target_and_objects_must_fit():
    with pytest.raises(ShapeError, match="one shape"):
        weight_map(np.zeros((4, 4), int), objects=np.zeros((4, 5), int))


def test_touching_is_side_by_side_or_corner_by_corner_or_across_a_gap():
    assert touching(np.array([[1, 0], [0, 2]]))
    assert not touching(np.array([[1, 1], [1, IGNORE]]))
    assert not touching(np.array([[1, 0, 0, 2]]), gap=1)
    assert touching(np.array([[1, 0, 0, 2]]), gap=2)
    assert touching(np.array([[[1]], [[2]]]))


@LAWS
@given(labels=label_images, width=st.sampled_from([1, 2]))
def test_after_separation_each_piece_is_of_one_object_and_only_contacts_changed(labels, width):
    target = separate_touching(labels, width=width)
    assert np.array_equal(target[labels <= 0], labels[labels <= 0])
    assert set(np.unique(target[labels > 0])) <= {0, 1}
    pieces, count = label(target == 1, structure=np.ones((3,) * labels.ndim))
    for piece in range(1, count + 1):
        assert len(np.unique(labels[pieces == piece])) == 1
    if not touching(labels):
        assert np.array_equal(target, np.minimum(labels, 1))


def test_the_ridge_between_touching_cells_weighs_most():
    objects = np.array([[1, 1, 1, 2, 2, 2]])
    weights = weight_map(separate_touching(objects), objects=objects, balance=np.ones(2))
    assert weights[0] == pytest.approx([1, 1, 1 + 10 * np.exp(-4 / 50), 1, 1, 1])


def test_a_ridge_has_the_width_asked_for():
    labels = np.array([[1, 1, 1, 2, 2, 2]] * 3)
    assert separate_touching(labels).tolist() == [[1, 1, 0, 1, 1, 1]] * 3
    assert separate_touching(labels, width=2).tolist() == [[1, 1, 0, 0, 1, 1]] * 3
    with pytest.raises(ValueError, match="1 or 2"):
        separate_touching(labels, width=3)
