"""JSON that is read back: bounded in size and depth, no key twice, validated by a frozen model."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from biounet.core.text_file import TextFile
from biounet.core.words import shortened

__all__ = ["parse_json", "read_json"]


R = TypeVar("R", bound=BaseModel)


class _TwiceError(ValueError):
    """A key stands in a table twice."""


def read_json(path: Path, kind: type[R], file: TextFile) -> R:
    r"""The record in a JSON file.

    Parameters
    ----------
    path : Path
    kind : type of the record, such as a `biounet.core.text_file.Record`
    file : TextFile
        What messages call it, and the error.

    Raises
    ------
    file.error
        If the file is missing, too large, torn, nested too deeply, or not of this kind.

    Examples
    --------
    >>> import tempfile
    >>> from biounet.core.errors import OutputError
    >>> from biounet.core.text_file import Record
    >>> class Size(Record):
    ...     tile: tuple[int, ...]
    >>> path = Path(tempfile.mkdtemp()) / "size.json"
    >>> _ = path.write_text('{"tile": [64, "x"]}')
    >>> read_json(path, Size, TextFile("size.json", OutputError, "write it anew"))
    Traceback (most recent call last):
    biounet.core.errors.OutputError: size.json: tile.1: Input should be a valid integer, unable to parse string as an integer, got 'x'; write it anew
    """  # noqa: E501
    return parse_json(file.read(path), kind, file)


def parse_json(text: str, kind: type[R], file: TextFile) -> R:
    """The record in a text; see `read_json`."""
    if len(text) > file.most:
        raise file.refused(f"the text has {len(text):,} characters, at most {file.most:,} are read")
    try:
        data = json.loads(text, object_pairs_hook=_table)
    except _TwiceError as error:
        raise file.refused(str(error)) from error
    except json.JSONDecodeError as error:
        why = "it is empty" if not text.strip() else f"the text is torn at character {error.colno} ({error.msg})"
        raise file.refused(why, line=error.lineno) from error
    except RecursionError as error:
        raise file.too_deep() from error
    except ValueError as error:  # a number of thousands of digits
        raise file.refused("a number has thousands of digits") from error
    file.check_depth(data)
    return file.validated(kind, data)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of names and values, in which no name stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise _TwiceError(f"{shortened(twice)} is there twice")
    return found
