"""Regions of Zarr arrays: small chunks are decoded together, large ones one after the other."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io.zarr_layout import chunks_of

__all__ = ["ChunkReader"]


LARGE = 2**24
"""Bytes of a chunk above which chunks are read one after the other."""

TOGETHER = 10
"""So many chunks does Zarr decode together."""


class ChunkReader:
    """Read regions of a Zarr array; several threads may share it.

    Parameters
    ----------
    array : zarr.Array
    path : Path
        Of the image, for the error.

    Raises
    ------
    ImageError
        If chunks have no pixels, as damaged metadata say.
    """

    def __init__(self, array: Any, path: Path) -> None:
        self._array, self._lock = array, Lock()
        if min(array.chunks, default=1) < 1:
            size = " x ".join(map(str, array.chunks))
            raise ImageError(
                f"{path}: its chunks have {size} pixels, at least 1 along each axis is wanted; copy it again"
            )
        itemsize = array.dtype.itemsize
        chunk = prod(array.chunks) * itemsize
        self._one_by_one = chunk > LARGE
        self._kept: tuple[Any, NDArray[Any]] | None = None
        # A chunk at the edge is decoded with the pixels that are not there. Stored, it may be as large as decoded.
        self.decoding_bytes = 3 * chunk if self._one_by_one else 2 * TOGETHER * chunk

    def read(self, slices: Sequence[slice]) -> NDArray[Any]:
        """Pixels of a region, one slice per axis."""
        if not self._one_by_one:
            return np.asarray(self._array[tuple(slices)])
        region = Box(tuple(s.start for s in slices), tuple(s.stop for s in slices))
        pixels = np.empty(region.shape, self._array.dtype)
        for chunk in chunks_of(region, self._array.chunks):
            ends = list(zip(chunk, self._array.chunks, region.start, region.stop, strict=True))
            part = Box(
                tuple(max(index * size, start) for index, size, start, _ in ends),
                tuple(min((index + 1) * size, stop) for index, size, _, stop in ends),
            )
            corner = tuple(index * size for index, size, _, _ in ends)
            with self._lock:
                pixels[part.relative_to(region.start).slices] = self._whole(chunk)[part.relative_to(corner).slices]
        return pixels

    def _whole(self, chunk: tuple[int, ...]) -> NDArray[Any]:
        """All pixels of a large chunk, the last of which is kept: neighbouring regions share it."""
        if self._kept is None or self._kept[0] != chunk:
            self._kept = None  # before the next is decoded
            ends = zip(chunk, self._array.chunks, strict=True)
            self._kept = chunk, np.asarray(self._array[tuple(slice(i * n, (i + 1) * n) for i, n in ends)])
        return self._kept[1]
