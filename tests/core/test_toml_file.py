"""Tests of TOML that is read back."""

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.errors import ConfigError
from biounet.core.text_file import TextFile
from biounet.core.toml_file import parse_toml, read_toml, toml_value

FILE = TextFile("c.toml", ConfigError, "mend it")
WORDS = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=9)
VALUES = st.booleans() | st.integers(-(2**63), 2**63 - 1) | WORDS | st.lists(st.integers(0, 9), max_size=4)


@given(st.dictionaries(WORDS, st.dictionaries(WORDS, VALUES, max_size=4), max_size=4))
def test_what_was_written_comes_back(tables):
    assert parse_toml(tomlkit.dumps(tables), FILE) == tables


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = 1\na = 2", 'c.toml, line 2: "a = 2" is there a second time; mend it'),
        ("[a]\n[b]\n[a]", 'c.toml, line 3: "[a]" is there a second time; mend it'),
        ("a.b = 1\na = 2", 'c.toml, line 2: "a = 2" is there a second time; mend it'),
        ("a = 1\nb", "c.toml, line 2: \"b\" is no TOML (Expected '=' after a key in a key/value pair); mend it"),
        ("a = [1,\n2", 'c.toml, line 2: "2" is no TOML (Unclosed array); mend it'),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(tmp_path, text, words):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_toml(tmp_path / "c.toml", FILE)
    assert str(caught.value) == words


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "", "a = 1", "2020-13-01"])
def test_a_word_that_is_no_value_stays_a_word(text):
    assert toml_value(text) == text
