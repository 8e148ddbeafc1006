"""State of a segmentation, region by region: the elevation map, the seeds, and the labels of their objects."""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box, Reader
from biounet.segmentation.object_sizes import ObjectSizes
from biounet.segmentation.regions import Index, RegionPieces, Regions
from biounet.segmentation.watershed import labels_of

__all__ = ["RegionLabels"]


class RegionLabels:
    """Labels of an image that may be too large for memory, as the steps of a segmentation find them region by region.

    The steps of `biounet.segmentation.steps` change the attributes in turn. Memory holds the faces of regions and a
    table of objects. The pixels of a region are computed again whenever a step needs them. An image in memory is a
    single region, whose pixels are computed once.

    Parameters
    ----------
    elevation : Reader, axes (Z)YX, uint8
    regions : Regions
    keep : a mapping from regions to arrays, or None
        Stores the seeds after the watershed. None: the watershed is computed again whenever a region is needed.

    Attributes
    ----------
    seeds : (region) -> uint32, the number of the seed of each pixel; 0 is background
        After the watershed, a seed has all pixels of its object.
    numbers : (seeds + 1,), uint32
        Table from seeds to labels; 0 where the object was dropped.
    sizes : ObjectSizes
        Number of pixels, and first pixel, of the object of each seed.
    costs : (region, axis, side) -> costs and seeds of the pixels on that face, see `biounet.segmentation.watershed`

    Examples
    --------
    An image of 1 x 4 pixels in two regions. Its background is one piece of two pixels, one in each region:

    >>> from biounet.core.boxes import ArrayReader
    >>> from biounet.core.components import label_objects
    >>> row = np.array([[200, 0, 0, 200]], np.uint8)
    >>> image = RegionLabels(ArrayReader(row), Regions((1, 4), (1, 2)))
    >>> def background(index):
    ...     return label_objects(image.elevation(index) == 0)
    >>> def count(index, pieces):
    ...     return [np.bincount(pieces.ravel())[1:]]
    >>> image.decide(background, count, [np.add], lambda pixels: pixels > 1)
    {(0, 0): array([False,  True]), (0, 1): array([False,  True])}
    """

    def __init__(
        self, elevation: Reader, regions: Regions, *, keep: MutableMapping[Index, NDArray[np.uint32]] | None = None
    ) -> None:
        self._elevation, self.regions, self.keep = elevation, regions, keep
        self.seeds: Callable[[Index], NDArray[np.uint32]] = lambda index: np.zeros(regions.box(index).shape, np.uint32)
        self.numbers = np.zeros(1, np.uint32)
        self.sizes = ObjectSizes(np.zeros(1, np.int64), np.zeros(1, np.int64))
        self.costs: dict[tuple[Index, int, int], NDArray[np.int64]] = {}
        self._last_read: tuple[Index, NDArray[np.uint8]] | None = None

    def elevation(self, index: Index) -> NDArray[np.uint8]:
        """Elevation map of a region; the region that was read last is held in memory."""
        if self._last_read is None or self._last_read[0] != index:
            self._last_read = index, self._elevation.read(self.regions.box(index))
        return self._last_read[1]

    def framed_elevation(self, index: Index) -> NDArray[np.uint8]:
        """Elevation map of a region, padded by two pixels: one of the image, where it goes on, and zeros."""
        box = self.regions.box(index)
        outer = box.grown((1,) * len(box.start), self.regions.shape)
        sides = zip(box.start, outer.start, box.stop, outer.stop, strict=True)
        zeros = [(2 - (start - outer_start), 2 - (outer_stop - stop)) for start, outer_start, stop, outer_stop in sides]
        return np.pad(self._elevation.read(outer), zeros)

    def elevation_around(self, index: Index, margin: Sequence[int]) -> tuple[NDArray[np.uint8], Box]:
        """Elevation map of a region and a margin around it, as far as the image reaches; and where the region lies."""
        box = self.regions.box(index)
        outer = box.grown(margin, self.regions.shape)
        return self._elevation.read(outer), box.relative_to(outer.start)

    def framed(
        self,
        index: Index,
        labels: NDArray[np.uint32],
        *,
        outside: int,
        of_seeds: Callable[[NDArray[np.uint32]], NDArray[np.uint32]] = lambda seeds: seeds,
    ) -> NDArray[np.uint32]:
        """Labels of a region with one pixel around it: labels of the next region's seeds, or `outside` of the image."""
        framed = np.pad(labels, 1, constant_values=outside)
        inner = (slice(1, -1),) * framed.ndim
        for axis, side, other in self.regions.faces(index):
            beyond = of_seeds(labels_of(self.costs[other, axis, 1 - side]))
            framed[(*inner[:axis], -1 if side else 0, *inner[axis + 1 :])] = beyond
        return framed

    def once(self, compute: Callable[[Index], NDArray[Any]]) -> Callable[[Index], NDArray[Any]]:
        """The function `compute` of a region; where there is a single region, its result is computed now and held."""
        if not self.regions.single:
            return compute
        result = compute((0,) * len(self.regions.shape))
        return lambda index: result

    def decide(
        self,
        pieces: Callable[[Index], NDArray[np.uint32]],
        measure: Callable[[Index, NDArray[np.uint32]], Sequence[NDArray[Any]]],
        merges: Sequence[np.ufunc],
        decision: Callable[..., NDArray[Any]],
    ) -> dict[Index, NDArray[Any]]:
        """Decisions about the connected pieces of a mask, the same as if the whole image were in memory.

        Pieces are measured region by region. The measures of a piece that lies in several regions are merged, and the
        decision is taken about the whole piece.

        Parameters
        ----------
        pieces : (region) -> its connected pieces, numbered from 1
        measure : (region, its pieces) -> one or more measures, each with a value per piece
        merges : a function per measure, such as ``np.add``, that merges two values of one piece
        decision : (merged measures) -> a value per piece

        Returns
        -------
        For each region a table from the numbers of its pieces to the decisions; that of 0, which is no piece, is 0.
        """
        if self.regions.single:  # no piece crosses a face, so nothing is merged
            index = (0,) * len(self.regions.shape)
            decisions = decision(*measure(index, pieces(index)))
            return {index: np.append(decisions.dtype.type(0), decisions)}
        joined, measured = RegionPieces(self.regions), []
        for index in self.regions:
            labels = pieces(index)
            joined.add(index, labels)
            measured.append(measure(index, labels))
        component = joined.join()  # whole piece that each piece of a region is part of
        order = np.argsort(component, kind="stable")
        starts = np.flatnonzero(np.diff(component[order], prepend=-1))
        columns = (np.concatenate(column)[order] for column in zip(*measured, strict=True))
        merged = (merge.reduceat(column, starts) for merge, column in zip(merges, columns, strict=True))
        decisions = decision(*merged)[component]
        return {index: np.append(decisions.dtype.type(0), decisions[joined.of(index)]) for index in self.regions}

    def pixels_in_image(self, index: Index, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Flat indices in the image of pixels that are given by their flat indices in a region."""
        if self.regions.single:
            return pixels
        box = self.regions.box(index)
        in_region = np.unravel_index(pixels, box.shape)
        in_image = [position + start for position, start in zip(in_region, box.start, strict=True)]
        return np.ravel_multi_index(in_image, self.regions.shape).astype(np.int64)

    def labels(self, index: Index) -> NDArray[np.uint32]:
        """Labels of the pixels of a region, after the steps that have run."""
        labels: NDArray[np.uint32] = self.numbers[self.seeds(index)]
        return labels
