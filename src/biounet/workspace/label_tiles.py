"""Sparse label image of one plane: compressed tiles over a file that holds the rest."""

import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.labels import IGNORE

__all__ = ["SIDE", "LabelTiles", "Tile", "overlap", "pack", "tile_box", "tiles_of", "unpack"]


SIDE = 256
"""Pixels along each side of a tile; tiles at the lower and right edge are smaller."""

CACHED = 64
"""Tiles that are kept decompressed."""

Tile = tuple[int, int]
"""Row and column of a tile."""

Labels = NDArray[np.int32]


def pack(labels: Labels) -> bytes:
    """Compressed bytes of a label tile."""
    return zlib.compress(np.ascontiguousarray(labels, "<i4").tobytes(), 1)


def unpack(data: bytes, shape: tuple[int, ...]) -> Labels:
    """Labels that `pack` compressed.

    >>> unpack(pack(np.array([[0, -1, 7]], np.int32)), (1, 3))
    array([[ 0, -1,  7]], dtype=int32)
    """
    return np.frombuffer(zlib.decompress(data), "<i4").reshape(shape).astype(np.int32)


def tiles_of(box: Box) -> Iterator[Tile]:
    """Tiles that a region touches.

    >>> list(tiles_of(Box((0, 250), (10, 260))))
    [(0, 0), (0, 1)]
    """
    (top, left), (bottom, right) = box.start, box.stop
    yield from product(range(top // SIDE, -(-bottom // SIDE)), range(left // SIDE, -(-right // SIDE)))


def tile_box(tile: Tile, shape: tuple[int, int]) -> Box:
    """Region of a tile in a plane of (Y, X) pixels.

    >>> tile_box((0, 1), (100, 300))
    Box(start=(0, 256), stop=(100, 300))
    """
    start = (tile[0] * SIDE, tile[1] * SIDE)
    return Box(start, (min(start[0] + SIDE, shape[0]), min(start[1] + SIDE, shape[1])))


def overlap(one: Box, other: Box) -> Box:
    """What two regions have in common; it may be empty.

    >>> overlap(Box((0, 0), (4, 4)), Box((2, 3), (9, 9)))
    Box(start=(2, 3), stop=(4, 4))
    """
    start, stop = map(max, one.start, other.start), map(min, one.stop, other.stop)
    return Box(tuple(start), tuple(stop))


def _corners(inner: Box, outer: Box) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First and last corner of a region, in coordinates of another."""
    moved = inner.relative_to(outer.start)
    return moved.start, moved.stop


class LabelTiles:
    """Labels (Y, X) of one plane, which is IGNORE wherever nobody has drawn.

    Parameters
    ----------
    shape : (Y, X) pixels of the plane
    base : region -> labels
        What tiles hold that were never changed. None: IGNORE.

    Examples
    --------
    >>> plane = LabelTiles((300, 300))
    >>> plane.put((0, 0), np.zeros((256, 256), np.int32))
    >>> plane.read(Box((255, 0), (257, 2)))
    array([[ 0,  0],
           [-1, -1]], dtype=int32)
    """

    def __init__(self, shape: tuple[int, int], base: Callable[[Box], Labels] | None = None) -> None:
        self.shape = shape
        self.tiles: dict[Tile, bytes] = {}
        self._base = base
        self._decoded: OrderedDict[Tile, Labels] = OrderedDict()

    def read(self, box: Box, *, step: int = 1) -> Labels:
        """Return the labels of a region inside the plane; of every `step`-th pixel, from the first of the region.

        A step is a power of 2 up to `SIDE`; with more than 1, regions begin at multiples of it.
        """
        result = np.full([-(-size // step) for size in box.shape], IGNORE, np.int32)
        for tile in tiles_of(box):
            if tile not in self.tiles and self._base is None:
                continue
            whole = tile_box(tile, self.shape)
            common = overlap(box, whole)
            rows, columns = (slice(a // step, -(-b // step)) for a, b in zip(*_corners(common, box), strict=True))
            result[rows, columns] = self.tile(tile)[common.relative_to(whole.start).slices][::step, ::step]
        return result

    def tile(self, tile: Tile) -> Labels:
        """Return the labels of a tile, not to be changed."""
        found = self._decoded.pop(tile, None)
        if found is None:
            box = tile_box(tile, self.shape)
            if tile in self.tiles:
                found = unpack(self.tiles[tile], box.shape)
            elif self._base is not None:
                found = self._base(box).astype(np.int32)
            else:
                found = np.full(box.shape, IGNORE, np.int32)
        self._decoded[tile] = found
        while len(self._decoded) > CACHED:
            self._decoded.popitem(last=False)
        return found

    def put(self, tile: Tile, labels: Labels) -> None:
        """Replace the labels of a tile."""
        self.put_packed(tile, pack(labels))

    def put_packed(self, tile: Tile, data: bytes) -> None:
        """Replace the labels of a tile by those that `pack` compressed."""
        self.tiles[tile] = data
        self._decoded.pop(tile, None)

    def snapshot(self) -> "LabelTiles":
        """The labels as they are now, whatever is changed later."""
        copy = LabelTiles(self.shape, self._base)
        copy.tiles = dict(self.tiles)
        return copy

    def all_tiles(self) -> Iterator[Tile]:
        """Tiles that may hold labels: those that were changed, or all where a file lies below."""
        if self._base is None:
            yield from sorted(self.tiles)
        else:
            yield from tiles_of(Box((0, 0), self.shape))
