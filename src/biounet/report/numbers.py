"""Numbers, durations and names of scores as people read them."""

import math
import re
from collections.abc import Sequence

from biounet.report.templates import Markup

__all__ = ["breakable", "duration", "number", "title_of"]


def number(value: float) -> str:
    """A score, or an integer count, as text; a dash for NaN.

    >>> number(0.95214), number(0.000353), number(float("nan")), number(31030658.0), number(7)
    ('0.9521', '0.000353', '–', '31,030,658', '7')
    """
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """A duration as text.

    >>> duration(42), duration(754), duration(7300)
    ('42 s', '12.6 min', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def breakable(name: str) -> Markup:
    """A name, such as of a file, that a browser breaks at its words.

    >>> breakable("cells_07.tif")
    Markup('cells_<wbr>07<wbr>.tif')
    """
    parts = re.split(r"(?<=[_\-/ ])|(?=[.])", name)
    return Markup("<wbr>").join(Markup.escape(part) for part in parts if part)


def title_of(name: str, class_names: Sequence[str]) -> str:
    """The name of a score as people read it.

    >>> title_of("dice_1", ["background", "cell"]), title_of("rand_error", [])
    ('dice, cell', 'rand error')
    """
    stem, _, last = name.rpartition("_")
    if stem and last.isdecimal() and int(last) < len(class_names):
        return f"{stem.replace('_', ' ')}, {class_names[int(last)]}"
    return name.replace("_", " ")
