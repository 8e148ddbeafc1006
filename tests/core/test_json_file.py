"""Tests of JSON that is read back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.errors import TrainingError
from biounet.core.json_file import parse_json, read_json
from biounet.core.text_file import Record, TextFile


class Anything(Record):
    value: Any


FILE = TextFile("data.json", TrainingError, "train anew")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(VALUES)
def test_what_was_written_comes_back(value):
    assert parse_json(json.dumps({"value": value}), Anything, FILE).value == value


@given(VALUES, st.data())
def test_a_text_that_was_cut_is_refused_in_one_line(value, data):
    text = json.dumps({"value": value})
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(TrainingError, match=r"data\.json.*train anew") as caught:
        parse_json(text[:cut], Anything, FILE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"value":' * 100_000, '{"value": ' + "[" * 500 + "]" * 500 + "}"])
def test_what_is_deep_is_refused(text):
    with pytest.raises(TrainingError, match="more than 32 lists or tables are nested in each other"):
        parse_json(text, Anything, FILE)


def test_a_key_that_stands_twice_is_named():
    with pytest.raises(TrainingError, match=r"data.json: 'tile' is there twice; train anew"):
        parse_json('{"value": {"a": 1, "tile": 2, "tile": 2}}', Anything, FILE)


def test_a_file_is_bounded(tmp_path):
    (tmp_path / "data.json").write_text('{"value": "' + "a" * 100 + '"}')
    assert len(read_json(tmp_path / "data.json", Anything, FILE).value) == 100
    with pytest.raises(TrainingError, match="and it has more"):
        read_json(tmp_path / "data.json", Anything, TextFile("data.json", TrainingError, "train anew", most=50))
    with pytest.raises(TrainingError, match="at most 50 are read"):
        parse_json(" " * 51, Anything, TextFile("data.json", TrainingError, "train anew", most=50))
