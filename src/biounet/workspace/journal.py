"""Journal of edits: records that are on disk before an edit counts as done, and that outlive a killed process."""

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from biounet.core.atomic_files import sayable
from biounet.core.errors import OutputError
from biounet.core.json_file import parse_json
from biounet.core.text_file import ForeignRecord, TextFile

__all__ = ["Journal", "Record"]


MAGIC = b"biounet-journal-1\n"
FRAME = struct.Struct("<III")
"""Bytes of the head, bytes of the body, and CRC-32 of both."""


class _Head(ForeignRecord):
    """Numbers and words of a record; what they mean is known to its reader, such as `LabelStore`."""


@dataclass(frozen=True)
class Record:
    """An entry of a journal: numbers and words as JSON, then bytes."""

    head: Mapping[str, Any]
    body: bytes = b""

    def framed(self) -> bytes:
        """Bytes of the record in the file."""
        head = json.dumps(self.head, separators=(",", ":")).encode()
        return FRAME.pack(len(head), len(self.body), zlib.crc32(head + self.body)) + head + self.body


class Journal:
    """File of records that are only ever appended; a record that was cut short by a crash does not count.

    One process appends; any number of others may read with `follow`.

    Parameters
    ----------
    path : Path

    Examples
    --------
    >>> import tempfile
    >>> journal = Journal(Path(tempfile.mkdtemp()) / "a.journal")
    >>> journal.append(Record({"n": 1}, b"abc"))
    >>> [(record.head, record.body) for record in Journal(journal.path).follow()]
    [({'n': 1}, b'abc')]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        self._inode = 0

    def follow(self) -> Iterator[Record]:
        """Return the records that were appended since the last call.

        Raises
        ------
        OutputError
            If a whole record has a head that is not JSON, or the file is no longer the one that was read.
        """
        there = self.path.exists()
        if self._at and not (there and self.path.stat().st_ino == self._inode):
            raise OutputError(f"{self.path} was removed or replaced meanwhile; put it back, or start biounet again")
        if not there:
            return
        with self.path.open("rb") as stream:
            self._inode = os.fstat(stream.fileno()).st_ino
            if not self._at:
                if stream.read(len(MAGIC)) != MAGIC:
                    return
                self._at = len(MAGIC)
            stream.seek(self._at)
            while (record := self._read(stream)) is not None:
                self._at = stream.tell()
                yield record

    def append(self, record: Record) -> None:
        """Write a record; when this returns, it is on the disk.

        Raises
        ------
        OutputError
            If it cannot be written, or the file is no longer the one that was read; what was there still counts.
        """
        for _ in self.follow():  # what is there already stays
            pass
        with sayable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._write(record)
            except OSError:
                with suppress(OSError):
                    os.truncate(self.path, self._at)  # else it might count for others, though it does not here
                raise

    def _write(self, record: Record) -> None:
        """Write a record after those that were read."""
        with self.path.open("r+b" if self.path.exists() else "w+b") as stream:
            at = max(self._at, len(MAGIC))
            if stream.seek(0, os.SEEK_END) < len(MAGIC):
                stream.seek(0)
                stream.write(MAGIC)
            stream.truncate(at)  # a record that was cut short
            stream.seek(at)
            stream.write(record.framed())
            stream.flush()
            os.fsync(stream.fileno())
            self._at, self._inode = stream.tell(), os.fstat(stream.fileno()).st_ino

    def _read(self, stream: BinaryIO) -> Record | None:
        """Read the next record; None if it is not whole."""
        at, frame = stream.tell(), stream.read(FRAME.size)
        if len(frame) < FRAME.size:
            return None
        head, body, crc = FRAME.unpack(frame)
        data = stream.read(head + body)
        if not head or len(data) < head + body or zlib.crc32(data) != crc:  # zeros, too, after a loss of power
            return None
        file = TextFile(f"{self.path}, record at byte {at}", OutputError, "move the journal away to begin a new one")
        return Record(parse_json(file.decode(data[:head]), _Head, file).model_extra or {}, data[head:])
