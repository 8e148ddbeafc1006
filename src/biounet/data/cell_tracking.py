"""Markers of the Cell Tracking Challenge, which show where all cells are, and margins without labels."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, maximum_filter

from biounet.core.components import dense_numbers
from biounet.core.labels import IGNORE
from biounet.data.label_files import missing, numbers_in

__all__ = ["FieldStatistics", "Reach", "choose_margin", "count_missing", "mark_around", "mark_margin", "measure_reach"]


Reach = tuple[int, int]
"""Pixels along Z, and along Y and X."""

GENEROUS = 1.25
"""So many times farther than any cell with an outline a cell without one may reach from its marker."""


def measure_reach(labels: NDArray[np.int32], markers: NDArray[np.int32]) -> Reach:
    """Largest distance that cells with an outline reach from the middle of their markers.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        Cells with an outline.
    markers : of the same shape
        Of all cells; their numbers are others.

    Returns
    -------
    pixels along Z (0 in an image), and along Y and X, whichever is more
        Of the cell that reaches farthest. One without a marker counts as if it were at its edge.

    Examples
    --------
    >>> measure_reach(np.array([[0, 5, 5, 5, 5, 0]]), np.array([[0, 9, 9, 0, 0, 4]]))      # from 1.5 to 4
    (0, 3)
    """
    cells = dense_numbers(labels)
    boxes = find_objects(cells)
    marked = find_objects(np.where(markers > 0, cells, 0), max_label=len(boxes))
    farthest = [0.0] * labels.ndim
    for cell, marker in zip(boxes, marked, strict=True):
        for axis, side in enumerate(cell or ()):
            middle = (marker[axis].start + marker[axis].stop - 1) / 2 if marker else side.start
            farthest[axis] = max(farthest[axis], middle - side.start, side.stop - 1 - middle)
    return ceil(max(farthest[:-2], default=0)), ceil(max(farthest[-2:]))


def mark_around(labels: NDArray[np.int32], markers: NDArray[np.int32], reach: Reach) -> NDArray[np.int32]:
    """Set the background around markers of cells that have no outline to IGNORE.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        Cells with an outline.
    markers : of the same shape
        Of all cells. A marker of which `labels` covers less than half is that of a cell without an outline.
    reach : largest `measure_reach` of all images of the set
        A cell may reach a quarter farther, to each side of its marker.

    Notes
    -----
    The background between such a marker and a cell with an outline is unknown, too: it would be most wanted, but
    where cells touch it is none. Of HeLa cells two in each frame of ten were left their outlines, and all a marker
    somewhere in the middle. This way no pixel of the other cells is background, and 13 % of the background remain;
    if pixels belonged to what is nearest, marker or outlined cell, 14 % of the pixels of the other cells would be
    background (of six outlines in each frame, 37 %).

    Examples
    --------
    >>> mark_around(np.array([[7, 7, 0, 0, 0, 0, 0]]), np.array([[1, 0, 0, 2, 0, 0, 0]]), (0, 1))
    array([[ 7,  7, -1, -1, -1, -1,  0]])
    """
    along_z, along_yx = (2 * ceil(GENEROUS * pixels) + 1 for pixels in reach)
    unlabelled = (missing(labels, markers) > 0).astype(np.uint8)
    near = maximum_filter(unlabelled, size=(*[along_z] * (labels.ndim - 2), along_yx, along_yx), mode="constant")
    return np.where((near > 0) & (labels == 0), IGNORE, labels)


def count_missing(labels: NDArray[Any], markers: NDArray[Any]) -> int:
    """Number of markers of cells without an outline.

    >>> count_missing(np.array([[7, 7, 0, -1]]), np.array([[1, 0, 2, 3]]))
    2
    """
    return int((numbers_in(missing(labels, markers)) > 0).sum())


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
class FieldStatistics:
    """Objects and background near the edges of one image, counted for several widths of the margin.

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
    def of(cls, labels: NDArray[Any]) -> "FieldStatistics":
        """Count in the labels of one image, (Y, X) or (Z, Y, X).

        >>> labels = np.zeros((1, 200, 200), int)
        >>> labels[0, 0:30, 7], labels[0, 90, 110:160] = 1, 2       # end in row 29, begin in column 110
        >>> statistics = FieldStatistics.of(labels)
        >>> statistics.reaching, statistics.crossing
        ({0: 2, 25: 1, 50: 1, 100: 0}, {25: 0, 50: 1})
        """
        reaching, crossing, background = dict[int, int](), dict[int, int](), dict[int, int]()
        strips = [list(_strips(labels, *widths)) for widths in pairwise((*WIDTHS, max(labels.shape)))]
        objects = [set[int]().union(*(numbers_in(part).tolist() for part in parts)) - {0} for parts in strips]
        empty = [sum(int((part == 0).sum()) for part in parts) for parts in strips]
        for number, width in enumerate(WIDTHS):
            outside, inside = set[int]().union(*objects[:number]), set[int]().union(*objects[number:])
            reaching[width] = len(inside)
            if width in MARGINS:
                crossing[width], background[width] = len(outside & inside), sum(empty[:number])
        return cls(reaching, crossing, background)


def choose_margin(statistics: Collection[FieldStatistics]) -> int:
    """Width of the margin in which no objects were labelled; 0 if there is none.

    Parameters
    ----------
    statistics : of all images of a dataset

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
    >>> images = [FieldStatistics(reaching, {25: 12, 50: 12}, {}) for reaching in (all_of_them, none_at_the_edge)]
    >>> [choose_margin([image]) for image in images]
    [0, 50]
    >>> choose_margin([FieldStatistics(none_at_the_edge, {25: 0, 50: 9}, {})])
    0
    """
    for margin in MARGINS:
        every, inside, deep = (sum(image.reaching[width] for image in statistics) for width in (0, margin, 2 * margin))
        crossing = sum(image.crossing[margin] for image in statistics)
        if crossing >= max(FEW, ON_THE_LINE * len(statistics)) and inside - deep > FEW * (every - inside + 1):
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
    """Pixels of an image that are not in its margin; none where the image is too small."""
    rows, columns = (slice(margin, max(size - margin, 0)) for size in labels.shape[-2:])
    return labels[..., rows, columns]


def _strips(labels: NDArray[Any], outer: int, inner: int) -> Iterator[NDArray[Any]]:
    """Pixels at least `outer` and less than `inner` pixels from the edges, as four disjoint rectangles."""
    part, wide = _within(labels, outer), inner - outer
    below, right = (max(size - wide, wide) for size in part.shape[-2:])
    yield part[..., :wide, :]
    yield part[..., below:, :]
    yield part[..., wide:below, :wide]
    yield part[..., wide:below, right:]
