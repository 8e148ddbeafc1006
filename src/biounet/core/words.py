"""Values and names of files as messages and tables show them."""

import math
import re
from collections.abc import Sequence

__all__ = ["counted", "percent", "printable", "reason", "shortened", "shortened_name"]


SHOWN = 60
"""Characters of a wrong value that a message shows."""

LONGEST_REASON = 200
"""Characters of what a library says of an error that a message shows."""


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


def shortened_name(place: Sequence[object]) -> str:
    """The name of an entry in tables and lists, cut if it is long.

    >>> shortened_name(("model", "pooling", 0))
    'model.pooling.0'
    """
    name = ".".join(map(str, place))
    return name if len(name) <= SHOWN else f"{name[:SHOWN]}..."


def counted(count: int, noun: str) -> str:
    """A count with its noun.

    >>> counted(1, "image"), counted(2000, "image")
    ('1 image', '2,000 images')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """A share as text, without digits; what is not quite all or nothing is not rounded to it.

    >>> percent(0.876), percent(0.9991), percent(0.001), percent(1), percent(float("nan"))
    ('88 %', '99.9 %', '0.1 %', '100 %', '–')
    """
    if math.isnan(share):
        return "–"
    return (
        f"{share:.1%}".replace("%", " %") if 0 < share < 0.01 or 0.99 < share < 1 else f"{share:.0%}".replace("%", " %")
    )


def reason(error: Exception) -> str:
    r"""What a library says of an error, for a message: its first line, cut if it is long.

    >>> reason(ValueError("bad chunk\nat 7")), reason(KeyError())
    ('bad chunk', 'KeyError')
    """
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}..."


def printable(text: str) -> str:
    r"""Text that every file and terminal takes: bytes of file names that are not UTF-8 become ``\xff``.

    >>> printable("zelle-\udcff.tif")
    'zelle-\\xff.tif'
    """
    return re.sub("[\ud800-\udfff]", _escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
