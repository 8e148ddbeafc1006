"""Planes of an image, at any of its levels: full size, half, quarter, ..."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.data.normalize import Normalization, measure
from biounet.io import LazyImage, open_lazily
from biounet.io.frames import Frame
from biounet.io.pyramid import halve
from biounet.workspace.edit import Plane
from biounet.workspace.pyramid import Pyramid

__all__ = ["ImagePlanes", "NotReadyError", "RecentPlanes"]


WHOLE = 2**26
"""Bytes of a plane that is read whole and kept; of larger ones regions are read."""

KEPT = 2**28
"""Bytes of such planes, with their smaller levels, that are kept of all images."""

MIDDLE = 1024
"""Pixels along a side of the middle of an image that says how bright it is."""

SMALLEST = 256
"""Pixels along the longer side of the smallest level, at most."""


class NotReadyError(ImageError):
    """A level of an image is still being computed."""


class RecentPlanes:
    """Levels of the small planes that were read last.

    Parameters
    ----------
    most : bytes that are kept; the plane that was read last always is
    """

    def __init__(self, most: int = KEPT) -> None:
        self._most, self._bytes = most, 0
        self._found: OrderedDict[tuple[Path, Plane], list[NDArray[Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, plane: Plane, make: Callable[[], list[NDArray[Any]]]) -> list[NDArray[Any]]:
        """Levels of a plane, which are made if they are not there."""
        with self._lock:
            if (path, plane) in self._found:
                self._found.move_to_end((path, plane))
                return self._found[path, plane]
        levels = make()
        with self._lock:
            self._found[path, plane] = levels
            self._bytes += sum(level.nbytes for level in levels)
            while self._bytes > self._most and len(self._found) > 1:
                _, oldest = self._found.popitem(last=False)
                self._bytes -= sum(level.nbytes for level in oldest)
        return levels


@dataclass
class ImagePlanes:
    """An image as planes of C, Y and X: one time point and z-slice at a time.

    Parameters
    ----------
    path : Path
    cache : folder for smaller copies of large images
    recent : RecentPlanes
        Of all images of a project.
    """

    path: Path
    cache: Path
    recent: RecentPlanes = field(default_factory=RecentPlanes, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    @cached_property
    def _levels(self) -> list[LazyImage]:
        """The image, open, and the smaller copies that its own file has."""
        levels = [open_lazily(self.path)]
        while True:
            try:
                levels.append(open_lazily(self.path, level=len(levels)))
            except ImageError:
                return levels

    @cached_property
    def _facts(self) -> tuple[str, tuple[int, ...], np.dtype[Any], tuple[float, ...] | None]:
        """Axes, shape, type and pixel size of the image."""
        with self._guarded(), open_lazily(self.path) as image:
            return image.axes, image.shape, image.dtype, image.spacing

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Pixels per axis; all of TCZYX are there."""
        found = dict(zip(self._facts[0], self._facts[1], strict=True))
        return {axis: found.get(axis, 1) for axis in "TCZYX"}

    @property
    def size(self) -> tuple[int, int]:
        """Pixels of a plane along Y and X."""
        return self.sizes["Y"], self.sizes["X"]

    @property
    def label_axes(self) -> str:
        """Axes of the labels: those of the image without channels."""
        return self._facts[0].replace("C", "")

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Pixels per axis of the labels."""
        return tuple(self.sizes[axis] for axis in self.label_axes)

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """Micrometres per pixel and spatial axis, if the file tells."""
        return self._facts[3]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self._facts[2]

    @property
    def levels(self) -> int:
        """Number of levels, full size included."""
        longest, count = max(self.size), 1
        while -(-longest // 2 ** (count - 1)) > SMALLEST:
            count += 1
        return count

    def level_size(self, level: int) -> tuple[int, int]:
        """Pixels of a level along Y and X."""
        height, width = self.size
        return -(-height // 2**level), -(-width // 2**level)

    @property
    def is_small(self) -> bool:
        """Whether a plane is read whole, so that all levels are there at once."""
        height, width = self.size
        return height * width * self.sizes["C"] * self.dtype.itemsize <= WHOLE

    def read(self, plane: Plane, box: Box, *, level: int = 0) -> NDArray[Any]:
        """Pixels of a region of a plane, (C, Y, X).

        Parameters
        ----------
        plane : time point and z-slice
        box : region, in pixels of the level
        level : 0 is full size, each further one half of that before

        Raises
        ------
        ImageError
            If the file cannot be read, or has no such plane.
        NotReadyError
            If the level of a large image is still being computed.
        """
        self.check(plane)
        if self.is_small:
            with self._lock:
                levels = self.recent.get(self.path, plane, lambda: self._read_whole(plane))
            return levels[level][(slice(None), *box.slices)]
        if level == 0:
            return self._read_level(0, plane, box)
        own = self._own_level(level)
        if own is not None:
            return self._read_level(own, plane, box)
        pyramid = self.pyramid(plane)
        if not pyramid.ready(level):
            raise NotReadyError(f"{self.path.name}: smaller copies are being made, {pyramid.share:.0%} are done")
        return pyramid.read(level, box)

    def pyramid(self, plane: Plane) -> Pyramid:
        """Smaller copies of a plane of a large image whose file has none."""
        with self._lock:
            key = f"{plane[0]}-{plane[1]}"
            found = self._pyramids.get(plane)
            if found is None:
                found = Pyramid(
                    self.cache / key,
                    (self.sizes["C"], *self.size),
                    self.dtype,
                    self.levels,
                    lambda box: self._read_level(0, plane, box),
                )
                self._pyramids[plane] = found
            return found

    @cached_property
    def _pyramids(self) -> dict[Plane, Pyramid]:
        return {}

    def needs_pyramid(self, plane: Plane) -> bool:
        """Whether smaller copies of a plane have to be made, and are not yet."""
        if self.is_small or all(self._own_level(level) is not None for level in range(1, self.levels)):
            return False
        return not self.pyramid(plane).ready(self.levels - 1)

    def measure(self, plane: Plane, normalization: Normalization) -> Normalization:
        """Normalisation with the statistics of a plane."""
        if self.is_small:
            return normalization.measured(self.read(plane, Box((0, 0), self.size)))
        axes = self._facts[0]
        counted = tuple((axis, at) for axis, at in zip("TZ", plane, strict=True) if axis in axes)
        with self._guarded():
            return measure(Frame(counted, self._levels[0], self.sizes["C"], self.path.name), normalization)

    def display_range(self, plane: Plane) -> list[tuple[float, float]]:
        """Intensities of each channel that are shown black and white, of the middle and of the smallest level.

        The middle of a large image may be empty, and the smallest level consists of means: neither would do alone.
        """
        middle = Box((0, 0), self.size).middle((MIDDLE, MIDDLE))
        samples, level = [self.read(plane, middle)], self.levels - 1
        with suppress(NotReadyError):
            samples.append(self.read(plane, Box((0, 0), self.level_size(level)), level=level))
        ends = [np.percentile(pixels.reshape(len(pixels), -1), (0.2, 99.8), axis=1) for pixels in samples]
        low, high = np.min(ends, axis=0)[0], np.max(ends, axis=0)[1]
        return [(float(a), float(b) if b > a else float(a) + 1) for a, b in zip(low, high, strict=True)]

    @cached_property
    def extent(self) -> tuple[float, float]:
        """Intensities that travel as 0 and as 65535, where pixels are neither 8 nor 16 bits."""
        if self.dtype in (np.uint8, np.uint16):
            return 0.0, 65535.0  # they travel as they are
        ranges = self.display_range((0, 0))
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        return low - (high - low), high + (high - low)

    def travelling_range(self) -> list[tuple[float, float]]:
        """Intensities of each channel, as they travel, that are first shown black and white."""
        low, high = self.extent
        scale = 65535 / (high - low)
        return [((dark - low) * scale, (bright - low) * scale) for dark, bright in self.display_range((0, 0))]

    def close(self) -> None:
        """Close the file; reading opens it again."""
        with self._lock:
            for image in self.__dict__.pop("_levels", []):
                image.__exit__(None, None, None)

    def check_there(self) -> None:
        """Refuse to go on with a file that was removed.

        Raises
        ------
        ImageError
        """
        if not self.path.exists():
            raise ImageError(f"{self.path.name} is gone; put it back, or start biounet serve again")

    def check(self, plane: Plane) -> None:
        """Refuse a plane that the image has not.

        Raises
        ------
        ImageError
        """
        if not (0 <= plane[0] < self.sizes["T"] and 0 <= plane[1] < self.sizes["Z"]):
            raise ImageError(f"{self.path.name} has no plane {plane}; it has {self.sizes['T']} x {self.sizes['Z']}")

    def _read_whole(self, plane: Plane) -> list[NDArray[Any]]:
        """Read a small plane, and make its levels."""
        with self._guarded(), open_lazily(self.path) as image:
            levels = [self._read_region(image, plane, Box((0, 0), self.size))]
        while len(levels) < self.levels:
            levels.append(halve(levels[-1], (1, 2, 2), labels=False))
        return levels

    def _own_level(self, level: int) -> int | None:
        """The level of the file itself whose size is that of one of ours."""
        with self._guarded():
            sizes = [image.shape[-2:] for image in self._levels]
        wanted = self.level_size(level)
        return sizes.index(wanted) if wanted in sizes[1:] else None

    def _read_level(self, level: int, plane: Plane, box: Box) -> NDArray[Any]:
        """Read a region (C, Y, X) of a level of the file, which stays open."""
        with self._guarded():
            return self._read_region(self._levels[level], plane, box)

    def _read_region(self, image: LazyImage, plane: Plane, box: Box) -> NDArray[Any]:
        """Read a region (C, Y, X) of an open image."""
        at = dict(zip("TZ", plane, strict=True))
        ranges = [(at[axis], at[axis] + 1) if axis in at else (0, self.sizes["C"]) for axis in image.axes[:-2]]
        start, stop = zip(*ranges, *zip(box.start, box.stop, strict=True), strict=True)
        return image.read(Box(start, stop)).reshape(self.sizes["C"], *box.shape)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Read one region at a time, and say it if the file has gone."""
        with self._lock:
            self.check_there()
            yield
