"""Values and names of files as messages and tables show them."""

import re

__all__ = ["printable", "shortened"]


SHOWN = 60
"""Characters of a wrong value that a message shows."""


def shortened(value: object) -> str:
    """A value as a message shows it: in one line, and cut if it is long.

    >>> shortened("four"), shortened([1] * 100)
    ("'four'", '[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,...')
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # deep, or a whole number of more digits than Python writes
        text = f"a {type(value).__name__}"
    text = printable(text)
    return text if len(text) <= SHOWN + 3 else f"{text[:SHOWN]}..."


def printable(text: str) -> str:
    r"""Text that every file and terminal takes: bytes of file names that are not UTF-8 become ``\xff``.

    >>> printable("zelle-\udcff.tif")
    'zelle-\\xff.tif'
    """
    return re.sub("[\ud800-\udfff]", _escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
