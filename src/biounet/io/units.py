"""Units of length as programs and people write them, in micrometres."""

import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["MICROMETRES", "micrometres"]


MICROMETRES: Mapping[str, float] = MappingProxyType(
    {
        "pm": 1e-6,
        "picometer": 1e-6,
        "å": 1e-4,
        "angstrom": 1e-4,
        "nm": 1e-3,
        "nanometer": 1e-3,
        "um": 1.0,
        "micron": 1.0,
        "micrometer": 1.0,
        "mm": 1e3,
        "millimeter": 1e3,
        "cm": 1e4,
        "centimeter": 1e4,
        "m": 1e6,
        "meter": 1e6,
        "inch": 25_400.0,
    }
)
"""Unit, in small letters, without a plural and with u for the sign of micro -> micrometres."""


def micrometres(unit: str) -> float | None:
    r"""Micrometres of a unit of length; None if it is none.

    Notes
    -----
    ImageJ writes the sign of micro as an escape; there are two such signs, and many spellings.

    Examples
    --------
    >>> [micrometres(unit) for unit in ("nm", "Microns", "micrometre", r"\u00B5m", "\u03BCm", "pixel")]
    [0.001, 1.0, 1.0, 1.0, 1.0, None]
    """
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), unit).strip().lower()
    text = text.replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u").replace("metre", "meter")
    return MICROMETRES.get(text, MICROMETRES.get(text.removesuffix("s")))
