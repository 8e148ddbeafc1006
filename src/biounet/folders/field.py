"""The field of interest of the Cell Tracking Challenge: objects that do not reach into it are not labelled."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config import IGNORE
from biounet.folders.labels import numbers_in

__all__ = ["FieldCensus", "choose_margin", "mark_margin"]

MARGINS = (50, 25)
"""Pixels along Y and X by which the field of interest may be smaller than the image; of some sets it is the image."""

WIDTHS = tuple(sorted({0, *MARGINS, *(2 * margin for margin in MARGINS)}))
"""Pixels from the edges at which objects are counted."""

FEW = 10
"""In one strip along the edges this many times fewer objects than in the next one are too few to be all. So many at
least must lie on the line between them, too."""

ON_THE_LINE = 2
"""Objects on that line per image: one that rests is the same in all frames of a movie, and tells of itself only."""


@dataclass(frozen=True)
class FieldCensus:
    """How far the objects of one image reach into it, and how much background lies at its edges.

    Parameters
    ----------
    reaching : of each margin, and of twice it
        How many objects have a pixel that is not in the margin; of 0, how many there are.
    crossing : of each margin
        How many objects have pixels in it, and others that are not.
    background : of each margin
        How many pixels of background lie in it.
    """

    reaching: Mapping[int, int]
    crossing: Mapping[int, int]
    background: Mapping[int, int]

    @classmethod
    def of(cls, labels: NDArray[Any]) -> "FieldCensus":
        """Count in the labels of one image, (Y, X) or (Z, Y, X).

        >>> labels = np.zeros((1, 200, 200), int)
        >>> labels[0, 0:30, 7], labels[0, 90, 110:160] = 1, 2       # end in row 29, begin in column 110
        >>> census = FieldCensus.of(labels)
        >>> census.reaching, census.crossing
        ({0: 2, 25: 1, 50: 1, 100: 0}, {25: 0, 50: 1})
        """
        reaching, crossing, background = dict[int, int](), dict[int, int](), dict[int, int]()
        strips = [list(_strips(labels, *widths)) for widths in pairwise((*WIDTHS, max(labels.shape)))]
        found = [set[int]().union(*(numbers_in(part).tolist() for part in parts)) - {0} for parts in strips]
        bare = [sum(int((part == 0).sum()) for part in parts) for parts in strips]
        for number, width in enumerate(WIDTHS):
            outside, inside = set[int]().union(*found[:number]), set[int]().union(*found[number:])
            reaching[width] = len(inside)
            if width in MARGINS:
                crossing[width], background[width] = len(outside & inside), sum(bare[:number])
        return cls(reaching, crossing, background)


def choose_margin(census: Collection[FieldCensus]) -> int:
    """Find how wide the margin is in which nobody labelled objects; 0 if there is none.

    Parameters
    ----------
    census : of all images of a dataset

    Returns
    -------
    int, pixels
        One of `MARGINS`, or 0.

    Notes
    -----
    The challenge labels an object, in whole, if any of its pixels is in the field of interest (Annotation procedure;
    Naming and file content conventions, where 50, 25 or 0 pixels are given for each set). So none ends within the
    margin. If all were labelled, about as many would end there as in a strip of the same width next to it.
    That tells nothing where images hold nothing at their edges, such as an embryo in the middle: so objects must be
    on the line, which are labelled whole.

    Examples
    --------
    >>> all_of_them = {0: 90, 25: 81, 50: 70, 100: 50}
    >>> none_at_the_edge = {0: 70, 25: 70, 50: 70, 100: 50}
    >>> [choose_margin([FieldCensus(reaching, {25: 12, 50: 12}, {})]) for reaching in (all_of_them, none_at_the_edge)]
    [0, 50]
    >>> choose_margin([FieldCensus(none_at_the_edge, {25: 0, 50: 9}, {})])
    0
    """
    for margin in MARGINS:
        every, inside, deep = (sum(image.reaching[width] for image in census) for width in (0, margin, 2 * margin))
        crossing = sum(image.crossing[margin] for image in census)
        if crossing >= max(FEW, ON_THE_LINE * len(census)) and inside - deep > FEW * (every - inside + 1):
            return margin
    return 0


def mark_margin(labels: NDArray[np.int32], margin: int) -> NDArray[np.int32]:
    """Set the background in a margin along Y and X to IGNORE.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
    margin : pixels

    Examples
    --------
    >>> mark_margin(np.array([[5, 5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 7]]), 1)
    array([[ 5,  5, -1, -1],
           [-1,  0,  0, -1],
           [-1, -1, -1,  7]])
    """
    marked = np.where(labels == 0, IGNORE, labels)
    _within(marked, margin)[...] = _within(labels, margin)
    return marked


def _within(labels: NDArray[Any], margin: int) -> NDArray[Any]:
    """The part of an image that is not in its margin; empty where the image is too small."""
    rows, columns = (slice(margin, max(size - margin, 0)) for size in labels.shape[-2:])
    return labels[..., rows, columns]


def _strips(labels: NDArray[Any], outer: int, inner: int) -> Iterator[NDArray[Any]]:
    """What lies so far from the edges or farther, and nearer than the other distance: disjoint parts of an image."""
    part, wide = _within(labels, outer), inner - outer
    below, right = (max(size - wide, wide) for size in part.shape[-2:])
    yield part[..., :wide, :]
    yield part[..., below:, :]
    yield part[..., wide:below, :wide]
    yield part[..., wide:below, right:]
