"""Pixel sizes in the metadata of TIFF files, and errors that are only logged."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tifffile

from biounet.io.pixels import trust_density
from biounet.io.units import micrometres

__all__ = ["raising_logged_errors", "read_sizes"]


SMALLEST = 1e-6
"""Micrometres below which a distance of sections means that there are none."""

RESOLUTION_UNITS = {2: 25_400.0, 3: 10_000.0}
"""The TIFF tag ResolutionUnit (inch, centimetre) in micrometres."""


def read_sizes(file: tifffile.TiffFile) -> dict[str, float | None]:
    """Find the micrometres per pixel by axis, in a file without OME-XML; ``None`` where it does not tell.

    Notes
    -----
    ImageJ leaves out a distance of sections that is 1 in its unit, so 1 is what is read then.
    """
    if file.is_imagej:
        metadata = file.imagej_metadata or {}
        units = {axis: micrometres(str(metadata.get(f"{axis.lower()}unit", metadata.get("unit", "")))) for axis in "ZY"}
        units["X"] = micrometres(str(metadata.get("unit", "")))
        sizes = _resolution(file, units["Y"], units["X"])
        sizes["Z"] = (units["Z"] or 0.0) * abs(float(metadata.get("spacing", 1.0)))
        return sizes
    if file.is_lsm:
        voxel = {axis: 1e6 * float(file.lsm_metadata[f"VoxelSize{axis}"]) for axis in "ZYX"}
        return {axis: size if size > SMALLEST else None for axis, size in voxel.items()}
    if file.is_stk:
        return _stk_sizes(file.stk_metadata)
    if calibrated := _metaxpress_sizes(file.metaseries_metadata):
        return calibrated
    tag = file.pages.first.tags.get("ResolutionUnit")
    unit = RESOLUTION_UNITS.get(2 if tag is None else int(tag.value), 0.0)
    return _described(file) or trust_density(_resolution(file, unit, unit))


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


def _described(file: tifffile.TiffFile) -> dict[str, float | None]:
    """Pixel size that a slide scanner of Aperio writes into the description, as ``MPP = 0.499``."""
    found = re.search(r"\bMPP\s*=\s*([0-9.]+)", str(file.pages.first.description))
    return {axis: float(found[1]) for axis in "YX"} if found else {}


def _metaxpress_sizes(metadata: Any) -> dict[str, float | None]:
    """Pixel sizes that MetaXpress writes into the description; empty if there are none."""
    told = (metadata or {}).get("PlaneInfo", {})
    unit = micrometres(str(told.get("spatial-calibration-units", "")))
    if unit is None or not told.get("spatial-calibration-state"):
        return {}
    return {axis: unit * float(told[f"spatial-calibration-{axis.lower()}"]) for axis in "YX"}


def _stk_sizes(metadata: Any) -> dict[str, float | None]:
    """Pixel sizes that MetaMorph writes into STK files."""
    unit = micrometres(str(metadata.get("CalibrationUnits", ""))) if metadata.get("SpatialCalibration") else None
    sizes = {axis: unit * float(metadata[f"{axis}Calibration"]) if unit else None for axis in "YX"}
    depths = metadata.get("ZDistance", ())
    sizes["Z"] = abs(float(depths[0])) if len(depths) else None
    return sizes


def _resolution(file: tifffile.TiffFile, high: float | None, wide: float | None) -> dict[str, float | None]:
    """Pixel sizes from the resolution tags, `high` and `wide` being the units of Y and X in micrometres."""
    sizes: dict[str, float | None] = {}
    for axis, name, unit in (("Y", "YResolution", high), ("X", "XResolution", wide)):
        tag = file.pages.first.tags.get(name)
        pixels, units = (0, 1) if tag is None else tag.value
        sizes[axis] = unit * units / pixels if pixels and unit else None
    return sizes
