"""Rectangles of TIFF pages: only the rows, strips or tiles that are needed are read and decoded."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from math import ceil, prod
from pathlib import Path
from threading import Lock
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
MOST_STORED = 4
"""Times that a strip or tile may be larger as it is stored than decoded; larger ones are damaged."""

AGAIN = "copy the file again"

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
        self._lock = Lock()
        self._first, self._name = stack.keyframe, stack.keyframe.parent.filename
        # Separate samples, depth, rows, columns, interleaved samples.
        self._planes, _, self._height, self._width, self._interleaved = self._first.shaped
        self._offset = stack.offset
        self._pages = stack.pages
        self._rows, self._columns = self._piece()
        self._cache: OrderedDict[tuple[int, int], NDArray[Any]] = OrderedDict()
        self._whole_bytes = prod(stack.shape) * self._first.dtype.itemsize
        # Two threads would decode two large pieces at a time.
        self._decoding: AbstractContextManager[Any] = Lock() if self._piece_bytes > CACHE_BYTES // 8 else nullcontext()
        self._stream(self._pages[0].parent.filehandle.path)  # at once: the file may be replaced before it is read

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        return int(self._planes * self._interleaved)

    @property
    def plane(self) -> tuple[int, int]:
        """Rows and columns of a page."""
        return int(self._height), int(self._width)

    @property
    def decoding_bytes(self) -> int:
        """Most memory that the largest strip or tile takes, as it is stored and decoded, with those that are kept."""
        if self._offset is not None or self._first.is_final:
            return 0
        swapped: int = (
            self._piece_bytes if self._first.dtype.itemsize > 1 and self._first.parent.byteorder == ">" else 0
        )
        stored = min(self._first.parent.filehandle.size, self._piece_bytes + self._piece_bytes // 8 + 4096)
        return int(stored + swapped + max(self._piece_bytes, min(CACHE_BYTES, self._whole_bytes)))

    @property
    def _piece_bytes(self) -> int:
        """Bytes of a decoded strip or tile."""
        depth = self._first.tiledepth if self._first.is_tiled else 1
        return int(depth * self._rows * self._columns * self._interleaved * self._first.dtype.itemsize)

    def _piece(self) -> tuple[int, int]:
        """Rows and columns of a strip or tile; refuse a file that does not name all of them."""
        first = self._first
        tiled = first.is_tiled
        rows = int(first.tilelength if tiled else min(first.rowsperstrip, self._height))
        columns = int(first.tilewidth if tiled else self._width)
        if min(rows, columns) < 1:
            raise ImageError(
                f"{self._name}: its strips or tiles have {rows} x {columns} pixels, at least 1 is wanted; {AGAIN}"
            )
        named, wanted = len(first.dataoffsets), self._planes * ceil(self._height / rows) * ceil(self._width / columns)
        if self._offset is None and not first.is_final and min(named, len(first.databytecounts)) < wanted:
            raise ImageError(f"{self._name} names {named} strips or tiles, its size needs {wanted}; {AGAIN}")
        return rows, columns

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
                    raise ImageError(f"{Path(path).name}: the file ends too early; {AGAIN}")
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
            with self._decoding:
                segment = self._segment(page, index)
                y0, y1 = max(top, rows.start), min(top + segment.shape[0], rows.stop)
                x0, x1 = max(left, columns.start), min(left + segment.shape[1], columns.stop)
                target = pixels[plane, y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start]
                target[:] = segment[y0 - top : y1 - top, x0 - left : x1 - left]
                del segment  # or it would live while the next is decoded
        return pixels

    def _segments(self, rows: slice, columns: slice) -> Iterator[tuple[int, int, int, int]]:
        """Give index, plane, top and left of the strips or tiles that a rectangle touches."""
        height, width = self._rows, self._columns
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
            kept = sum(one.nbytes for one in self._cache.values())
            while self._cache and kept + self._piece_bytes > CACHE_BYTES:  # before the next, which may be large
                kept -= self._cache.popitem(last=False)[1].nbytes
        segment = self._decode(page, index)
        with self._lock:
            self._cache[key] = segment
        return segment

    def _decode(self, page: int, index: int) -> NDArray[Any]:
        """Read and decode one strip or tile."""
        found = self._pages[page]
        count = found.databytecounts[index]
        if count and not 0 < found.dataoffsets[index] <= found.parent.filehandle.size - count:
            raise ImageError(f"{self._name}, page {page}: strip or tile {index} lies outside of the file; {AGAIN}")
        if count > self._piece_bytes * MOST_STORED + 2**16:
            raise ImageError(f"{self._name}, page {page}: strip or tile {index} would take {count:,} bytes; {AGAIN}")
        data = bytearray(count)
        if count:
            self._fill(page, found.dataoffsets[index], memoryview(data))
        extra = {}
        if self._first.compression in JPEG:
            extra = {"jpegtables": found.jpegtables, "jpegheader": self._first.jpegheader}
        segment, _, shape = self._first.decode(data or None, index, **extra)
        if segment is None:  # a tile that was left out to save room
            segment = np.full(shape, self._first.nodata, self._first.dtype)
        if prod(segment.shape) != prod(shape):
            raise ImageError(f"{self._name}: page {page} is torn at strip or tile {index}; {AGAIN}")
        return np.asarray(segment.reshape(shape)[0])
