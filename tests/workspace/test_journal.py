"""Journals: what was appended is read again, by others too; a record that was cut short does not count."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.core.errors import OutputError
from biounet.workspace.journal import FRAME, MAGIC, Journal, Record


def records(journal):
    return [(record.head["n"], record.body) for record in journal.follow()]


def test_another_follows_while_one_writes(tmp_path):
    writer, reader = Journal(tmp_path / "a.journal"), Journal(tmp_path / "a.journal")
    writer.append(Record({"n": 1}, b"one"))
    assert records(reader) == [(1, b"one")]
    writer.append(Record({"n": 2}))
    assert records(reader) == [(2, b"")]
    assert records(reader) == []


@given(keep=st.integers(0, 200))
def test_a_record_that_was_cut_short_does_not_count_and_is_overwritten(tmp_path_factory, keep):
    path = tmp_path_factory.mktemp("journal") / "a.journal"
    journal = Journal(path)
    journal.append(Record({"n": 1}, b"a" * 20))
    whole = path.stat().st_size
    journal.append(Record({"n": 2}, b"b" * 20))
    both = path.read_bytes()
    path.write_bytes(both[: min(whole + keep, len(both) - 1)])
    again = Journal(path)
    assert records(again) == [(1, b"a" * 20)]
    again.append(Record({"n": 3}, b"c"))
    assert records(Journal(path)) == [(1, b"a" * 20), (3, b"c")]


@pytest.mark.parametrize("at", [20, 40, 60])
def test_a_record_that_was_changed_does_not_count(tmp_path, at):
    journal = Journal(tmp_path / "a.journal")
    journal.append(Record({"n": 1}, b"a" * 60))
    data = bytearray(journal.path.read_bytes())
    data[at] ^= 1
    journal.path.write_bytes(bytes(data))
    assert records(Journal(journal.path)) == []


def test_a_journal_that_was_opened_anew_keeps_what_is_there(tmp_path):
    Journal(tmp_path / "a.journal").append(Record({"n": 1}))
    Journal(tmp_path / "a.journal").append(Record({"n": 2}))
    assert records(Journal(tmp_path / "a.journal")) == [(1, b""), (2, b"")]


def test_a_file_of_something_else_holds_no_records(tmp_path):
    (tmp_path / "a.journal").write_bytes(b"something else, and longer than the first line")
    assert records(Journal(tmp_path / "a.journal")) == []


def test_zeros_at_the_end_are_no_record(tmp_path):
    journal = Journal(tmp_path / "a.journal")
    journal.append(Record({"n": 1}, b"abc"))
    with journal.path.open("ab") as stream:
        stream.write(bytes(4096))
    again = Journal(journal.path)
    assert records(again) == [(1, b"abc")]
    again.append(Record({"n": 2}))
    assert records(Journal(journal.path)) == [(1, b"abc"), (2, b"")]


@pytest.mark.parametrize("head", [b"[1]", b'{"n": ', b'{"n": 1, "n": 2}', b"[" * 10_000, b"\xff{}"])
def test_a_whole_record_of_something_else_is_refused_by_name(tmp_path, head):
    path = tmp_path / "a.journal"
    path.write_bytes(MAGIC + FRAME.pack(len(head), 0, zlib.crc32(head)) + head)
    with pytest.raises(OutputError, match=r"a\.journal, record at byte 18.*move the journal away"):
        records(Journal(path))


@pytest.mark.parametrize("put_back", [False, True])
def test_a_journal_that_was_removed_or_replaced_is_not_written_on(tmp_path, put_back):
    journal = Journal(tmp_path / "edits" / "a.journal")
    journal.append(Record({"n": 1}))
    journal.path.rename(tmp_path / "moved")
    journal.path.parent.rmdir()
    if put_back:
        Journal(journal.path).append(Record({"n": 7}))
    with pytest.raises(OutputError, match="removed or replaced"):
        journal.append(Record({"n": 2}))
    assert journal.path.exists() == put_back
    (tmp_path / "edits").mkdir(exist_ok=True)
    (tmp_path / "moved").replace(journal.path)
    journal.append(Record({"n": 2}))
    assert records(Journal(journal.path)) == [(1, b""), (2, b"")]
