"""Rectangles of TIFF pages: only the rows, strips or tiles that are needed are read and decoded."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from math import ceil, prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ImageError
from biounet.io.tiff_stack import PageStack

__all__ = ["PageReader"]


CACHE_BYTES = 64 * 2**20
"""Decoded strips and tiles that are kept: neighbouring regions share them, wide strips above all."""

OPEN_FILES = 8
"""Most files of one image that are open at once."""

JPEG = {6, 7, 34892, 33007}


class PageReader:
    """Read rectangles from the pages of a TIFF series; several threads may share it.

    Parameters
    ----------
    stack : PageStack
        Pages of equal shape.
    """

    def __init__(self, stack: PageStack) -> None:
        self._streams: OrderedDict[str, BinaryIO] = OrderedDict()
        self._lock = threading.Lock()
        self._first = stack.keyframe
        # Separate samples, depth, rows, columns, interleaved samples.
        self._planes, _, self._height, self._width, self._interleaved = self._first.shaped
        self._offset = stack.offset
        self._pages = stack.pages
        self._cache: OrderedDict[tuple[int, int], NDArray[Any]] = OrderedDict()

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        return int(self._planes * self._interleaved)

    @property
    def plane(self) -> tuple[int, int]:
        """Rows and columns of a page."""
        return int(self._height), int(self._width)

    def read(self, page: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Return a rectangle of a page, (samples, rows, columns), in the byte order of this machine."""
        offset = self._raw_offset(page)
        pixels = self._decoded(page, rows, columns) if offset is None else self._raw(page, offset, rows, columns)
        # One of the two sample axes has length 1.
        return np.moveaxis(pixels, -1, 1).reshape(self.samples, *pixels.shape[1:3])

    def _raw_offset(self, page: int) -> int | None:
        """Where the pixels of a page begin if they lie there row by row as they are."""
        if self._offset is not None:
            return int(self._offset + page * self._first.nbytes)
        return int(self._pages[page].dataoffsets[0]) if self._first.is_final else None

    def _raw(self, page: int, offset: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Read (planes, rows, columns, samples) row by row, or at once where rows are whole."""
        dtype = self._first.dtype.newbyteorder(self._first.parent.byteorder)
        pixel = self._interleaved * dtype.itemsize
        height, width = rows.stop - rows.start, columns.stop - columns.start
        block = height if width == self._width else 1
        data = bytearray(self._planes * height * width * pixel)
        view = memoryview(data)
        position = 0
        for plane in range(self._planes):
            for row in range(rows.start, rows.stop, block):
                begin = offset + ((plane * self._height + row) * self._width + columns.start) * pixel
                count = block * width * pixel
                self._fill(page, begin, view[position : position + count])
                position += count
        pixels = np.frombuffer(data, dtype).reshape(self._planes, height, width, self._interleaved)
        return pixels.astype(dtype.newbyteorder("="), copy=False)

    def _fill(self, page: int, offset: int, target: memoryview) -> None:
        """Read exactly as many bytes as `target` holds from the file of a page."""
        path = self._pages[0 if self._offset is not None else page].parent.filehandle.path
        done = 0
        with self._lock:
            stream = self._stream(path)
            stream.seek(offset)
            while done < len(target):
                count = stream.readinto(target[done:])  # type: ignore[attr-defined]
                if not count:
                    raise ImageError(f"{Path(path).name}: the file ends too early; copy it again")
                done += count

    def _stream(self, path: str) -> BinaryIO:
        """Open a file without a buffer, or take it from those that are open."""
        if path not in self._streams:
            self._streams[path] = open(path, "rb", buffering=0)  # noqa: SIM115 - it stays open
            while len(self._streams) > OPEN_FILES:
                self._streams.popitem(last=False)[1].close()
        self._streams.move_to_end(path)
        return self._streams[path]

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            while self._streams:
                self._streams.popitem()[1].close()

    def _decoded(self, page: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Put (planes, rows, columns, samples) together from decoded strips or tiles."""
        height, width = rows.stop - rows.start, columns.stop - columns.start
        pixels = np.zeros((self._planes, height, width, self._interleaved), self._first.dtype)
        for index, plane, top, left in self._segments(rows, columns):
            segment = self._segment(page, index)
            y0, y1 = max(top, rows.start), min(top + segment.shape[0], rows.stop)
            x0, x1 = max(left, columns.start), min(left + segment.shape[1], columns.stop)
            target = pixels[plane, y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start]
            target[:] = segment[y0 - top : y1 - top, x0 - left : x1 - left]
        return pixels

    def _segments(self, rows: slice, columns: slice) -> Iterator[tuple[int, int, int, int]]:
        """Give index, plane, top and left of the strips or tiles that a rectangle touches."""
        height = self._first.tilelength if self._first.is_tiled else min(self._first.rowsperstrip, self._height)
        width = self._first.tilewidth if self._first.is_tiled else self._width
        down, across = ceil(self._height / height), ceil(self._width / width)
        for plane in range(self._planes):
            for y in range(rows.start // height, ceil(rows.stop / height)):
                for x in range(columns.start // width, ceil(columns.stop / width)):
                    yield (plane * down + y) * across + x, plane, y * height, x * width

    def _segment(self, page: int, index: int) -> NDArray[Any]:
        """Decode one strip or tile, (rows, columns, samples), or take it from the cache."""
        key = (page, index)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        segment = self._decode(page, index)
        with self._lock:
            self._cache[key] = segment
            while len(self._cache) > 1 and sum(kept.nbytes for kept in self._cache.values()) > CACHE_BYTES:
                self._cache.popitem(last=False)
        return segment

    def _decode(self, page: int, index: int) -> NDArray[Any]:
        """Read and decode one strip or tile."""
        found = self._pages[page]
        count = found.databytecounts[index]
        data = bytearray(count)
        if count:
            self._fill(page, found.dataoffsets[index], memoryview(data))
        extra = {}
        if self._first.compression in JPEG:
            extra = {"jpegtables": found.jpegtables, "jpegheader": self._first.jpegheader}
        segment, _, shape = self._first.decode(bytes(data) or None, index, **extra)
        if segment is None:  # a tile that was left out to save room
            segment = np.full(shape, self._first.nodata, self._first.dtype)
        if prod(segment.shape) != prod(shape):
            raise ImageError(f"page {page} is torn at strip or tile {index}; copy the file again")
        return np.asarray(segment.reshape(shape)[0])
