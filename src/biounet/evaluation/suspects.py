"""Suspects: drawn labels that a network contradicts which has never seen them, with how sure it is."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, find_objects

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import Box
from biounet.core.components import label_objects, number_objects
from biounet.metrics import match_objects
from biounet.metrics.objects import FOUND
from biounet.segmentation.elevation import foreground_and_heights

__all__ = ["Suspect", "Suspects", "What", "reliabilities", "suspect_classes", "suspect_objects"]


What = Literal["not seen", "not drawn", "seen as one", "seen as several", "seen elsewhere", "another class"]

LEAST_IOU = 0.1
"""Least IoU of an object that is drawn and one that is seen to be taken for one object, drawn in the wrong place."""

TOUCHING = 3
"""Pixels along an axis from one object to another, up to which they touch."""

IMPOSSIBLE = 0.05
"""Probability below which the drawn class of a pixel is contradicted."""


@dataclass(frozen=True)
class Suspect:
    """A place where labels are contradicted.

    Attributes
    ----------
    what : What
    labels : numbers of the drawn objects; or the drawn class and the one that is seen
        None where no object is drawn.
    certainty : in [0, 1]
        How sure the network is of the contrary.
    box : the place
    """

    what: What
    labels: tuple[int, ...]
    certainty: float
    box: Box

    @property
    def place(self) -> tuple[int, ...]:
        """The pixel in the middle, (Z) Y X."""
        return self.box.middle((1,) * len(self.box.start)).start

    def said(self, class_names: Sequence[str]) -> str:
        """The suspect in words.

        >>> Suspect("seen as one", (3, 4), 0.9, Box((0, 0), (9, 9))).said(())
        'objects 3 and 4 are seen as one'
        """
        if self.what == "another class":
            drawn, seen = (class_names[label] for label in self.labels)
            return f"drawn as {drawn}, seen as {seen}"
        if not self.labels:
            return "an object is seen that is not drawn"
        *others, last = map(str, self.labels)
        return f"objects {', '.join(others)} and {last} are {self.what}" if others else f"object {last} is {self.what}"

    def weighed(self, share: Mapping[What, float]) -> "Suspect":
        """The suspect with a certainty that can be compared between kinds, see `reliabilities`."""
        return replace(self, certainty=self.certainty * share.get(self.what, 1.0))

    @property
    def count(self) -> int:
        """Contradictions: of objects that are seen as one, those between an object and the next."""
        return len(self.labels) - 1 if self.what == "seen as one" else 1


@dataclass(frozen=True)
class Suspects:
    """Suspects of an image, and at how many places of it there could have been one.

    Attributes
    ----------
    found : sequence of Suspect
    possible : kind of a suspect -> objects, or pairs of objects that touch
    """

    found: Sequence[Suspect]
    possible: Mapping[What, int]


def reliabilities(images: Iterable[Suspects]) -> dict[What, float]:
    """Share of the places at which network and annotation agree, by kind of a suspect.

    A network that joins half of all objects that touch says little of two drawn objects that it joins: a certainty
    times this share can be compared between kinds.

    Parameters
    ----------
    images : of one run

    Examples
    --------
    >>> missed = Suspect("not seen", (7,), 0.9, Box((0, 0), (4, 4)))
    >>> reliabilities([Suspects([missed], {"not seen": 18})])       # (17 + 1) / (18 + 2), the rule of succession
    {'not seen': 0.9}
    """
    found, possible = Counter[What](), Counter[What]()
    for image in images:
        possible.update(image.possible)
        for suspect in image.found:
            found[suspect.what] += suspect.count
    return {what: (max(possible[what] - found[what], 0) + 1) / (possible[what] + 2) for what in possible}


def suspect_objects(
    truth: NDArray[np.integer[Any]],
    result: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    rules: ObjectRules,
) -> Suspects:
    """Drawn objects that are contradicted by those that a network sees, and objects that nobody has drawn.

    Parameters
    ----------
    truth : (*spatial) integers
        0 is background, negative is IGNORE, of which nothing is suspected.
    result : (*spatial) integers
        Objects that the network sees.
    probabilities : (classes, *spatial), in [0, 1]
    rules : that made the objects of the probabilities

    Returns
    -------
    Suspects
        The certainty that an object is not there, not drawn or elsewhere is the share of its pixels
        with another label than it should have, each counted by its probability. The certainty that two objects are
        one is the height of the pass between their summits in the elevation map, divided by the lower summit; that
        one is two, 1 minus this. Of objects that are smaller than the median of the drawn ones in the image, it is
        multiplied by the square root of their size divided by the median.

    Examples
    --------
    >>> row = np.array([[0.75, 0.75, 0.0, 0.0, 0.0]])
    >>> drawn, seen = np.array([[0, 0, 0, 5, 5]]), np.array([[1, 1, 0, 0, 0]])
    >>> for suspect in suspect_objects(drawn, seen, np.stack([1 - row, row]), ObjectRules()).found:
    ...     suspect.what, suspect.labels, suspect.certainty, suspect.place
    ('not seen', (5,), 1.0, (0, 3))
    ('not drawn', (), 0.75, (0, 0))
    """
    drawn, names = number_objects(truth)
    seen, _ = number_objects(np.where(truth < 0, 0, result))
    objects = _Objects(drawn, names, seen, *foreground_and_heights(probabilities, rules))
    return Suspects(list(objects.suspects()), objects.possible)


class _Objects:
    """Objects of an image that are drawn and that are seen, numbered from 1 by their first pixels."""

    def __init__(
        self,
        drawn: NDArray[np.int32],
        names: NDArray[np.int64],
        seen: NDArray[np.int32],
        foreground: NDArray[np.float32],
        heights: NDArray[np.uint8],
    ) -> None:
        self.drawn, self.names, self.seen, self.heights = drawn, names, seen, heights
        self.contrary = np.where(drawn > 0, 1 - foreground, np.where(seen > 0, foreground, 0))
        """Probability that a pixel of an object is background, or that one of the background is of an object."""
        self.boxes_drawn, self.boxes_seen = find_objects(drawn), find_objects(seen)
        self.typical = float(np.median(np.bincount(drawn.ravel())[1:])) if self.boxes_drawn else 0.0

    @property
    def possible(self) -> dict[What, int]:
        """At how many places there could be a suspect of each kind."""
        drawn, seen = len(self.boxes_drawn), len(self.boxes_seen)
        one: dict[What, int] = {"not seen": drawn, "seen elsewhere": drawn, "seen as several": drawn, "not drawn": seen}
        return one | {"seen as one": len(_touching(self.drawn))}

    def suspects(self) -> Iterator[Suspect]:
        """What is contradicted: joined and divided objects first, then those that have no like among the others."""
        matching = match_objects(self.drawn, self.seen)
        pairs = list(zip((1 + matching.truth).tolist(), (1 + matching.result).tolist(), strict=True))
        by_size = np.argsort(-matching.shared, kind="stable").tolist()
        merges = _several((pairs[k][1], pairs[k][0]) for k in by_size if matching.truth_inside[k])
        splits = _several(pairs[k] for k in by_size if matching.result_inside[k])
        for one, drawn in merges.items():
            ratio, pixels, box = self._pass(self.seen, one, self.drawn, drawn, self.boxes_seen)
            yield self._suspect("seen as one", drawn, ratio, pixels, box)
        for one, seen in splits.items():
            ratio, pixels, box = self._pass(self.drawn, one, self.seen, seen, self.boxes_drawn)
            yield self._suspect("seen as several", [one], 1 - ratio, pixels, box)
        drawn_left = {*range(1, 1 + len(self.boxes_drawn))}.difference(splits, *merges.values())
        seen_left = {*range(1, 1 + len(self.boxes_seen))}.difference(merges, *splits.values())
        for k in np.argsort(-matching.iou, kind="stable").tolist():
            one, other = pairs[k]
            if matching.iou[k] >= LEAST_IOU and one in drawn_left and other in seen_left:
                drawn_left.remove(one)
                seen_left.remove(other)
                if matching.iou[k] < FOUND:
                    yield self._suspect("seen elsewhere", [one], *self._contrary([one], [other]))
        for one in sorted(drawn_left):
            yield self._suspect("not seen", [one], *self._contrary([one], []))
        for other in sorted(seen_left):
            yield self._suspect("not drawn", [], *self._contrary([], [other]))

    def _suspect(self, what: What, drawn: Sequence[int], certainty: float, pixels: int, box: Box) -> Suspect:
        """A suspect of so many pixels, with the labels as they stand in the file."""
        size = min(1.0, pixels / self.typical) if self.typical else 1.0
        return Suspect(what, tuple(self.names[list(drawn)].tolist()), certainty * math.sqrt(size), box)

    def _contrary(self, drawn: Sequence[int], seen: Sequence[int]) -> tuple[float, int, Box]:
        """Mean probability of the contrary in the pixels of some objects, their number, and the box around them."""
        box = _around([*(self.boxes_drawn[n - 1] for n in drawn), *(self.boxes_seen[n - 1] for n in seen)])
        inside = np.isin(self.drawn[box.slices], drawn) | np.isin(self.seen[box.slices], seen)
        return float(self.contrary[box.slices][inside].mean()), int(inside.sum()), box

    def _pass(
        self,
        labels: NDArray[np.int32],
        one: int,
        parts: NDArray[np.int32],
        several: Sequence[int],
        boxes: Sequence[tuple[slice, ...]],
    ) -> tuple[float, int, Box]:
        """Height of the pass between the two largest parts of an object, by the lower summit; its pixels, its box."""
        box = _around([boxes[one - 1]])
        inside, parts = labels[box.slices] == one, parts[box.slices]
        heights = np.where(inside, self.heights[box.slices], 0)
        summits = [int(np.where(parts == part, heights, 0).argmax()) for part in several[:2]]
        lower = int(heights.flat[summits].min())
        below, above = 0, lower + 1  # joined at the first, at the second no longer
        while above - below > 1:
            level = (below + above) // 2
            first, second = label_objects(heights >= level).flat[summits]
            below, above = (level, above) if first == second else (below, level)
        return below / lower, int(inside.sum()), box


def _several(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """Second numbers by the first, of those that have several.

    >>> _several([(3, 1), (4, 2), (3, 7)])
    {3: [1, 7]}
    """
    found: dict[int, list[int]] = defaultdict(list)
    for first, second in pairs:
        found[first].append(second)
    return {first: others for first, others in found.items() if len(others) > 1}


def _touching(labels: NDArray[np.int32]) -> set[tuple[int, int]]:
    """Pairs of objects of which a pixel lies within `TOUCHING` pixels along an axis of one of the other.

    >>> _touching(np.array([[1, 1, 0, 2, 0, 0, 0, 3]], np.int32))
    {(1, 2)}
    """
    found: set[tuple[int, int]] = set()
    for axis, away in product(range(labels.ndim), range(1, TOUCHING + 1)):
        line = np.moveaxis(labels, axis, 0)
        first, second = line[:-away], line[away:]
        differ = (first > 0) & (second > 0) & (first != second)
        pairs = np.unique(np.sort(np.stack([first[differ], second[differ]]), axis=0), axis=1)
        found.update(zip(*pairs.tolist(), strict=True))
    return found


def _around(boxes: Sequence[tuple[slice, ...]]) -> Box:
    """The box around some boxes."""
    sides = list(zip(*boxes, strict=True))
    return Box(tuple(min(s.start for s in side) for side in sides), tuple(max(s.stop for s in side) for side in sides))


def suspect_classes(truth: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]) -> Suspects:
    """Regions whose drawn class a network holds for impossible.

    Parameters
    ----------
    truth : (*spatial) integers
        Classes 0, 1, ...; negative is IGNORE, of which nothing is suspected.
    probabilities : (classes, *spatial), in [0, 1]
        Calibrated.

    Returns
    -------
    Suspects
        Connected pixels of one drawn class that all have a probability below 5 %, but for regions that hold no square
        (cube) of 3 pixels, as along outlines. The certainty is 1 minus the mean probability of the drawn class, less
        the share that such a square has of the region.

    Examples
    --------
    >>> truth = np.zeros((5, 5), int)
    >>> suspects = suspect_classes(truth, np.stack([np.full((5, 5), 0.02), np.full((5, 5), 0.98)]))
    >>> [(one.what, one.labels, round(one.certainty, 2), one.place) for one in suspects.found]
    [('another class', (0, 1), 0.62, (2, 2))]
    """
    probable = np.take_along_axis(probabilities, np.maximum(truth, 0)[np.newaxis], axis=0)[0]
    impossible = (truth >= 0) & (probable < IMPOSSIBLE)
    regions = label_objects(np.where(impossible, truth + 1, 0))
    square = np.ones((3,) * truth.ndim)
    thick = set(np.unique(regions[binary_erosion(impossible, square)]).tolist())
    found = []
    for number, slices in enumerate(find_objects(regions), 1):
        if number in thick:
            inside = regions[slices] == number
            drawn = int(truth[slices][inside][0])
            seen = int(probabilities[(slice(None), *slices)][:, inside].sum(1).argmax())
            certainty = max(0.0, 1 - float(probable[slices][inside].mean()) - square.size / int(inside.sum()))
            found.append(Suspect("another class", (drawn, seen), certainty, _around([slices])))
    return Suspects(found, {})
