"""Regions of an image, and connected pieces that cross the faces between them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from biounet.core.boxes import Box, face
from biounet.core.errors import MemoryBudgetError

__all__ = ["Index", "RegionPieces", "Regions", "region_size"]


Index = tuple[int, ...]
"""Position of a region in the grid of regions."""

BYTES_PER_PIXEL = 40
"""Memory for a pixel of a region, as measured by benchmarks/segment_objects.py."""


@dataclass(frozen=True)
class Regions:
    """Regions that an image is cut into.

    Parameters
    ----------
    shape : pixels per spatial axis of the image
    size : pixels per spatial axis of a region; the last along an axis may be smaller

    Examples
    --------
    >>> regions = Regions((5, 4), (3, 4))
    >>> [regions.box(index).shape for index in regions]
    [(3, 4), (2, 4)]
    >>> list(regions.faces((0, 0)))
    [(0, 1, (1, 0))]
    """

    shape: tuple[int, ...]
    size: tuple[int, ...]

    def __iter__(self) -> Iterator[Index]:
        counts = (math.ceil(size / step) for size, step in zip(self.shape, self.size, strict=True))
        return product(*(range(count) for count in counts))

    @property
    def single(self) -> bool:
        """Whether the image is one region."""
        return all(size <= step for size, step in zip(self.shape, self.size, strict=True))

    def box(self, index: Index) -> Box:
        """Box of a region in the image."""
        start = tuple(at * step for at, step in zip(index, self.size, strict=True))
        stop = tuple(min(zero + step, size) for zero, step, size in zip(start, self.size, self.shape, strict=True))
        return Box(start, stop)

    def faces(self, index: Index) -> Iterator[tuple[int, int, Index]]:
        """Axis, side (0 or 1) and neighbouring region of each face of a region inside the image."""
        box = self.box(index)
        for axis, size in enumerate(self.shape):
            for side, inside in ((0, box.start[axis] > 0), (1, box.stop[axis] < size)):
                if inside:
                    yield axis, side, (*index[:axis], index[axis] + (1 if side else -1), *index[axis + 1 :])


def region_size(shape: Sequence[int], memory: int, *, multiple: Sequence[int] | None = None) -> tuple[int, ...]:
    """Pixels per axis of the largest regions that `memory` allows, about as long as wide.

    Parameters
    ----------
    shape : pixels per spatial axis of the image
    memory : bytes for one region; faces and tables of objects come on top
    multiple : pixels per axis that regions are multiples of, chunks for instance

    Raises
    ------
    MemoryBudgetError
        If not even the least region fits.

    Examples
    --------
    >>> region_size((8192, 8192), 40 * 2048**2, multiple=(512, 512))
    (2048, 2048)
    """
    units = multiple or (1,) * len(shape)
    size = list(units)
    if math.prod(size) * BYTES_PER_PIXEL > memory:
        raise MemoryBudgetError(
            f"objects in regions of {tuple(units)} pixels take {math.prod(size) * BYTES_PER_PIXEL} bytes, there are "
            f"{memory}; allow more memory"
        )
    while open_axes := [
        axis
        for axis, (pixels, unit, whole) in enumerate(zip(size, units, shape, strict=True))
        if pixels < whole and (pixels + unit) * math.prod(size) // pixels * BYTES_PER_PIXEL <= memory
    ]:
        axis = min(open_axes, key=lambda axis: size[axis])
        size[axis] += units[axis]
    return tuple(size)


class RegionPieces:
    """Connected pieces of a mask that is numbered region by region, joined across the faces of regions.

    Examples
    --------
    >>> pieces = RegionPieces(Regions((4,), (2,)))
    >>> pieces.add((0,), np.array([1, 2]))
    >>> pieces.add((1,), np.array([1, 0]))
    >>> pieces.join(), pieces.of((1,))
    (array([0, 1, 1]), slice(2, 3, None))
    """

    def __init__(self, regions: Regions) -> None:
        self._regions = regions
        self._slices: dict[Index, slice] = {}
        self._count = 0
        self._faces: dict[tuple[Index, int, int], NDArray[np.int64]] = {}
        self._pairs: list[NDArray[np.int64]] = [np.empty((2, 0), np.int64)]

    def add(self, index: Index, labels: NDArray[Any]) -> None:
        """Add a region, whose pieces are labelled 1 to n; 0 is background."""
        first = self._count
        self._count += int(labels.max(initial=0))
        self._slices[index] = slice(first, self._count)
        for axis, side, other in self._regions.faces(index):
            mine = face(labels, axis, side).astype(np.int64).reshape(-1)
            mine[mine > 0] += first
            theirs = self._faces.pop((other, axis, 1 - side), None)
            if theirs is None:
                self._faces[index, axis, side] = mine
            else:
                both = (mine > 0) & (theirs > 0)
                self._pairs.append(np.unique(np.stack([mine[both], theirs[both]]) - 1, axis=1))

    def of(self, index: Index) -> slice:
        """Slice of the pieces of a region in the array that `join` returns."""
        return self._slices[index]

    def join(self) -> NDArray[np.int64]:
        """Component of each piece, numbered from 0; pieces that touch across faces have the same component."""
        pairs = np.concatenate(self._pairs, axis=1)
        if pairs.size == 0:
            return np.arange(self._count)
        graph = coo_array((np.ones(pairs.shape[1], bool), (pairs[0], pairs[1])), shape=(self._count, self._count))
        component: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
        return component
