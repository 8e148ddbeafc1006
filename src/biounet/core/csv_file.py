"""CSV that is read back: bounded in size, rows of equal length, each validated by a frozen model."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from biounet.core.text_file import TextFile
from biounet.core.words import shortened

__all__ = ["read_csv", "read_heading"]


R = TypeVar("R", bound=BaseModel)


def read_csv(path: Path, kind: type[R], file: TextFile) -> list[tuple[int, R]]:
    r"""Rows of a CSV file, each with the number of its line.

    Parameters
    ----------
    path : Path
    kind : type of a row; its fields are columns
    file : TextFile
        What messages call it, and the error.

    Raises
    ------
    file.error
        If the file is missing, too large, torn, a column is missing or stands twice, a row is shorter or longer than
        the heading, or is not of this kind.

    Examples
    --------
    >>> import tempfile
    >>> from biounet.core.errors import ConfigError
    >>> from biounet.core.text_file import Record
    >>> class Row(Record):
    ...     step: int
    >>> path = Path(tempfile.mkdtemp()) / "log.csv"
    >>> _ = path.write_text("step\n1\n2\n")
    >>> [row.step for _, row in read_csv(path, Row, TextFile("log.csv", ConfigError, "mend it"))]
    [1, 2]
    """
    rows = _rows(file.read(path), file)
    _, heading = next(rows, (1, []))
    missing = [name for name, field in kind.model_fields.items() if field.is_required() and name not in heading]
    if missing:
        wanted, given = ", ".join(missing), ", ".join(heading)
        has = f"its columns are {shortened(given)}" if heading else "it has no columns"
        raise file.refused(f"the table lacks {wanted}, {has}", line=1)
    found = []
    for line, row in rows:
        if len(row) != len(heading):
            raise file.refused(f"{len(heading)} cells are wanted, as in the heading, got {len(row)}", line=line)
        found.append((line, file.validated(kind, dict(zip(heading, row, strict=True)), line=line)))
    return found


def read_heading(path: Path, file: TextFile) -> Sequence[str]:
    """Columns of a CSV file, none if it is empty; see `read_csv` for errors."""
    return next(_rows(file.read(path), file), (1, []))[1]


def _rows(text: str, file: TextFile) -> Iterator[tuple[int, list[str]]]:
    """The heading and the rows, each with the number of the line where it ends; empty lines are left out."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    first = True
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise file.refused(f"this is no CSV ({error})", line=reader.line_num) from error
        if row is None:
            return
        if first and len(set(row)) < len(row):
            twice = next(name for name in row if row.count(name) > 1)
            raise file.refused(f"the column {shortened(twice)} is there twice", line=reader.line_num)
        if row:
            first = False
            yield reader.line_num, row
