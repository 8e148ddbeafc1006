"""Pixel sizes in the metadata of TIFF files, and errors that are only logged."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import tifffile

from biounet.io.pixels import trust_density
from biounet.io.units import micrometres

__all__ = ["raising_logged_errors", "read_sizes"]


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
    if of_microscope := _measured(file):
        return of_microscope
    tag = file.pages.first.tags.get("ResolutionUnit")
    unit = RESOLUTION_UNITS.get(2 if tag is None else int(tag.value), 0.0)
    return _described(file) or trust_density(_resolution(file, unit, unit))


SMALLEST_VOXEL = 1e-10
"""Metres. What is smaller in an LSM file stands for an axis that was not measured."""


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


def _measured(file: tifffile.TiffFile) -> dict[str, float | None]:
    """Pixel sizes in the metadata of Zeiss (LSM), MetaMorph (STK) and MetaXpress; empty if there are none."""
    if file.is_lsm:
        metres = {axis: (file.lsm_metadata or {}).get(f"VoxelSize{axis}", 0.0) for axis in "ZYX"}
        return {axis: size * 1e6 if size > SMALLEST_VOXEL else None for axis, size in metres.items()}
    if file.is_stk:
        told = file.stk_metadata or {}
        unit = micrometres(str(told.get("CalibrationUnits", ""))) if told.get("SpatialCalibration") else None
        steps = (
            set(np.abs(np.diff(told["AbsoluteZ"])).tolist()) if "AbsoluteZ" in told else set(told.get("ZDistance", ()))
        )
        sizes: dict[str, float | None] = {axis: unit and unit * told.get(f"{axis}Calibration", 0.0) for axis in "YX"}
        return (sizes | {"Z": float(steps.pop()) if len(steps) == 1 else None}) if unit else {}
    if file.is_metaseries:
        told = (file.metaseries_metadata or {}).get("PlaneInfo", {})
        unit = micrometres(str(told.get("spatial-calibration-units", "")))
        if unit and told.get("spatial-calibration-state"):
            return {axis: unit * float(told[f"spatial-calibration-{axis.lower()}"]) for axis in "YX"}
    return {}


def _described(file: tifffile.TiffFile) -> dict[str, float | None]:
    """Pixel size that a slide scanner of Aperio writes into the description, as ``MPP = 0.499``."""
    found = re.search(r"\bMPP\s*=\s*([0-9.]+)", str(file.pages.first.description))
    return {axis: float(found[1]) for axis in "YX"} if found else {}


def _resolution(file: tifffile.TiffFile, high: float | None, wide: float | None) -> dict[str, float | None]:
    """Pixel sizes from the resolution tags, `high` and `wide` being the units of Y and X in micrometres."""
    sizes: dict[str, float | None] = {}
    for axis, name, unit in (("Y", "YResolution", high), ("X", "XResolution", wide)):
        tag = file.pages.first.tags.get(name)
        pixels, units = (0, 1) if tag is None else tag.value
        sizes[axis] = unit * units / pixels if pixels and unit else None
    return sizes
