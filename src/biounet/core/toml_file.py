"""TOML that is read back: bounded in size and depth; a key that stands twice is named with its line."""

import re
import tomllib
from pathlib import Path
from typing import Any

from biounet.core.text_file import TextFile
from biounet.core.words import shortened

__all__ = ["parse_toml", "read_toml", "toml_value"]


PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
LONGEST_LINE = 10_000
"""Characters of a line."""

MOST_DOTS = 128
"""Points in a key or value: a key of many parts costs the square of their number."""


def read_toml(path: Path, file: TextFile) -> dict[str, Any]:
    """Tables and values of a TOML file.

    Parameters
    ----------
    path : Path
    file : TextFile
        What messages call it, and the error.

    Raises
    ------
    file.error
        If the file is missing, too large, torn, or nested too deeply.
    """
    return parse_toml(file.read(path), file)


def parse_toml(text: str, file: TextFile) -> dict[str, Any]:
    r"""Tables and values of a text; see `read_toml`.

    Examples
    --------
    >>> from biounet.core.errors import ConfigError
    >>> parse_toml("batch = 2\nbatch = 4", TextFile("c.toml", ConfigError, "mend it"))
    Traceback (most recent call last):
    biounet.core.errors.ConfigError: c.toml, line 2: "batch = 4" is there a second time; mend it
    """
    if len(text) > file.most:
        raise file.refused(f"the text has {len(text):,} characters, at most {file.most:,} are read")
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LONGEST_LINE:
            raise file.refused(f"the line has {len(line):,} characters, at most {LONGEST_LINE:,} are read", line=number)
        if line.count(".") > MOST_DOTS and any(part.count(".") > MOST_DOTS for part in re.split("[=,{]", line)):
            raise file.refused(f"a key or value has more than {MOST_DOTS} points", line=number)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        why, place = _explained(str(error), text.split("\n"))
        raise file.refused(why, line=place) from error
    except RecursionError as error:
        raise file.too_deep() from error
    except ValueError as error:  # a date that is none, a number of thousands of digits
        raise file.refused("a number or date cannot be read") from error
    file.check_depth(data)
    return data


def toml_value(text: str) -> Any:
    """Value of a text in TOML; a text that is no TOML stays as it is.

    >>> toml_value("[1, 2]"), toml_value("dice")
    ([1, 2], 'dice')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return text


def _explained(error: str, lines: list[str]) -> tuple[str, int]:
    """What is wrong, in words, and in which line."""
    place = PLACE.search(error)
    number = int(place[1]) if place and place[1] else len(lines)
    text = lines[number - 1].strip()
    if "Cannot overwrite" in error or "twice" in error:
        return f"{_quoted(text)} is there a second time", number
    return f"{_quoted(text)} is no TOML ({PLACE.sub('', error)})", number


def _quoted(text: str) -> str:
    return f'"{shortened(text)[1:].removesuffix(chr(39))}"'
