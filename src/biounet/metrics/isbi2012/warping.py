"""Warping error of the ISBI 2012 challenge: pixels that differ after borders are moved without a change of topology."""

from collections.abc import Sequence
from heapq import heappop, heappush

import numpy as np
from numba import njit
from numpy.typing import NDArray

from biounet.metrics.isbi2012.sections import Section, components, framed, sections
from biounet.metrics.thresholds import THRESHOLDS, Sweep

__all__ = ["KINDS", "simple_points", "warping_error", "warping_scores"]


KINDS = ("merges", "splits", "hole_additions", "hole_deletions", "object_additions", "object_deletions")
"""Effects on the cells of the truth of a wrong pixel that cannot be warped away."""
MERGE, SPLIT, HOLE_ADDITION, HOLE_DELETION, OBJECT_ADDITION, OBJECT_DELETION = range(6)

RING = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
DIRECT = RING[::2]


def warping_error(truth: np.ndarray, probabilities: np.ndarray, *, radius: int | None = 20) -> float:
    """Warping error of a stack: share of pixels that split or merge cells; 0 is perfect, 1 the worst.

    Parameters
    ----------
    truth : (N, Y, X) or (Y, X), integers or bool
        Positive inside cells, 0 on membranes. Negative is IGNORE: such pixels are membrane to both and
        are not counted.
    probabilities : the shape of `truth`, in [0, 1]
        Of being inside a cell.
    radius : pixels
        A cell is split at a pixel if it falls apart within 2 radius + 1 pixels around it, so a large
        ring cut once is split. None: if it falls apart in the whole section, which can take long.

    Raises
    ------
    ShapeError, LabelError, ImageError
        If the two cannot be compared, see `biounet.metrics.isbi2012.sections.sections`.

    Notes
    -----
    Source: Jain et al. 2010, section 3, and ``WarpingError`` of Trainable Segmentation, minimum splits
    and mergers. Pixels where truth and result differ are visited from the surest down (the largest
    ``|p - threshold|``) and flipped in the truth where that changes no topology (`simple_points`), until
    none can be. Each that remains is of one of the `KINDS` by the cells around it; the error is the
    number of merges and splits, in pixels, divided by the pixels of the stack, at the best of the first
    ten `THRESHOLDS`. Differs: that program finds no errors in a section whose truth has no membrane at
    all, by an overflow in its display range; we count them.

    Examples
    --------
    A missing membrane pixel merges two cells: one pixel of fifteen. A border moved by one is no error.

    >>> truth = np.array([[0, 0, 0, 0, 0], [1, 1, 0, 1, 1], [0, 0, 0, 0, 0]])
    >>> round(warping_error(truth, np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])), 4)
    0.0667
    >>> warping_error(truth, np.array([[0, 0, 0, 0, 0], [1, 0, 0, 1, 1], [0, 0, 0, 0, 0]]))
    0.0
    """
    return warping_scores(truth, probabilities, radius=radius).best


def warping_scores(truth: np.ndarray, probabilities: np.ndarray, *, radius: int | None = 20) -> Sweep:
    """`warping_error` at every threshold; the parts are pixels of each of the `KINDS` in the whole stack.

    >>> truth = np.array([[0, 0, 0, 0, 0], [1, 1, 0, 1, 1], [0, 0, 0, 0, 0]])
    >>> parts = warping_scores(truth, np.zeros((3, 5))).best_parts       # all but the last pixel is warped away
    >>> parts["splits"], parts["object_deletions"]
    (0.0, 2.0)
    """
    parts = list(sections(truth, probabilities))
    return pool_warping([warping_counts(part, radius=radius) for part in parts], [part.pixels for part in parts])


def simple_points() -> NDArray[np.bool_]:
    """Mask of the neighbourhoods whose centre may flip without a change of topology, (256,).

    Bit k of the index is neighbour k, in turn around the centre and starting with a direct one. Cells are
    4-connected, membranes 8-connected: those centres may flip whose connectivity number is 1, the sum of
    x_k - x_k x_(k+1) x_(k+2) over the four direct neighbours (Yokoi, Toriwaki and Fukumura 1975).

    >>> simple_points()[[0b00000000, 0b00000001, 0b00010001, 0b11111111]]        # alone, end, bridge, inside
    array([False,  True, False, False])
    """
    ring = np.arange(256)[:, None] >> np.arange(10) % 8 & 1
    direct = np.arange(0, 8, 2)
    number = (ring[:, direct] - ring[:, direct] * ring[:, direct + 1] * ring[:, direct + 2]).sum(axis=1)
    return np.asarray(number == 1)


SIMPLE = simple_points()


def warping_counts(section: Section, *, radius: int | None = 20) -> NDArray[np.int64]:
    """Pixels of each of the `KINDS` in one section, one row for each of the first ten thresholds."""
    return np.array([_count(section, threshold, radius) for threshold in THRESHOLDS[:10]])


def pool_warping(counts: Sequence[NDArray[np.int64]], pixels: Sequence[int]) -> Sweep:
    """Warping error of the counts of several sections with so many known pixels."""
    total = np.sum(counts, axis=0).astype(np.float64)
    error = (total[:, MERGE] + total[:, SPLIT]) / max(sum(pixels), 1)
    return Sweep(error, THRESHOLDS[:10], "min", dict(zip(KINDS, total.T, strict=True)))


def _count(section: Section, threshold: float, radius: int | None) -> NDArray[np.int64]:
    """Numbers of wrong pixels of each kind that remain when the truth of a section is warped to the result."""
    truth = framed(section.interior.view(np.uint8), 0)
    x, y = np.nonzero(section.interior != section.above(threshold))
    sureness = np.abs(section.probability[x, y] - threshold).astype(np.float32)
    order = np.argsort(-sureness, kind="stable")
    x, y = x[order] + 1, y[order] + 1
    before = truth[x, y]
    _warp(truth, x, y, SIMPLE)
    remain = truth[x, y] == before
    if not remain.any():
        return np.zeros(len(KINDS), np.int64)
    labels = framed(components(truth[1:-1, 1:-1].view(bool)), -1)
    if radius is None or radius > min(section.interior.shape):
        radius = max(labels.shape)
    kinds = _classify(labels, x[remain], y[remain], radius)
    return np.bincount(kinds, minlength=len(KINDS))


@njit(cache=True)
def _pattern(truth, x, y):  # type: ignore[no-untyped-def]
    """Index into the simple points: bit k is neighbour k."""
    pattern = 0
    for k in range(8):
        pattern |= truth[x + RING[k][0], y + RING[k][1]] << k
    return pattern


@njit(cache=True)
def _warp(truth, xs, ys, simple):  # type: ignore[no-untyped-def]
    """Flip mismatches of a framed section in place: in order, pass after pass, while one is simple.

    After the first pass only pixels beside a flip are looked at again, each when its turn comes.
    """
    count = xs.size
    rank = np.full(truth.shape, -1, np.int32)
    for order in range(count):
        rank[xs[order], ys[order]] = order
    is_due = np.ones(count, np.bool_)
    due = [0 for _ in range(0)]  # a heap of pass * count + rank, for the passes after the first
    fresh = 0
    while fresh < count or due:
        if fresh < count:
            turn, order = 0, fresh
            fresh += 1
        else:
            turn, order = divmod(heappop(due), count)
        is_due[order] = False
        x, y = xs[order], ys[order]
        if not simple[_pattern(truth, x, y)]:
            continue
        truth[x, y] ^= 1
        rank[x, y] = -1
        for dx, dy in RING:
            other = rank[x + dx, y + dy]
            if other >= 0 and not is_due[other]:
                is_due[other] = True
                heappush(due, (turn + (other < order)) * count + other)


@njit(cache=True)
def _classify(labels, xs, ys, radius):  # type: ignore[no-untyped-def]
    """Kind of each remaining mismatch by the labels around it; labels are framed with -1."""
    kinds = np.empty(xs.size, np.int64)
    seen = np.full(labels.shape, -1, np.int32)
    queue = np.empty((min(labels.size, (2 * radius + 1) ** 2), 2), np.int32)
    for index in range(xs.size):
        x, y = xs[index], ys[index]
        inside = labels[x, y] > 0
        first, second, different = -1, -1, 0
        for dx, dy in RING:
            label = labels[x + dx, y + dy]
            if label >= 0 and label != first and label != second:
                first, second = label, first
                different += 1
        if different > 2:
            kinds[index] = SPLIT if inside else MERGE
        elif different == 2 and inside:
            kinds[index] = SPLIT if _falls_apart(labels, x, y, radius, seen, index, queue) else HOLE_DELETION
        elif different == 2:
            kinds[index] = HOLE_ADDITION
        elif first == 0:
            kinds[index] = OBJECT_DELETION if inside else OBJECT_ADDITION
        else:
            kinds[index] = HOLE_ADDITION if inside else HOLE_DELETION
    return kinds


@njit(cache=True)
def _falls_apart(labels, x, y, radius, seen, stamp, queue):  # type: ignore[no-untyped-def]
    """Whether the cell pixels around a pixel are not 4-connected without it, inside its window."""
    seen[x, y] = stamp
    wanted = 0
    for dx, dy in RING:
        if labels[x + dx, y + dy] > 0:
            queue[0, 0], queue[0, 1] = dx, dy
            wanted += 1
    seen[x + queue[0, 0], y + queue[0, 1]] = stamp
    served, waiting = 0, 1
    while served < waiting and wanted:
        here_x, here_y = queue[served, 0], queue[served, 1]
        served += 1
        wanted -= max(abs(here_x), abs(here_y)) == 1
        for dx, dy in DIRECT:
            near_x, near_y = here_x + dx, here_y + dy
            if max(abs(near_x), abs(near_y)) > radius or labels[x + near_x, y + near_y] <= 0:
                continue
            if seen[x + near_x, y + near_y] != stamp:
                seen[x + near_x, y + near_y] = stamp
                queue[waiting, 0], queue[waiting, 1] = near_x, near_y
                waiting += 1
    return wanted > 0
