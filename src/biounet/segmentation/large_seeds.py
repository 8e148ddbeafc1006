"""Seeds that are too large for one object, which are split where their parts are higher than what joins them.

Thresholds that are tuned on images which a network knows by heart join objects on others. The size of a seed tells it:
two of them are larger than one.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.core.components import label_objects
from biounet.segmentation.elevation import HIGHEST, seed_level
from biounet.segmentation.object_sizes import object_sizes
from biounet.segmentation.region_labels import RegionLabels
from biounet.segmentation.regions import Index

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
    levels = [Level(image, image.once(lambda index: label_objects(seeds(index))))]
    if levels[0].most <= largest:
        return seeds
    least = least_part(rules)
    for height in range(seed_level(rules.seed) + STEP, HIGHEST, STEP):
        above = levels[0].above(height, largest)
        if above.most < least:
            break
        levels.append(above)
    forks = [{index: np.zeros_like(sizes, np.int8) for index, sizes in levels[-1].sizes.items()}]
    for level, part in reversed([*pairwise(levels)]):
        forks.insert(0, level.forks(part, forks[0], least))
    return lambda index: _chosen(index, levels, forks, least=least, largest=largest)


def least_part(rules: ObjectRules) -> int:
    """Least number of pixels of a part of a seed that is split.

    >>> least_part(ObjectRules(largest_seed=100, least_seed=4))
    10
    """
    return max(1, rules.least_seed, (rules.largest_seed or 0) // PART)


class Level:
    """The pieces of seeds above a height, and how many pixels they have.

    Parameters
    ----------
    image : RegionLabels
    pieces : (region) -> pieces in it, numbered from 1
    """

    def __init__(self, image: RegionLabels, pieces: Callable[[Index], NDArray[np.uint32]]) -> None:
        self._image, self.pieces = image, pieces
        self.sizes = image.decide(
            pieces, lambda _, labels: [object_sizes(labels).sizes[1:]], [np.add], lambda pixels: pixels
        )
        self._firsts = image.decide(
            pieces, lambda index, labels: [self._first_pixels(index, labels)[1:]], [np.minimum], lambda first: first
        )

    @property
    def most(self) -> int:
        """Pixels of the largest piece."""
        return max(int(sizes.max()) for sizes in self.sizes.values())

    def above(self, height: int, size: int) -> "Level":
        """The pieces, above a height, of those of this level that have more pixels than `size`."""

        def pieces(index: Index) -> NDArray[np.uint32]:
            return label_objects(
                (self.sizes[index] > size)[self.pieces(index)] & (self._image.elevation(index) >= height)
            )

        return Level(self._image, pieces)

    def forks(
        self, part: "Level", forks: Mapping[Index, NDArray[np.int8]], least: int
    ) -> dict[Index, NDArray[np.int8]]:
        """Of each piece, whether it has two large parts in the next level (2), or one that has them higher up (1).

        Parameters
        ----------
        part : the next level
        forks : of the next level
        least : pixels of a large part
        """

        def measure(index: Index, labels: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            numbers, pixels = part._beginning(index)
            large = part.sizes[index][numbers] >= least
            number = int(labels.max(initial=0)) + 1
            within = labels.reshape(-1)[pixels]
            forking = large & (forks[index][numbers] > 0)
            large_parts, forking_parts = (np.bincount(within[of], minlength=number)[1:] for of in (large, forking))
            return large_parts, forking_parts

        def decision(large: NDArray[np.int64], forking: NDArray[np.int64]) -> NDArray[np.int8]:
            return np.where(large > 1, 2, np.minimum(forking, 1)).astype(np.int8)

        return self._image.decide(self.pieces, measure, [np.add, np.add], decision)

    def _first_pixels(self, index: Index, labels: NDArray[np.uint32]) -> NDArray[np.int64]:
        """First pixel in the image, of those in a region, of each number; that of 0 means nothing."""
        return self._image.pixels_in_image(index, object_sizes(labels).firsts)

    def _beginning(self, index: Index) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Numbers of the pieces whose first pixel lies in a region, so that each is counted once; and these pixels."""
        labels = self.pieces(index)
        numbers = np.flatnonzero(self._first_pixels(index, labels) == self._firsts[index])
        numbers = numbers[numbers > 0]
        return numbers, object_sizes(labels).firsts[numbers]


def _chosen(
    index: Index,
    levels: Sequence[Level],
    forks: Sequence[Mapping[Index, NDArray[np.int8]]],
    *,
    least: int,
    largest: int,
) -> NDArray[np.bool_]:
    """Mask of the pieces in a region that are not split, but are parts of pieces that are, or whole seeds."""
    seeds = levels[0].pieces(index) > 0
    mask, inside, lone = np.zeros_like(seeds), seeds, np.zeros_like(seeds)
    for number, (level, fork) in enumerate(zip(levels, forks, strict=True)):
        labels = level.pieces(index)
        sizes, ways = level.sizes[index][labels], fork[index][labels]
        there = inside & (sizes >= (least if number else 1))
        inside = there & (ways > 0) & (lone | (sizes > largest))
        mask |= there & ~inside
        lone = inside & (ways == 1)
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
