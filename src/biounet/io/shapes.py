"""Labels as shapes, and shapes as labels: what files of outlines hold, and the pixels that they are painted on."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Self

import numpy as np

from biounet.core.errors import LabelError, OutputError
from biounet.core.labels import IGNORE, check_labels
from biounet.core.outlines import Polygon, fill_polygons, trace_polygons
from biounet.io.image import Image, LazyImage

__all__ = ["FARTHEST", "Grid", "Shape", "finite", "numbered", "paint", "sections_of", "shapes_of"]


FARTHEST = 1e9
"""Largest coordinate of a corner, in pixels."""

LARGEST = np.iinfo(np.int32).max
"""Largest number of an object."""


@dataclass(frozen=True)
class Grid:
    """The pixels that outlines are painted on, since most files of outlines do not say how large their image is.

    Examples
    --------
    >>> Grid.of(Image(np.zeros((3, 20, 30)), "CYX", (0.5, 0.5)))
    Grid(axes='YX', shape=(20, 30), spacing=(0.5, 0.5))
    """

    axes: str
    """Letters of ``TZYX`` in that order."""
    shape: tuple[int, ...]
    """Pixels per axis."""
    spacing: tuple[float, ...] | None = None
    """Micrometres per pixel, one number per spatial axis."""

    @classmethod
    def of(cls, image: LazyImage | Image) -> Self:
        """The grid of an image, without its channels."""
        sizes = dict(zip(image.axes, image.array.shape if isinstance(image, Image) else image.shape, strict=True))
        axes = image.axes.replace("C", "")
        return cls(axes, tuple(sizes[axis] for axis in axes), image.spacing)

    def section(self, place: Mapping[str, int]) -> tuple[int, ...] | None:
        """Indices of the plane at a place, or ``None`` if it is not in the grid."""
        stack = self.axes[:-2]
        inside = all(0 <= place.get(axis, -1) < size for axis, size in zip(stack, self.shape[:-2], strict=True))
        others = any(index for axis, index in place.items() if axis not in stack)
        return tuple(place[axis] for axis in stack) if inside and not others else None


@dataclass(frozen=True)
class Shape:
    """An object, or a part of it in one section, by its outlines."""

    polygons: Sequence[Polygon]
    """The object is their union."""
    number: int | None = None
    """Label of the object, or IGNORE; ``None`` if the file does not number objects."""
    place: Mapping[str, int] = field(default_factory=dict)
    """Section and frame, from 0, under ``Z`` and ``T``, as far as the file says it."""
    kind: str = ""
    """Name of the class, empty if the object has none."""


def sections_of(
    labels: Image, path: Path, *, classes: Sequence[str] = ()
) -> Iterator[tuple[np.ndarray, dict[str, int]]]:
    """Sections and frames (Y, X) of a label image, and the place of each.

    Parameters
    ----------
    labels : Image
    path : file that they are written to, for messages
    classes : names of classes 0, 1, ..., if numbers are classes

    Raises
    ------
    OutputError
        If the image has channels, or a number has no class.

    Examples
    --------
    >>> [place for _, place in sections_of(Image(np.zeros((2, 5, 5), int), "ZYX"), Path("a.zip"))]
    [{'Z': 0}, {'Z': 1}]
    """
    check_labels(labels.array)
    if "C" in labels.axes:
        raise OutputError(f"{path}: labels have no channels, got axes {labels.axes}; give --channel")
    highest = int(labels.array.max(initial=0))
    if classes and highest >= len(classes):
        last = len(classes) - 1
        raise OutputError(f"{path}: a label is {highest}, and --classes names 0 to {last}; give all names, 0 first")
    for indices in product(*map(range, labels.array.shape[:-2])):
        yield labels.array[indices], dict(zip(labels.axes[:-2], indices, strict=True))


def shapes_of(section: np.ndarray, place: Mapping[str, int], *, names: Sequence[str] = ()) -> Iterator[Shape]:
    """Shapes of all objects in a section; unknown pixels are a shape of their own.

    Parameters
    ----------
    section : (Y, X), integers
    place : where it stands
    names : of classes 0, 1, ...
        If there are some, each number is a class.

    Examples
    --------
    >>> [shape.number for shape in shapes_of(np.array([[0, 2], [-1, 2]]), {})]
    [2, -1]
    """
    for number, polygons in trace_polygons(section).items():
        yield Shape(polygons, number, place, names[number] if names else "")
    if section.dtype.kind == "i" and section.min(initial=0) < 0:
        yield Shape(trace_polygons(section < 0)[1], IGNORE, place)


def paint(shapes: Iterable[Shape], grid: Grid, path: Path, notes: list[str]) -> Image:
    """Label image of shapes; the later one has the pixels that two share.

    Parameters
    ----------
    shapes : numbered
    grid : Grid
    path : file that they are from, for messages
    notes : list that is added to
        What a label image cannot hold.

    Raises
    ------
    LabelError
        If a shape lies on a section that the grid does not have, or none lies inside of it.
    """
    labels = np.zeros(grid.shape, np.int32)
    shared = outside = count = 0
    for shape in shapes:
        section = grid.section(shape.place)
        if section is None:
            where = " and ".join(f"{axis} {index + 1}" for axis, index in shape.place.items())
            said = f"lies in {where}" if where else "does not say in which section it lies"
            size = " x ".join(map(str, grid.shape))
            raise LabelError(f"{path}: an object {said}, and the image is {grid.axes} {size}; give the image it is of")
        assert shape.number is not None
        painted, taken = fill_polygons(labels[section], shape.polygons, shape.number)
        count, shared, outside = count + 1, shared + taken, outside + (painted == 0)
    size = " x ".join(map(str, grid.shape[-2:]))
    if count and outside == count:
        raise LabelError(f"{path}: none of its {count} objects covers a pixel of {size} px; give the image it is of")
    if shared:
        notes.append(f"{path.name}: {shared} pixels lie in two objects; the later one has them")
    if outside:
        notes.append(f"{path.name}: {outside} of {count} objects cover no pixel of {size} px and are lost")
    return Image(labels, grid.axes, grid.spacing)


def finite(ring: np.ndarray, path: Path) -> np.ndarray:
    """The corners of a ring, if all are numbers that an image may have.

    Raises
    ------
    LabelError
    """
    if not (np.abs(ring) <= FARTHEST).all():
        raise LabelError(f"{path}: a corner is not a number, or beyond {FARTHEST:g} px; save the outlines anew")
    return ring


def numbered(names: Sequence[str], places: Sequence[Mapping[str, int]]) -> list[int]:
    """Numbers of objects: those that all names end in, or 1, 2, ... in their order.

    Parameters
    ----------
    names : as in ``00012`` or ``t0003-z0000-00012``; ``ignore`` for unknown pixels
    places : section and frame of each

    Examples
    --------
    >>> numbered(["z0000-00007", "z0001-00007", "z0001-ignore"], [{"Z": 0}, {"Z": 1}, {"Z": 1}])
    [7, 7, -1]
    >>> numbered(["0186-0099", "cell"], [{}, {}])
    [1, 2]
    """
    found = [re.fullmatch(r"(?:[tz]\d{4,}-)*(?:(\d{1,10})|ignore)", name) for name in names]
    numbers = [IGNORE if match is None or match[1] is None else int(match[1]) for match in found]
    spots = {(number, *sorted(place.items())) for number, place in zip(numbers, places, strict=True)}
    usable = all(0 < number <= LARGEST or number == IGNORE for number in numbers)
    if all(found) and usable and len(spots) == len(names):
        return numbers
    return list(range(1, len(names) + 1))
