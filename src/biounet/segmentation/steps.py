"""`STEPS`: the steps from an elevation map to labels, each of them the same on a whole image as on its regions."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import face
from biounet.core.components import label_objects
from biounet.segmentation.elevation import seed_level
from biounet.segmentation.holes import OUTSIDE, measure_holes, surrounding
from biounet.segmentation.large_seeds import Mask, split_large
from biounet.segmentation.object_sizes import ObjectSizes, has_markers, object_sizes
from biounet.segmentation.region_labels import RegionLabels
from biounet.segmentation.regions import Index
from biounet.segmentation.watershed import FAR, labels_of, spread

__all__ = ["STEPS", "drop_small", "fill_holes", "find_seeds", "grow_seeds", "number_in_order", "number_seeds"]


def find_seeds(image: RegionLabels, rules: ObjectRules) -> None:
    """Seeds: connected pieces of the elevation map above a level, numbered in the order of their first pixels.

    Seeds that are too small, or nowhere reach the peak, are left out. Where a piece above the second level has no
    seed, the piece itself is one. Seeds that are too large for one object are split, see `split_large`.
    """
    seeds = _above(image, rules.seed)
    if rules.choosy:
        seeds = _large_and_high(image, seeds, rules)
    if rules.second_seed is not None:
        seeds = _with_second(image, seeds, _above(image, rules.second_seed))
    number_seeds(image, split_large(image, seeds, rules))


def number_seeds(image: RegionLabels, seeds: Mask) -> None:
    """Seeds of the image: connected pieces of a mask, numbered in the order of their first pixels."""
    pieces = image.once(lambda index: label_objects(seeds(index)))

    def first_pixel(index: Index, labels: NDArray[np.uint32]) -> list[NDArray[np.int64]]:
        return [image.pixels_in_image(index, object_sizes(labels).firsts[1:])]

    numbers = image.decide(pieces, first_pixel, [np.minimum], _ranks)
    image.seeds = image.once(lambda index: numbers[index][pieces(index)])
    count = max((int(table.max()) for table in numbers.values()), default=0)
    image.numbers = np.arange(count + 1, dtype=np.uint32)


def grow_seeds(image: RegionLabels, rules: ObjectRules) -> None:
    """Watershed: seeds that grow over the foreground, region by region until nothing changes at faces."""
    seeds, counts = image.seeds, {}
    waiting = set(image.regions)
    while waiting:
        for index in sorted(waiting):
            waiting.discard(index)
            changed, costs = _grow(image, seeds, index, rules)
            waiting.update(changed)
            for axis, side, _ in image.regions.faces(index):
                image.costs[index, axis, side] = face(costs, axis, side)
            labels = labels_of(costs)
            found = object_sizes(labels)
            there = np.flatnonzero(found.sizes)
            counts[index] = there, found.sizes[there], image.pixels_in_image(index, found.firsts[there])
            if image.keep is not None:
                image.keep[index] = labels
    sizes, firsts = np.zeros(len(image.numbers), np.int64), np.full(len(image.numbers), FAR)
    for numbers, pixels, first in counts.values():
        sizes[numbers] += pixels
        firsts[numbers] = np.minimum(firsts[numbers], first)
    image.sizes = ObjectSizes(sizes, firsts)
    keep = image.keep
    if keep is not None:
        image.seeds = lambda index: keep[index]
    else:
        image.seeds = lambda index: labels_of(_grow(image, seeds, index, rules)[1])


def drop_small(image: RegionLabels, rules: ObjectRules) -> None:
    """Small objects, which become background."""
    small = image.sizes.sizes < rules.least_pixels
    image.sizes.sizes[small], image.numbers[small] = 0, 0


def number_in_order(image: RegionLabels, rules: ObjectRules) -> None:
    """Labels 1, 2, ... without gaps, in the order of first pixels."""
    image.numbers = image.sizes.order()


def fill_holes(image: RegionLabels, rules: ObjectRules) -> None:
    """Holes: pieces of background with a single object around them, which become pixels of that object."""
    if rules.largest_hole == 0:
        return
    seeds = image.seeds
    remaining = np.where(image.numbers > 0, np.arange(len(image.numbers)), 0).astype(np.uint32)
    objects = lru_cache(maxsize=1)(lambda index: remaining[seeds(index)])
    background = image.once(lambda index: label_objects(objects(index) == 0))

    def measure(index: Index, pieces: NDArray[np.uint32]) -> tuple[NDArray[Any], ...]:
        around = image.framed(index, objects(index), outside=int(OUTSIDE), of_seeds=lambda seeds: remaining[seeds])
        return measure_holes(pieces, around)

    decision = partial(surrounding, largest=rules.largest_hole)
    fillings = image.decide(background, measure, [np.add, np.minimum, np.maximum], decision)
    image.seeds = image.once(lambda index: objects(index) + fillings[index][background(index)])


STEPS: Mapping[str, Callable[[RegionLabels, ObjectRules], None]] = MappingProxyType(
    {
        "seeds": find_seeds,
        "watershed": grow_seeds,
        "drop_small": drop_small,
        "number": number_in_order,
        "fill_holes": fill_holes,
    }
)
"""Name of a step -> function of the labels, which it changes, and of the rules; in the order in which they run."""


def _above(image: RegionLabels, level: float) -> Mask:
    """Mask of the elevation map from a level on."""
    return lambda index: image.elevation(index) >= seed_level(level)


def _large_and_high(image: RegionLabels, seeds: Mask, rules: ObjectRules) -> Mask:
    """Mask of the seeds that have enough pixels, and one at least that reaches the peak."""
    pieces, high = image.once(lambda index: label_objects(seeds(index))), _above(image, rules.peak)
    chosen = image.decide(
        pieces,
        lambda index, labels: (object_sizes(labels).sizes[1:], has_markers(labels, high(index))),
        [np.add, np.logical_or],
        lambda pixels, has_peak: has_peak & (pixels >= rules.least_seed),
    )
    return image.once(lambda index: chosen[index][pieces(index)])


def _with_second(image: RegionLabels, seeds: Mask, second: Mask) -> Mask:
    """Mask of the seeds and of the pieces of a second mask in which there is no seed."""
    pieces = image.once(lambda index: label_objects(second(index)))
    without_seed = image.decide(
        pieces, lambda index, labels: [has_markers(labels, seeds(index))], [np.logical_or], np.logical_not
    )
    return image.once(lambda index: seeds(index) | without_seed[index][pieces(index)])


def _ranks(firsts: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Numbers 1, 2, ... in the order of first pixels."""
    numbers = np.empty(len(firsts), np.uint32)
    numbers[np.argsort(firsts)] = np.arange(1, len(firsts) + 1)
    return numbers


def _grow(
    image: RegionLabels, seeds: Callable[[Index], NDArray[np.uint32]], index: Index, rules: ObjectRules
) -> tuple[list[Index], NDArray[np.int64]]:
    """Regions to which cheaper paths lead from a region, and the costs and seeds of its own pixels."""
    own = seeds(index)
    if not rules.grow:
        return [], np.where(own > 0, own, FAR)
    elevation = image.framed_elevation(index)
    inner = (slice(2, -2),) * elevation.ndim
    costs = np.full(elevation.shape, FAR)
    costs[inner] = np.where(own > 0, own, FAR)
    beyond = {}
    for axis, side, other in image.regions.faces(index):
        outside = (*inner[:axis], -2 if side else 1, *inner[axis + 1 :])
        beyond[other] = outside, image.costs.get((other, axis, 1 - side), FAR)
        costs[outside] = beyond[other][1]
    spread(elevation, costs)
    return [other for other, (outside, before) in beyond.items() if (costs[outside] < before).any()], costs[inner]
