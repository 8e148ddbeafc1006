"""Tests of text files that are read back: bounds, places, words."""

import os

import pytest

from biounet.core.errors import ConfigError, OutputError
from biounet.core.text_file import DEEPEST, Record, TextFile
from biounet.core.words import printable, shortened


class Row(Record):
    step: int
    name: str = ""


FILE = TextFile("a.txt", OutputError, "write it anew", most=2**18)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"1" * 300_000, "a.txt: such a file has at most 0.25 MiB, and it has more; write it anew"),
        (b"a\nb\xe9", "a.txt, line 2: the text is damaged (byte 0xe9 is not UTF-8); write it anew"),
    ],
)
def test_what_is_too_large_or_not_utf_8_is_refused_with_its_place(tmp_path, content, words):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(OutputError) as caught:
        FILE.read(tmp_path / "a.txt")
    assert str(caught.value) == words


def test_a_mark_of_utf_8_is_no_part_of_the_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfabc")
    assert FILE.read(tmp_path / "a.txt") == "abc"


def test_what_is_no_file_is_refused_at_once(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo")
    for path in (*tmp_path.iterdir(), tmp_path / "none", tmp_path / ("a" * 300)):
        with pytest.raises(OutputError, match=r"^a\.txt: [^;]*; write it anew$"):
            FILE.read(path)


def test_depth_is_counted_in_lists_and_tables():
    def nested(levels):
        inner = 1
        for level in range(levels):
            inner = [inner] if level % 2 else {"a": inner}
        return inner

    FILE.check_depth(nested(DEEPEST))
    FILE.check_depth("text")
    for levels in (DEEPEST + 1, 5000):
        with pytest.raises(OutputError, match="more than 32 lists or tables are nested in each other"):
            FILE.check_depth(nested(levels))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "a table of names and values is wanted, got None"),
        ([1], r"a table of names and values is wanted, got \[1\]"),
        ({}, "step is missing"),
        ({"step": 1, "stop": 2}, "stop is unknown"),
        ({"step": "x"}, "step: .*valid integer.*, got 'x'"),
        ({"step": [9] * 1000}, r"step: .*, got \[9, 9, .*\.\.\."),
    ],
)
def test_what_is_missing_unknown_or_wrong_is_named(data, words):
    with pytest.raises(ConfigError, match=words) as caught:
        TextFile("c.toml", ConfigError, "mend it").validated(Row, data)
    assert len(str(caught.value)) < 300


def test_names_that_are_not_utf_8_are_shown_by_their_bytes():
    name = os.fsdecode(b"zelle-\xff-\xc3\xa4.tif")
    assert printable(name).encode() == "zelle-\\xff-ä.tif".encode()
    assert printable("\ud800") == "\\ud800"
    assert "\\xff" in str(TextFile(name, ConfigError, "mend it").refused("it is torn"))
    assert shortened(10**5000) == "a int"
