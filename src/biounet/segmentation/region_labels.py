"""Labels of an image that is cut into regions: what the steps of a segmentation read, decide and leave behind."""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Reader
from biounet.segmentation.object_sizes import ObjectSizes
from biounet.segmentation.regions import Index, RegionPieces, Regions

__all__ = ["RegionLabels"]


class RegionLabels:
    """Labels of an image that steps find region by region; an image in memory is a single region.

    Only faces of regions and tables of objects are held. The pixels of a region are read and computed again whenever
    a step needs them. The pixels of a single region are computed once.

    Parameters
    ----------
    elevation : Reader, axes (Z)YX, uint8
    regions : Regions
    keep : a mapping for one array per region, or None
        Where grown seeds are stored. None: they are grown again whenever they are needed.

    Attributes
    ----------
    seeds : function of a region
        Its seeds or, when they have grown, the seed of each pixel: uint32, 0 is background.
    numbers : (seeds + 1,), uint32
        Label of each seed; 0 where its object was dropped.
    sizes : ObjectSizes
        Pixels and first pixel of the object of each seed.
    costs : (region, axis, side) -> costs and seeds of the pixels on that face, see `biounet.segmentation.watershed`

    Examples
    --------
    >>> from biounet.core.boxes import ArrayReader
    >>> row = np.array([[200, 0, 0, 200]], np.uint8)
    >>> image = RegionLabels(ArrayReader(row), Regions((1, 4), (1, 2)))
    >>> from biounet.core.components import label_objects
    >>> def pieces(index):
    ...     return label_objects(image.elevation(index) == 0)
    >>> def pixels(index, labels):
    ...     return [np.bincount(labels.ravel())[1:]]
    >>> image.decide(pieces, pixels, [np.add], lambda pixels: pixels > 1)          # two pieces of 1 pixel are one of 2
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
        self._last: tuple[Index, NDArray[np.uint8]] | None = None

    def elevation(self, index: Index) -> NDArray[np.uint8]:
        """Elevation map of a region; the last one that was read is held."""
        if self._last is None or self._last[0] != index:
            self._last = index, self._elevation.read(self.regions.box(index))
        return self._last[1]

    def framed_elevation(self, index: Index) -> NDArray[np.uint8]:
        """Elevation map of a region with two pixels around it: one of the image and one of 0."""
        box = self.regions.box(index)
        outer = box.grown((1,) * len(box.start), self.regions.shape)
        sides = zip(box.start, outer.start, box.stop, outer.stop, strict=True)
        return np.pad(self._elevation.read(outer), [(2 - (a - b), 2 - (d - c)) for a, b, c, d in sides])

    def once(self, compute: Callable[[Index], NDArray[Any]]) -> Callable[[Index], NDArray[Any]]:
        """A function of regions, or its result for the single region, computed here and now."""
        if not self.regions.single:
            return compute
        array = compute((0,) * len(self.regions.shape))
        return lambda index: array

    def decide(
        self,
        pieces: Callable[[Index], NDArray[np.uint32]],
        measure: Callable[[Index, NDArray[np.uint32]], Sequence[NDArray[Any]]],
        merges: Sequence[np.ufunc],
        decision: Callable[..., NDArray[Any]],
    ) -> dict[Index, NDArray[Any]]:
        """A decision about each connected piece of a mask, the same as on the whole image.

        Parameters
        ----------
        pieces : function of a region
            Its connected pieces, numbered from 1.
        measure : function of a region and its pieces
            One or more measures, each with a value per piece.
        merges : one function of two values per measure, such as ``np.add``
            Merges the values of a piece that lies in several regions.
        decision : function of the merged measures
            Its values, one per whole piece.

        Returns
        -------
        region -> value of each of its pieces, after that of no piece, 0
        """
        if self.regions.single:  # pieces end within the region, so nothing is merged
            index = (0,) * len(self.regions.shape)
            values = decision(*measure(index, pieces(index)))
            return {index: np.append(values.dtype.type(0), values)}
        joined, measured = RegionPieces(self.regions), []
        for index in self.regions:
            labels = pieces(index)
            joined.add(index, labels)
            measured.append(measure(index, labels))
        component = joined.join()
        order = np.argsort(component, kind="stable")
        starts = np.flatnonzero(np.diff(component[order], prepend=-1))
        columns = (np.concatenate(column)[order] for column in zip(*measured, strict=True))
        merged = (merge.reduceat(column, starts) for merge, column in zip(merges, columns, strict=True))
        values = decision(*merged)[component]
        return {index: np.append(values.dtype.type(0), values[joined.of(index)]) for index in self.regions}

    def first_pixels(self, index: Index, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in the image, counted row by row, of places in a region."""
        if self.regions.single:
            return pixels
        box = self.regions.box(index)
        inside = np.unravel_index(pixels, box.shape)
        places = [at + start for at, start in zip(inside, box.start, strict=True)]
        return np.ravel_multi_index(places, self.regions.shape).astype(np.int64)

    def labels(self, index: Index) -> NDArray[np.uint32]:
        """Labels of a region after the steps so far."""
        labels: NDArray[np.uint32] = self.numbers[self.seeds(index)]
        return labels
