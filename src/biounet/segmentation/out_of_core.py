"""Objects of an image that is never whole in memory: the same numbers as if it were.

Each step of `biounet.segmentation.label_elevation` is decided by facts that add up over regions: which pieces meet at
faces, how many pixels and which first pixel an object has, what lies around a hole, and which keys stand at the faces
while seeds grow (see `biounet.segmentation.watershed`). Regions are computed anew, or read again, whenever they are
needed; only faces and tables of objects are held.
"""

from collections.abc import Callable, MutableMapping, Sequence

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import Box, Reader, Writer, face
from biounet.core.components import label_objects
from biounet.core.errors import ShapeError
from biounet.segmentation.elevation import seed_level
from biounet.segmentation.holes import OUTSIDE, HoleTable, measure_holes
from biounet.segmentation.instances import ObjectSizes, has_markers, object_sizes
from biounet.segmentation.regions import Index, Pieces, Regions
from biounet.segmentation.watershed import FAR, labels_of, spread

__all__ = ["label_out_of_core"]


def label_out_of_core(
    elevation: Reader,
    writer: Writer,
    rules: ObjectRules,
    *,
    region: Sequence[int],
    keep: MutableMapping[Index, NDArray[np.uint32]] | None = None,
    done: Callable[[Box], bool] = lambda box: False,
) -> int:
    """Make numbered objects of an elevation map that is read and written by region.

    Parameters
    ----------
    elevation : Reader, axes (Z)YX, uint8
        See `biounet.segmentation.make_elevation`. Read several times.
    writer : Writer, axes (Z)YX
        Gets uint32 numbers, each region once.
    rules : ObjectRules
    region : pixels per axis
        What is read and written at a time; see `region_size`. The result does not depend on it.
    keep : a mapping that takes an array of 4 bytes per pixel for each region, or None
        What seeds have grown to is kept there, which halves the time: a `biounet.core.array_store.ArrayFolder`, or a
        dict where there is memory. It must be empty at the beginning.
    done : tells whether a region has been written by an earlier run

    Returns
    -------
    int
        Number of objects.

    Notes
    -----
    The result is that of `label_elevation` on the whole image, to the number.
    Memory: `BYTES_PER_PIXEL` of `biounet.segmentation.regions` for a region; 16 bytes for every pixel of faces
    between regions, and about 100 for each object, seed and hole.

    Examples
    --------
    >>> from biounet.core.boxes import ArrayReader, ArrayWriter
    >>> labels = np.zeros((1, 6), np.uint32)
    >>> row = np.array([[200, 150, 9, 10, 200, 0]], np.uint8)
    >>> label_out_of_core(ArrayReader(row), ArrayWriter(labels), ObjectRules(), region=(1, 2))
    2
    >>> labels
    array([[1, 1, 1, 2, 2, 0]], dtype=uint32)
    """
    if len(region) != len(elevation.shape) or min(region) < 1:
        raise ShapeError(f"region needs {len(elevation.shape)} sizes of at least 1 pixel, got {tuple(region)}")
    objects = _Objects(elevation, rules, Regions(elevation.shape, tuple(region)), keep)
    objects.find_seeds()
    objects.grow()
    objects.drop_small()
    objects.find_holes()
    for index in objects.regions:
        if not done(objects.regions.box(index)):
            writer.write(objects.regions.box(index), objects.labels(index))
    return int(objects.numbers.max(initial=0))


class _Objects:
    """The objects of an image while they are found, step by step."""

    def __init__(
        self,
        elevation: Reader,
        rules: ObjectRules,
        regions: Regions,
        keep: MutableMapping[Index, NDArray[np.uint32]] | None,
    ) -> None:
        self._elevation, self._rules, self.regions, self._grown = elevation, rules, regions, keep
        self._chosen: dict[Index, NDArray[np.bool_]] = {}
        self._unseeded: dict[Index, NDArray[np.bool_]] = {}
        self._seeds: dict[Index, NDArray[np.uint32]] = {}
        self._keys: dict[tuple[Index, int, int], NDArray[np.int64]] = {}
        self._counts: dict[Index, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = {}
        self._fillings: dict[Index, NDArray[np.uint32]] = {}

    def find_seeds(self) -> None:
        """Number the seeds of the whole image in the order of their first pixels."""
        if self._rules.choosy:
            self._choose_seeds()
        if self._rules.second_seed is not None:
            self._find_unseeded()
        pieces = Pieces(self.regions)
        firsts = [np.empty(0, np.int64)]
        for index in self.regions:
            labels = label_objects(self._seed_mask(index, self._read(self.regions.box(index))))
            pieces.add(index, labels)
            firsts.append(self._places(index, object_sizes(labels).firsts[1:]))
        component = pieces.join()
        first = np.full(int(component.max(initial=-1)) + 1, FAR)
        np.minimum.at(first, component, np.concatenate(firsts))
        number = np.empty(len(first), np.uint32)
        number[np.argsort(first)] = np.arange(1, len(first) + 1)
        self._seeds = {index: _table(number[component[pieces.of(index)]]) for index in self.regions}
        self.numbers = np.arange(len(first) + 1, dtype=np.uint32)

    def grow(self) -> None:
        """Let seeds grow region by region until nothing changes at their faces."""
        waiting = set(self.regions)
        while waiting:
            for index in sorted(waiting):
                waiting.discard(index)
                better, keys = self._flooded(index)
                waiting.update(better)
                self._note(index, keys)

    def drop_small(self) -> None:
        """Drop small objects, and number the others in the order of their first pixels."""
        total = ObjectSizes(np.zeros_like(self.numbers, np.int64), np.full(len(self.numbers), FAR))
        for numbers, sizes, firsts in self._counts.values():
            total.sizes[numbers] += sizes
            total.firsts[numbers] = np.minimum(total.firsts[numbers], firsts)
        total.sizes[total.sizes < self._rules.least_pixels] = 0
        self.numbers = total.order()

    def find_holes(self) -> None:
        """Find out which pieces of background are holes, and in which objects."""
        if self._rules.largest_hole == 0:
            return
        pieces, tables = Pieces(self.regions), []
        for index in self.regions:
            labels = self._with_surroundings(index)
            holes = label_objects(labels[(slice(1, -1),) * labels.ndim] == 0)
            pieces.add(index, holes)
            tables.append(measure_holes(holes, labels))
        component = pieces.join()
        parts = (np.concatenate([getattr(table, part) for table in tables]) for part in ("sizes", "low", "high"))
        fillings = HoleTable(*parts).joined(component).fillings(self._rules.largest_hole)
        self._fillings = {index: _table(fillings[component[pieces.of(index)]]) for index in self.regions}

    def labels(self, index: Index) -> NDArray[np.uint32]:
        """Return the final numbers of a region."""
        labels = self.numbers[self._owners(index)]
        if index in self._fillings:
            labels += self._fillings[index][label_objects(labels == 0)]
        return labels

    def _choose_seeds(self) -> None:
        """Find the pieces of seeds that are large and high enough."""
        pieces, sizes, marked = Pieces(self.regions), [np.empty(0, np.int64)], [np.empty(0, bool)]
        for index in self.regions:
            elevation = self._read(self.regions.box(index))
            labels = label_objects(self._seed_mask(index, elevation))
            pieces.add(index, labels)
            sizes.append(object_sizes(labels).sizes[1:])
            marked.append(has_markers(labels, elevation >= seed_level(self._rules.peak)))
        component = pieces.join()
        total = np.zeros(int(component.max(initial=-1)) + 1, np.int64)
        high = np.zeros(len(total), bool)
        np.add.at(total, component, np.concatenate(sizes))
        np.logical_or.at(high, component, np.concatenate(marked))
        chosen = (high & (total >= self._rules.least_seed))[component]
        self._chosen = {index: np.append(False, chosen[pieces.of(index)]) for index in self.regions}

    def _find_unseeded(self) -> None:
        """Find the pieces above the second level of seeds in which there is no seed."""
        pieces, marked = Pieces(self.regions), [np.empty(0, bool)]
        for index in self.regions:
            elevation = self._read(self.regions.box(index))
            labels = self._second(elevation)
            pieces.add(index, labels)
            marked.append(has_markers(labels, self._seed_mask(index, elevation)))
        component = pieces.join()
        seeded = np.zeros(int(component.max(initial=-1)) + 1, bool)
        np.logical_or.at(seeded, component, np.concatenate(marked))
        unseeded = ~seeded[component]
        self._unseeded = {index: np.append(False, unseeded[pieces.of(index)]) for index in self.regions}

    def _seed_mask(self, index: Index, elevation: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Where seeds are in a region, as far as is known."""
        seeds: NDArray[np.bool_] = elevation >= seed_level(self._rules.seed)
        if index in self._chosen:
            seeds = self._chosen[index][label_objects(seeds)]
        if index in self._unseeded:
            seeds |= self._unseeded[index][self._second(elevation)]
        return seeds

    def _second(self, elevation: NDArray[np.uint8]) -> NDArray[np.uint32]:
        """Pieces above the second level of seeds in a region."""
        assert self._rules.second_seed is not None
        return label_objects(elevation >= seed_level(self._rules.second_seed))

    def _flooded(self, index: Index) -> tuple[list[Index], NDArray[np.int64]]:
        """Regions to which better keys flow from a region, and its own keys."""
        box = self.regions.box(index)
        elevation = self._read(box, around=2)
        inner = (slice(2, -2),) * elevation.ndim
        keys = np.full(elevation.shape, FAR)
        seeds = self._seeds[index][label_objects(self._seed_mask(index, elevation[inner]))]
        keys[inner] = np.where(seeds > 0, seeds, FAR)
        if not self._rules.grow:
            return [], keys[inner]
        beyond = {}
        for axis, side, other in self.regions.faces(index):
            halo = (*inner[:axis], -2 if side else 1, *inner[axis + 1 :])
            beyond[other] = halo, self._keys.get((other, axis, 1 - side), FAR)
            keys[halo] = beyond[other][1]
        spread(elevation, keys)
        better = [other for other, (halo, before) in beyond.items() if (keys[halo] < before).any()]
        return better, keys[inner]

    def _note(self, index: Index, keys: NDArray[np.int64]) -> None:
        """Keep of a region what others need: its faces, and the pixels of each seed."""
        for axis, side, _ in self.regions.faces(index):
            self._keys[index, axis, side] = face(keys, axis, side)
        labels = labels_of(keys)
        found = object_sizes(labels)
        there = np.flatnonzero(found.sizes)
        self._counts[index] = there, found.sizes[there], self._places(index, found.firsts[there])
        if self._grown is not None:
            self._grown[index] = labels

    def _owners(self, index: Index) -> NDArray[np.uint32]:
        """Seeds that the pixels of a region belong to, when all have grown."""
        return labels_of(self._flooded(index)[1]) if self._grown is None else self._grown[index]

    def _with_surroundings(self, index: Index) -> NDArray[np.uint32]:
        """Numbers of a region and of one pixel around it."""
        labels = np.pad(self.numbers[self._owners(index)], 1, constant_values=OUTSIDE)
        inner = (slice(1, -1),) * labels.ndim
        for axis, side, other in self.regions.faces(index):
            beyond = self.numbers[labels_of(self._keys[other, axis, 1 - side])]
            labels[(*inner[:axis], -1 if side else 0, *inner[axis + 1 :])] = beyond
        return labels

    def _read(self, box: Box, *, around: int = 0) -> NDArray[np.uint8]:
        """Read a region with pixels around it: one is of the image, those beyond it and outside of the image are 0."""
        near = box.grown((min(around, 1),) * len(box.start), self._elevation.shape)
        sides = zip(box.start, near.start, box.stop, near.stop, strict=True)
        return np.pad(self._elevation.read(near), [(around - (a - b), around - (d - c)) for a, b, c, d in sides])

    def _places(self, index: Index, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Turn places in a region, counted row by row, into places in the image."""
        box = self.regions.box(index)
        inside = np.unravel_index(pixels, box.shape)
        places = [at + start for at, start in zip(inside, box.start, strict=True)]
        return np.ravel_multi_index(places, self.regions.shape).astype(np.int64)


def _table(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Numbers of pieces 1..n, with 0 for 0."""
    return np.append(np.uint32(0), numbers)
