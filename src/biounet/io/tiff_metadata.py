"""Pixel sizes in the metadata of TIFF files, and errors that are only logged."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import tifffile

from biounet.io.pixels import fit_spacing, trust_density

__all__ = ["raising_logged_errors", "read_spacing"]


MICROMETRES = {
    "pm": 1e-6,
    "Å": 1e-4,
    "nm": 1e-3,
    "um": 1.0,
    "\N{MICRO SIGN}m": 1.0,
    "\N{GREEK SMALL LETTER MU}m": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}
"""Units of length in micrometres, as ImageJ and OME write them."""

RESOLUTION_UNITS = {2: 25_400.0, 3: 10_000.0}
"""The TIFF tag ResolutionUnit (inch, centimetre) in micrometres."""


def read_spacing(file: tifffile.TiffFile, axes: str) -> tuple[float, ...] | None:
    """Find the micrometres per pixel of the spatial axes in `axes`; ``None`` if the file does not tell.

    Notes
    -----
    ImageJ leaves out a distance of sections that is 1 in its unit, so 1 is what is read then.
    """
    if file.is_ome:
        sizes = _ome_spacing(file.ome_metadata)
    elif file.is_imagej:
        metadata = file.imagej_metadata or {}
        unit = MICROMETRES.get(str(metadata.get("unit", "")).replace("\\u00B5", "µ"), 0.0)
        sizes = _resolution(file, unit) | {"Z": unit * abs(float(metadata.get("spacing", 1.0)))}
    else:
        tag = file.pages.first.tags.get("ResolutionUnit")
        sizes = trust_density(_resolution(file, RESOLUTION_UNITS.get(2 if tag is None else int(tag.value), 0.0)))
    return fit_spacing(sizes, axes)


@contextmanager
def raising_logged_errors() -> Iterator[None]:
    """Turn errors that tifffile only logs, such as a chain of pages that breaks off, into an ImageError."""
    logged: list[str] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        ours = record.levelno >= logging.ERROR and record.thread == thread
        if ours:
            logged.append(record.getMessage())
        return not ours

    logger = logging.getLogger("tifffile")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
    if logged:
        raise ValueError(logged[0])


def _resolution(file: tifffile.TiffFile, unit: float) -> dict[str, float | None]:
    """Pixel sizes from the resolution tags, `unit` being the unit of length in micrometres."""
    sizes: dict[str, float | None] = {}
    for axis, name in (("Y", "YResolution"), ("X", "XResolution")):
        tag = file.pages.first.tags.get(name)
        pixels, units = (0, 1) if tag is None else tag.value
        sizes[axis] = unit * units / pixels if pixels and unit else None
    return sizes


def _ome_spacing(xml: str) -> dict[str, float | None]:
    """Pixel sizes of the first image in OME-XML."""
    pixels: Any = ElementTree.fromstring(xml).find(".//{*}Pixels")
    sizes: dict[str, float | None] = {}
    for axis in "ZYX":
        unit = MICROMETRES.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        size = pixels.get(f"PhysicalSize{axis}")
        sizes[axis] = float(size) * unit if size is not None and unit is not None else None
    return sizes
