"""Tests of CSV that is read back."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.csv_file import read_csv, read_heading
from biounet.core.errors import TrainingError
from biounet.core.text_file import Record, TextFile


class Row(Record, extra="allow"):
    step: int
    name: str


FILE = TextFile("log.csv", TrainingError, "mend it")
TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\0"), min_size=1)


@given(rows=st.lists(st.tuples(st.integers(), TEXT)))
def test_what_was_written_comes_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "log.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("step", "name"), *rows])
    assert [(row.step, row.name) for _, row in read_csv(path, Row, FILE)] == rows
    assert read_heading(path, FILE) == ["step", "name"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "log.csv, line 1: the table lacks step, name, it has no columns; mend it"),
        (b"step,what\n", "log.csv, line 1: the table lacks name, its columns are 'step, what'; mend it"),
        (b"step,name,step\n1,a,2\n", "log.csv, line 1: the column 'step' is there twice; mend it"),
        (b"step,name\n1,a\n\n2\n", "log.csv, line 4: 2 cells are wanted, as in the heading, got 1; mend it"),
        (b"step,name\n1,a\n2,\xff\n", "log.csv, line 3: the text is damaged (byte 0xff is not UTF-8); mend it"),
        (
            b"step,name\n1," + b"a" * 131_073,
            "log.csv, line 2: this is no CSV (field larger than field limit (131072)); mend it",
        ),
        (b'step,name\n1,"a', "log.csv, line 2: this is no CSV (unexpected end of data); mend it"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path, content, words):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(TrainingError) as caught:
        read_csv(tmp_path / "log.csv", Row, FILE)
    assert str(caught.value) == words


def test_a_cell_of_a_wrong_type_is_refused_with_its_line(tmp_path):
    (tmp_path / "log.csv").write_text("step,name\n1,a\nx,b\n")
    with pytest.raises(TrainingError, match=r"log\.csv, line 3: step: .* got 'x'; mend it"):
        read_csv(tmp_path / "log.csv", Row, FILE)
