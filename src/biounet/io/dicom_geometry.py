"""Where the slices of a DICOM series lie: frames of its files, in the order of their positions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from biounet.core.errors import ImageError

__all__ = ["Slice", "Stack", "order", "slices_of"]


MILLIMETRE = 1e3
"""Micrometres."""

SAME = 1e-3
"""Millimetres between slices that lie at one position."""

GAP = 1.5
"""A step so many times as long as the shortest is one over a slice that is missing."""

GROUPS = ("PlanePosition", "PlaneOrientation", "PixelMeasures", "PixelValueTransformation")
"""What a file of many frames says of each, or of all, in sequences of these names."""


@dataclass(frozen=True)
class Slice:
    """A frame of a DICOM file.

    path, frame : where it is
    position : millimetres along the normal of the slice; None if the file does not say
    place : what orders slices at one position: acquisition, instance and frame
    spacing : millimetres between rows, and between columns; None if the file does not say
    rescale : slope and intercept
    """

    path: Path
    frame: int
    position: float | None
    place: tuple[float, ...]
    spacing: tuple[float, float] | None
    rescale: tuple[float, float] = (1.0, 0.0)


@dataclass(frozen=True)
class Stack:
    """Slices in order.

    slices : the axes of `axes`, flattened
    axes, shape : T, Z or both, or none for a single slice; I if nothing says what counts the slices
    sizes : micrometres per pixel
    note : about slices that are missing, or ``""``
    """

    slices: Sequence[Slice]
    axes: str
    shape: tuple[int, ...]
    sizes: dict[str, float | None]
    note: str = ""


def slices_of(path: Path, header: Any) -> Iterator[Slice]:
    """The frames of a file, from its header as pydicom reads it."""
    shared: Any = next(iter(header.get("SharedFunctionalGroupsSequence", ())), {})
    single = header.get("PerFrameFunctionalGroupsSequence", ())
    for frame in range(int(header.get("NumberOfFrames", 1) or 1)):
        own = single[frame] if frame < len(single) else {}
        parts = [_part(groups, name) for groups in (own, shared) for name in GROUPS]
        found = [header, *(part for part in parts if part is not None)]
        directions, corner = _first(found, "ImageOrientationPatient"), _first(found, "ImagePositionPatient")
        position = None
        if directions is not None and corner is not None and (not single or len(single) > frame):
            across, down = np.asarray(directions, float).reshape(2, 3)
            position = float(np.dot(np.cross(across, down), np.asarray(corner, float)))
        steps = _first(found, "PixelSpacing") or _first(found, "ImagerPixelSpacing")
        counted = ("TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber")
        yield Slice(
            path,
            frame,
            position,
            (*(float(header.get(name) or 0) for name in counted), float(frame)),
            None if steps is None else (float(steps[0]), float(steps[1])),
            (float(_first(found, "RescaleSlope") or 1), float(_first(found, "RescaleIntercept") or 0)),
        )


def order(slices: Iterable[Slice], name: str) -> Stack:
    """Sort slices by position; several at each position are time points.

    Raises
    ------
    ImageError
        If some positions have more slices than others.

    Examples
    --------
    >>> cells = [Slice(Path(f"{z}.dcm"), 0, z, (z,), (0.5, 0.5)) for z in (20.0, 0.0, 5.0)]
    >>> stack = order(cells, "series")
    >>> [part.path.stem for part in stack.slices], stack.axes, stack.sizes["Z"]
    (['0.0', '5.0', '20.0'], 'Z', 5000.0)
    >>> stack.note
    '2 slices are missing (steps of 5 to 15 mm); volumes there are wrong'
    """
    found = sorted(slices, key=lambda part: part.place)
    steps = found[0].spacing
    sizes: dict[str, float | None] = dict.fromkeys("ZYX")
    if steps is not None:
        sizes |= {"Y": steps[0] * MILLIMETRE, "X": steps[1] * MILLIMETRE}
    if len(found) == 1:
        return Stack(found, "", (), sizes)
    if any(part.position is None for part in found):
        return Stack(found, "T" if len({part.path for part in found}) == 1 else "I", (len(found),), sizes)
    found.sort(key=_position)  # stable: at one position the order stays
    levels = [list(group) for _, group in groupby(found, key=lambda part: round(_position(part) / SAME))]
    times = {len(level) for level in levels}
    if len(times) > 1:
        raise ImageError(
            f"{name}: there are {min(times)} slices at some positions and {max(times)} at others; "
            "keep one series of slices in a folder"
        )
    several = times.pop()
    places = np.array([_position(level[0]) for level in levels])
    between = np.diff(places)
    if len(between):
        sizes["Z"] = float(between.min()) * MILLIMETRE
    counted = [("T", several), ("Z", len(levels))]
    counted = [(axis, count) for axis, count in counted if count > 1]
    return Stack(
        [level[time] for time in range(several) for level in levels],
        "".join(axis for axis, _ in counted),
        tuple(count for _, count in counted),
        sizes,
        _gaps(between),
    )


def _gaps(between: Any) -> str:
    """What to say of slices that are missing."""
    if len(between) < 2 or between.max() < GAP * between.min():
        return ""
    missing = int(sum(round(step / between.min()) - 1 for step in between))
    said = "1 slice is" if missing == 1 else f"{missing} slices are"
    return f"{said} missing (steps of {between.min():g} to {between.max():g} mm); volumes there are wrong"


def _position(part: Slice) -> float:
    """Position of a slice that has one."""
    assert part.position is not None
    return part.position


def _part(groups: Any, name: str) -> Any:
    """The item of a functional group, None if it is not there."""
    return next(iter(groups.get(f"{name}Sequence", ()) or ()), None)


def _first(found: Sequence[Any], name: str) -> Any:
    """The first value of a name in several parts of a header."""
    return next((part.get(name) for part in found if part.get(name) is not None), None)
