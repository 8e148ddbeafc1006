"""Seeds that are too large for one object, which are split where their parts are higher than what joins them.

Thresholds that are tuned on images which a network knows by heart join objects on others. The size of a seed tells it:
two of them are larger than one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple
from zlib import compress, decompress

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import face
from biounet.core.components import label_objects
from biounet.segmentation.elevation import HIGHEST, seed_level
from biounet.segmentation.object_sizes import object_sizes
from biounet.segmentation.region_labels import RegionLabels
from biounet.segmentation.regions import Index, RegionPieces

__all__ = ["STEP", "Mask", "largest_seed", "least_part", "split_large"]


Mask = Callable[[Index], NDArray[np.bool_]]
"""Mask of a region."""

STEP = 13
"""Distance of the levels above which parts are looked for: a twentieth of the height of an elevation map."""

PART = 10
"""A part of a seed has at least the number of pixels of the largest seed, divided by this."""

FEWEST = 8
"""Seeds of objects whose sizes tell the largest one."""

PERCENTILE = 95
"""Of the seeds of single objects; the largest of all may be a mistake of whoever annotated."""


def split_large(image: RegionLabels, seeds: Mask, rules: ObjectRules) -> Mask:
    """Mask of the seeds, in which those of more than `largest_seed` pixels are split.

    Such a seed is replaced with its parts above the lowest level, of levels that are `STEP` apart, at which two or
    more of them are large enough, see `least_part`; smaller ones are left out. A part that is too large by itself is
    split in its turn. A seed that has no such level stays as it is.

    Parameters
    ----------
    image : RegionLabels
    seeds : mask of a region
    rules : ObjectRules
        `seed` is where the levels begin, `largest_seed` and `least_seed` are the sizes in pixels.

    Returns
    -------
    mask of a region; the same whatever the regions are
    """
    if rules.largest_seed is None:
        return seeds
    sizes = Sizes(rules.largest_seed, least_part(rules), range(seed_level(rules.seed) + STEP, HIGHEST, STEP))
    pieces = image.once(lambda index: label_objects(seeds(index)))
    found = image.decide(pieces, lambda _, labels: [object_sizes(labels).sizes[1:]], [np.add], lambda pixels: pixels)
    if not any((pixels > sizes.largest).any() for pixels in found.values()):
        return seeds
    large = {index: pixels > sizes.largest for index, pixels in found.items()}
    across = {index: large[index] & _at_faces(image, index, pieces(index)) for index in image.regions}

    def crossing(index: Index) -> NDArray[np.int64]:
        return np.flatnonzero(across[index][pieces(index)])

    levels = _levels(image, crossing, sizes) if any(table.any() for table in across.values()) else []
    chosen, removed = _choose(levels, sizes) if levels else [], dict[Index, bytes]()
    for index in image.regions:
        within = np.flatnonzero(large[index] & ~across[index])
        mask = _removed_in_memory(pieces(index), within, image.elevation(index), sizes)
        if levels:
            where = crossing(index)
            mask.reshape(-1)[where] = ~_mask(image, index, where, levels, chosen)
        removed[index] = compress(np.packbits(mask).tobytes(), 1)  # a few bytes per object, of bits that are mostly 0
    return image.once(lambda index: _without(seeds(index), removed[index]))


def least_part(rules: ObjectRules) -> int:
    """Least number of pixels of a part of a seed that is split.

    >>> least_part(ObjectRules(largest_seed=100, least_seed=4))
    10
    """
    return max(1, rules.least_seed, (rules.largest_seed or 0) // PART)


class Sizes(NamedTuple):
    """Largest pixels of a seed, least pixels of a part, and the levels above which parts are looked for."""

    largest: int
    least: int
    levels: range


def _without(mask: NDArray[np.bool_], removed: bytes) -> NDArray[np.bool_]:
    """A mask without the pixels of a compressed one."""
    bits = np.unpackbits(np.frombuffer(decompress(removed), np.uint8), count=mask.size)
    left: NDArray[np.bool_] = mask & ~bits.view(bool).reshape(mask.shape)
    return left


def _at_faces(image: RegionLabels, index: Index, labels: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Of each piece in a region, whether it touches another region."""
    touches = np.zeros(int(labels.max(initial=0)) + 1, bool)
    for axis, side, _ in image.regions.faces(index):
        touches[face(labels, axis, side)] = True
    return touches


def _removed_in_memory(
    labels: NDArray[np.uint32], large: NDArray[np.intp], elevation: NDArray[np.uint8], sizes: Sizes
) -> NDArray[np.bool_]:
    """Mask of the pixels that large pieces lose if they are split, one by one, each in its own box."""
    mask = np.zeros(labels.shape, bool)
    boxes = find_objects(labels.view(np.int32)) if len(large) else []
    for number in large:
        box = boxes[number - 1]
        piece = labels[box] == number
        mask[box] |= piece & ~_split_one(piece, elevation[box], 0, sizes)
    return mask


def _split_one(piece: NDArray[np.bool_], elevation: NDArray[np.uint8], level: int, sizes: Sizes) -> NDArray[np.bool_]:
    """Mask of the parts of a large piece above one of the levels, from a number on; or of itself."""
    for number in range(level, len(sizes.levels)):
        parts = label_objects(piece & (elevation >= sizes.levels[number]))
        pixels = np.bincount(parts.reshape(-1))
        large = np.flatnonzero(pixels[1:] >= sizes.least) + 1
        if not len(large):
            break
        if len(large) > 1:
            mask, boxes = np.zeros_like(piece), find_objects(parts.view(np.int32))
            for part in large:
                box = boxes[part - 1]
                one = parts[box] == part
                split = _split_one(one, elevation[box], number + 1, sizes) if pixels[part] > sizes.largest else one
                mask[box] |= split
            return mask
    return piece


@dataclass(frozen=True)
class Level:
    """The parts, above a height, of large seeds that lie in several regions.

    height : of the elevation map
    joined : of the parts in each region to whole ones
    component : number of the whole part of each part in a region
    sizes : pixels of each whole part
    parents : the whole part of the level below that each whole part lies in
    """

    height: int
    joined: RegionPieces
    component: NDArray[np.int64]
    sizes: NDArray[np.int64]
    parents: NDArray[np.int64]

    def whole(self, index: Index, labels: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Whole parts of pixels in a region that have labels 1, 2, ..."""
        return self.component[self.joined.of(index)][labels.astype(np.int64) - 1]


def _labels_above(image: RegionLabels, index: Index, where: NDArray[np.int64], height: int) -> NDArray[np.uint32]:
    """Connected parts, above a height, of some pixels of a region."""
    elevation = image.elevation(index)
    mask = np.zeros(elevation.shape, bool)
    mask.reshape(-1)[where] = elevation.reshape(-1)[where] >= height
    return label_objects(mask)


def _levels(image: RegionLabels, crossing: Callable[[Index], NDArray[np.int64]], sizes: Sizes) -> list[Level]:
    """The whole pieces, and their parts above one level after the other; regions are gone through once."""
    heights = (0, *sizes.levels)
    joined = [RegionPieces(image.regions) for _ in heights]
    pixels, below = ([list[NDArray[np.int64]]() for _ in heights] for _ in range(2))
    for index in image.regions:
        where, before = crossing(index), np.zeros(0, np.uint32)
        for number, height in enumerate(heights):
            labels = _labels_above(image, index, where, height)
            joined[number].add(index, labels)
            found = object_sizes(labels)
            pixels[number].append(found.sizes[1:])
            if number:  # the part of the level below, among those of all regions
                below[number].append(before[found.firsts[1:]].astype(np.int64) - 1 + joined[number - 1].of(index).start)
            before = labels.reshape(-1)
    levels = list[Level]()
    for number, height in enumerate(heights):
        component = joined[number].join()
        count = int(component.max(initial=-1)) + 1
        parents = np.zeros(count, np.int64)
        if number:
            parents[component] = levels[-1].component[np.concatenate(below[number])]
        whole = np.bincount(component, np.concatenate(pixels[number]), count).astype(np.int64)
        levels.append(Level(height, joined[number], component, whole, parents))
    return levels


def _choose(levels: Sequence[Level], sizes: Sizes) -> list[NDArray[np.bool_]]:
    """Of each whole part of each level, whether it is a seed."""
    ways = _ways(levels, sizes.least)
    chosen, split = [ways[0] == 0], ways[0] > 0
    for number, level in enumerate(levels[1:], start=1):
        there = (level.sizes >= sizes.least) & split[level.parents]
        lone = ways[number - 1][level.parents] == 1
        split = there & (ways[number] > 0) & (lone | (level.sizes > sizes.largest))
        chosen.append(there & ~split)
    return chosen


def _ways(levels: Sequence[Level], least: int) -> list[NDArray[np.int8]]:
    """Of each whole part, whether it has two large parts in the next level (2), or one that has them higher up (1)."""
    ways = [np.zeros(len(levels[-1].sizes), np.int8)]
    for level, part in reversed([*pairwise(levels)]):
        large = part.sizes >= least
        count, forking = (
            np.bincount(part.parents[chosen], minlength=len(level.sizes)) for chosen in (large, large & (ways[0] > 0))
        )
        ways.insert(0, np.where(count > 1, 2, forking > 0).astype(np.int8))
    return ways


def _mask(
    image: RegionLabels,
    index: Index,
    where: NDArray[np.int64],
    levels: Sequence[Level],
    chosen: Sequence[NDArray[np.bool_]],
) -> NDArray[np.bool_]:
    """Of some pixels of a region, whether they are in a part that is a seed."""
    mask = np.zeros(len(where), bool)
    for level, seeds in zip(levels, chosen, strict=True):
        labels = _labels_above(image, index, where, level.height).reshape(-1)[where]
        inside = labels > 0
        mask[inside] |= seeds[level.whole(index, labels[inside])]
    return mask


def largest_seed(pixels: NDArray[np.int64]) -> int | None:
    """Largest number of pixels of a seed of one object; None where too few are known.

    Parameters
    ----------
    pixels : (N,) sizes of seeds that lie in one object each

    Examples
    --------
    >>> largest_seed(np.array([80, 90, 95, 100, 100, 105, 110, 120])), largest_seed(np.array([50, 70])) is None
    (116, True)
    """
    return int(np.percentile(pixels, PERCENTILE)) if len(pixels) >= FEWEST else None
