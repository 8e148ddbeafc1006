"""CZI of Zeiss: scenes read by rectangle, plane by plane, from tiles and mosaics of any compression."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ImageError, need
from biounet.io.pixels import reading
from biounet.io.selection import Selection
from biounet.io.sliced import SlicedImage, pick_series

__all__ = ["LIBRARY", "open_lazily"]


KIND = "CZI"

METRE = 1e6
"""Micrometres: distances of a CZI file are in metres."""

LIBRARY = "czifile" if sys.version_info >= (3, 12) else "pylibCZIrw"
"""czifile is pure Python, but its releases for Python 3.11 cannot read what Zeiss compresses today."""

Rectangle = tuple[int, int, int, int]
"""x, y, width and height in the plane of the stage."""


class Source(Protocol):
    """An open file, as one of the two libraries reads it."""

    @property
    def scenes(self) -> Mapping[int, Rectangle]:
        """Number of a scene -> where it lies; at least one."""

    @property
    def ranges(self) -> Mapping[str, range]:
        """Axis, other than X and Y -> its coordinates in the file."""

    @property
    def xml(self) -> str:
        """Metadata."""

    def read(self, scene: int, where: Rectangle, at: Mapping[str, int]) -> NDArray[Any]:
        """Pixels (rows, columns) of a plane, or (rows, columns, samples) of colours as red, green and blue."""

    def close(self) -> None:
        """Close the file."""


def open_lazily(path: Path, *, selection: Selection = Selection(), labels: bool = False) -> SlicedImage:
    """Open a scene of a CZI file as a series; see `biounet.io.open_lazily`.

    Notes
    -----
    The tiles of a mosaic are put together; where none lies, pixels are 0. Pixels are those of the full size, not of
    the pyramid.
    """
    with reading(path, KIND):
        source: Source = _Czifile(path) if LIBRARY == "czifile" else _PylibCZIrw(path)
        try:
            names = [f"scene {number}" for number in source.scenes]
            number, notes = pick_series(names, selection, path, KIND)
            scene = list(source.scenes)[number]
            array = _Scene(source, scene, path)
            return SlicedImage(
                path,
                array,
                array.axes,
                _sizes(source.xml),
                kind=KIND,
                axes=selection.axes,
                close=source.close,
                notes=notes,
            )
        except BaseException:
            source.close()
            raise


class _Scene:
    """A scene as an array: T, C and Z as far as there are several, then rows, columns and colours."""

    def __init__(self, source: Source, scene: int, path: Path) -> None:
        self._source, self._scene = source, scene
        self._left, self._top, width, height = source.scenes[scene]
        several = {axis: found for axis, found in source.ranges.items() if len(found) > 1}
        unknown = sorted(set(several) - set("TCZ"))
        if unknown:
            raise ImageError(f"{path.name}: axes {', '.join(unknown)} of CZI are not known; export it as OME-TIFF")
        self._outer = [axis for axis in "TCZ" if axis in several]
        sample = self._plane((0, 0, 1, 1), [0] * len(self._outer))
        self.dtype = sample.dtype
        self._colours = sample.shape[2:]
        if self._colours and "C" in several:
            raise ImageError(f"{path.name}: colour beside other channels is not known; export it as OME-TIFF")
        self.axes = "".join((*self._outer, "YX", "S" * len(self._colours)))
        self.shape = (*(len(several[axis]) for axis in self._outer), height, width, *self._colours)

    def _plane(self, where: Rectangle, index: list[int]) -> NDArray[Any]:
        """Part of a plane."""
        at = {axis: found.start for axis, found in self._source.ranges.items()}
        at |= {axis: at[axis] + number for axis, number in zip(self._outer, index, strict=True)}
        x, y, width, height = where
        return self._source.read(self._scene, (self._left + x, self._top + y, width, height), at)

    def __getitem__(self, slices: tuple[slice, ...]) -> NDArray[Any]:
        outer = slices[: len(self._outer)]
        rows, columns, *colours = slices[len(outer) :]
        where = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        pixels = np.empty([s.stop - s.start for s in slices], self.dtype)
        for number in np.ndindex(*(s.stop - s.start for s in outer)):
            index = [s.start + i for s, i in zip(outer, number, strict=True)]
            plane = self._plane(where, index)
            if plane.dtype != self.dtype or plane.shape[2:] != self._colours:
                raise ImageError(f"channels of {self.dtype} and {plane.dtype} are in one image; give --channel")
            pixels[number] = plane[..., colours[0]] if colours else plane
        return pixels


class _Czifile:
    """An open file, read by czifile; a `Source`."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._file = need("czifile").CziFile(path, squeeze=False)
        self.scenes: dict[int, Rectangle] = {int(key): image.bbox for key, image in self._file.scenes.items()}
        first = next(iter(self._file.scenes.values()))
        self.ranges = {
            axis: range(start, start + size)
            for axis, start, size in zip(first.dims, first.start, first.shape, strict=True)
            if axis not in "XYS"
        }
        self.xml: str = self._file.metadata() or ""

    def read(self, scene: int, where: Rectangle, at: Mapping[str, int]) -> NDArray[Any]:
        """Read a part of a plane."""
        try:
            plane = self._file.scenes[scene](**at)
        except ValueError as error:
            raise _missing(self._name, at) from error
        # Of tiles that overlap the last one is on top; several workers, and a region of czifile, would mix them.
        tiles = sorted(plane.directory_entries, key=lambda tile: int(tile.mosaic_index))
        part = need("czifile").CziImage(self._file, tuple(tiles), squeeze=False, roi=where)
        found: NDArray[Any] = part.asarray(maxworkers=1)
        width, height = where[2:]
        return found.reshape(height, width, -1) if found.size > width * height else found.reshape(height, width)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _PylibCZIrw:
    """An open file, read by pylibCZIrw; a `Source`."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        need("pylibCZIrw")
        self._file = need("pylibCZIrw.czi").CziReader(str(path))
        found = self._file.scenes_bounding_rectangle_no_pyramid
        self._numbered, self._there = bool(found), set[Any]()
        whole = self._file.total_bounding_rectangle_no_pyramid
        self.scenes: dict[int, Rectangle] = {key: tuple(at) for key, at in found.items()} or {0: tuple(whole)}
        box = self._file.total_bounding_box_no_pyramid
        self.ranges = {axis: range(*ends) for axis, ends in box.items() if axis not in "XY"}
        self.xml: str = self._file.raw_metadata

    def read(self, scene: int, where: Rectangle, at: Mapping[str, int]) -> NDArray[Any]:
        """Read a part of a plane."""
        if (scene, tuple(at.items())) not in self._there:
            self._check(scene, at)
        found: NDArray[Any] = self._file.read(roi=where, plane=dict(at), scene=scene if self._numbered else None)
        return found[..., 0] if found.shape[-1] == 1 else found[..., ::-1]  # blue comes first

    def _check(self, scene: int, at: Mapping[str, int]) -> None:
        """Refuse a plane of which there is no tile: the library gives zeros for it."""
        tiles: list[Any] = []

        def stop(_: int, tile: Any) -> bool:
            tiles.append(tile)
            return False  # one is enough

        # Tiles may leave out axes of one coordinate.
        plane = {axis: number for axis, number in at.items() if len(self.ranges[axis]) > 1}
        self._file.enumerate_subblocks_subset(stop, plane=plane, roi=self.scenes[scene], only_layer0=True)
        if not tiles:
            raise _missing(self._name, at)
        self._there.add((scene, tuple(at.items())))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _missing(name: str, at: Mapping[str, int]) -> ImageError:
    """Error of a plane that was not acquired; the libraries differ in what they give instead."""
    return ImageError(f"{name}: the plane {dict(at)} is missing, as after a stop; export the planes that are there")


def _sizes(xml: str) -> dict[str, float | None]:
    """Micrometres per pixel; a distance of 0 is unknown."""
    sizes: dict[str, float | None] = dict.fromkeys("ZYX")
    for found in ElementTree.fromstring(xml).iterfind(".//Scaling/Items/Distance") if xml.strip() else ():
        axis, value = found.get("Id", ""), found.findtext("Value")
        if axis in sizes and value:
            sizes[axis] = float(value) * METRE
    return sizes
