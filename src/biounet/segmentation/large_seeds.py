"""Seeds that are too large for one object, which are split where their parts are higher than what joins them.

Thresholds that are tuned on images which a network knows by heart join objects on others. The size of a seed tells it:
two of them are larger than one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

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
    largest = rules.largest_seed
    if largest is None:
        return seeds
    pieces = image.once(lambda index: label_objects(seeds(index)))
    sizes = image.decide(pieces, lambda _, labels: [object_sizes(labels).sizes[1:]], [np.add], lambda pixels: pixels)
    if not any((pixels > largest).any() for pixels in sizes.values()):
        return seeds
    removed, across = {}, {}
    for index in image.regions:
        labels = pieces(index)
        large = sizes[index] > largest
        crossing = large & _at_faces(image, index, labels)
        removed[index] = _removed_in_memory(labels, np.flatnonzero(large & ~crossing), image.elevation(index), rules)
        across[index] = np.flatnonzero(crossing[labels])
    if any(where.size for where in across.values()):
        levels = list(_levels(image, across, rules))
        chosen = _choose(levels, rules)
        for index, where in across.items():
            gone = ~_mask(image, index, where, levels, chosen)
            removed[index] = np.append(removed[index], where[gone])
    return image.once(lambda index: _without(seeds(index), removed[index]))


def least_part(rules: ObjectRules) -> int:
    """Least number of pixels of a part of a seed that is split.

    >>> least_part(ObjectRules(largest_seed=100, least_seed=4))
    10
    """
    return max(1, rules.least_seed, (rules.largest_seed or 0) // PART)


def _without(mask: NDArray[np.bool_], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """A copy of a mask without some pixels."""
    left = mask.copy()
    left.reshape(-1)[pixels] = False
    return left


def _at_faces(image: RegionLabels, index: Index, labels: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Of each piece in a region, whether it touches another region."""
    touches = np.zeros(int(labels.max(initial=0)) + 1, bool)
    for axis, side, _ in image.regions.faces(index):
        touches[face(labels, axis, side)] = True
    return touches


def _removed_in_memory(
    labels: NDArray[np.uint32], large: NDArray[np.intp], elevation: NDArray[np.uint8], rules: ObjectRules
) -> NDArray[np.int64]:
    """Pixels that large pieces lose if they are split, one by one, since few are large."""
    mask = np.zeros(labels.shape, bool)
    boxes = find_objects(labels.view(np.int32)) if len(large) else []
    for number in large:
        box = boxes[number - 1]
        piece = labels[box] == number
        mask[box] |= piece & ~_split_one(piece, elevation[box], seed_level(rules.seed), rules)
    return np.flatnonzero(mask)


def _split_one(
    piece: NDArray[np.bool_], elevation: NDArray[np.uint8], level: int, rules: ObjectRules
) -> NDArray[np.bool_]:
    """Mask of the parts of a large piece above a level; or of itself."""
    for height in range(level + STEP, HIGHEST, STEP):
        parts = label_objects(piece & (elevation >= height))
        sizes = np.bincount(parts.reshape(-1))
        large = np.flatnonzero(sizes[1:] >= least_part(rules)) + 1
        if not len(large):
            break
        if len(large) > 1:
            mask = np.zeros_like(piece)
            for part in large:
                one = parts == part
                mask |= _split_one(one, elevation, height, rules) if sizes[part] > (rules.largest_seed or 0) else one
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


def _levels(image: RegionLabels, across: Mapping[Index, NDArray[np.int64]], rules: ObjectRules) -> Iterator[Level]:
    """The whole pieces, and their parts above one height after the other, until none is large enough."""
    before: Level | None = None
    for height in (0, *range(seed_level(rules.seed) + STEP, HIGHEST, STEP)):
        joined, sizes, parents = RegionPieces(image.regions), list[NDArray[np.int64]](), list[NDArray[np.int64]]()
        for index, where in across.items():
            labels = _labels_above(image, index, where, height)
            joined.add(index, labels)
            found = object_sizes(labels)
            sizes.append(found.sizes[1:])
            if before is not None:
                below = _labels_above(image, index, where, before.height).reshape(-1)[found.firsts[1:]]
                parents.append(before.whole(index, below))
        component = joined.join()
        count = int(component.max(initial=-1)) + 1
        pixels = np.bincount(component, np.concatenate(sizes), count).astype(np.int64)
        of_whole = np.zeros(count, np.int64)
        of_whole[component] = np.concatenate(parents) if parents else 0
        before = Level(height, joined, component, pixels, of_whole)
        yield before
        if not (pixels >= least_part(rules)).any():
            return


def _choose(levels: Sequence[Level], rules: ObjectRules) -> list[NDArray[np.bool_]]:
    """Of each whole part of each level, whether it is a seed."""
    ways = _ways(levels, least_part(rules))
    chosen, split = [ways[0] == 0], ways[0] > 0
    for number, level in enumerate(levels[1:], start=1):
        there = (level.sizes >= least_part(rules)) & split[level.parents]
        lone = ways[number - 1][level.parents] == 1
        split = there & (ways[number] > 0) & (lone | (level.sizes > (rules.largest_seed or 0)))
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
