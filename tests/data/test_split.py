"""Holding out for validation: stacks by their last sections, single images evenly, folds."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.errors import DatasetError
from biounet.data import Dataset, Pair, find_dataset, folds, load, split
from small_sets import CELLS, IMAGE, make_set


def singles(count):
    return tuple(Pair(f"{i}.tif", Path(f"{i}.tif"), (Path("l.tif"),), f"{i}", shape=(1, 8, 8)) for i in range(count))


def stack(count, name="stack"):
    return tuple(
        Pair(f"{name}[{i}]", Path(name), (Path("l.tif"),), name, section=i, shape=(1, 8, 8)) for i in range(count)
    )


def test_the_last_sections_of_each_stack_are_held_out():
    both = Dataset("two", "ISBI 2012", stack(24, "a") + stack(6, "b"))
    held = split(both, 1 / 6)
    assert [pair.name for pair in held.validation] == ["a[20]", "a[21]", "a[22]", "a[23]", "b[5]"]
    assert len(held.train) == 25
    assert "5 of 30 images (a[20], a[21], ..., b[5])" in held.notes[0]


def test_single_images_are_held_out_evenly():
    held = split(Dataset("set", "images and labels", singles(9)), 1 / 3)
    assert [pair.name for pair in held.validation] == ["1.tif", "4.tif", "7.tif"]


@given(st.integers(2, 40), st.floats(0, 1, exclude_max=True), st.booleans())
def test_every_image_is_either_trained_on_or_held_out(count, fraction, stacked):
    pairs = stack(count) if stacked else singles(count)
    held = split(Dataset("set", "any", pairs), fraction)
    assert sorted(held.train + held.validation, key=pairs.index) == list(pairs)
    assert held.train
    assert bool(held.validation) == (fraction > 0)


@given(st.integers(2, 5), st.integers(5, 30), st.integers(1, 10))
def test_folds_hold_out_every_image_once_and_neighbours_together(count, sections, others):
    pairs = stack(sections) + singles(others)
    parts = folds(Dataset("set", "any", pairs), count)
    held = [pair for part in parts for pair in part.validation]
    assert sorted(held, key=pairs.index) == list(pairs)
    for part in parts:
        block = [pair.section for pair in part.validation if pair.section is not None]
        assert block == list(range(block[0], block[0] + len(block)))


def test_folds_need_images():
    with pytest.raises(DatasetError, match="between 2 and 3 folds are possible, got 4"):
        folds(Dataset("set", "any", singles(3)), 4)


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_an_impossible_share_is_refused(fraction):
    with pytest.raises(DatasetError, match="share of images"):
        split(Dataset("set", "any", singles(3)), fraction)


def test_of_a_single_image_the_last_rows_are_held_out(tmp_path):
    dataset = find_dataset(make_set(tmp_path, [CELLS]))
    held = split(dataset, 0.2)
    (train,), (validation,) = held.train, held.validation
    np.testing.assert_array_equal(load(train)[0], IMAGE[None, :6])
    np.testing.assert_array_equal(load(train)[1], CELLS[:6])
    np.testing.assert_array_equal(load(validation)[0], IMAGE[None, 6:])
    assert "last 2 of 8 rows" in held.notes[0]
