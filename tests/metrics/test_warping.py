"""Warping and border thinning against implementations that follow the definition line by line."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biounet.metrics import warping_error
from biounet.metrics.isbi2012.sections import Section, components
from biounet.metrics.isbi2012.thinning import thin_borders
from biounet.metrics.isbi2012.warping import KINDS, warping_counts

planes = st.tuples(st.integers(1, 12), st.integers(1, 12))
levels = st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.95, 1.0])


@st.composite
def sections(draw) -> Section:
    shape = draw(planes)
    interior = draw(hnp.arrays(bool, shape))
    return Section(interior, np.ones(shape, bool), draw(hnp.arrays(np.float64, shape, elements=levels)))


def pieces(mask: np.ndarray, connectivity: int) -> list[set]:
    """Connected sets of pixels, found one by one."""
    left, found = set(zip(*np.nonzero(mask), strict=True)), []
    while left:
        piece, edge = set(), [left.pop()]
        while edge:
            x, y = edge.pop()
            piece.add((x, y))
            near = {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if connectivity == 8 or dx * dy == 0}
            edge += near & left
            left -= near
        found.append(piece)
    return found


def is_simple(patch: np.ndarray) -> bool:
    """Whether the centre of 3 x 3 pixels touches one 4-piece of cell, and one 8-piece of membrane."""
    around = patch.copy()
    around[1, 1] = False
    touching = sum(bool(piece & {(0, 1), (1, 0), (1, 2), (2, 1)}) for piece in pieces(around, 4))
    membrane = ~patch
    membrane[1, 1] = False
    return touching == 1 and len(pieces(membrane, 8)) == 1


def warped(section: Section, threshold: float) -> np.ndarray:
    """The truth after warping, pass by pass over all mismatches."""
    truth = np.pad(section.interior, 1)
    x, y = np.nonzero(section.interior != section.above(threshold))
    sureness = np.abs(section.probability[x, y] - threshold).astype(np.float32)
    order = np.argsort(-sureness, kind="stable")
    left = list(zip(x[order], y[order], strict=True))
    while True:
        stay = []
        for x, y in left:
            if is_simple(truth[x : x + 3, y : y + 3]):
                truth[x + 1, y + 1] ^= True
            else:
                stay.append((x, y))
        if len(stay) == len(left):
            return truth[1:-1, 1:-1]
        left = stay


def kind_of(labels: np.ndarray, x: int, y: int, radius: int) -> str:
    """Kind of a mismatch by the definition."""
    window = labels[max(x - 1, 0) : x + 2, max(y - 1, 0) : y + 2].ravel().tolist()
    window.remove(labels[x, y])
    around, inside = set(window), labels[x, y] > 0
    if len(around) > 2:
        return "splits" if inside else "merges"
    if len(around) == 2 and inside:
        r = max(labels.shape) if radius > min(labels.shape) else radius
        part = np.pad(labels > 0, r)[x : x + 2 * r + 1, y : y + 2 * r + 1].copy()
        part[r, r] = False
        again = components(np.ascontiguousarray(part))
        return "splits" if len(set(again[r - 1 : r + 2, r - 1 : r + 2].ravel())) > 2 else "hole_deletions"
    if len(around) == 2:
        return "hole_additions"
    if around in ({0}, set()):
        return "object_deletions" if inside else "object_additions"
    return "hole_additions" if inside else "hole_deletions"


@given(sections(), st.sampled_from([1, 2, 20]))
@settings(max_examples=60, deadline=None)
def test_warping_equals_its_definition(section, radius):
    rows = warping_counts(section, radius=radius)
    for row, threshold in ((0, 0.0), (5, 0.5)):
        truth = warped(section, threshold)
        left = np.argwhere(truth != section.above(threshold))
        labels = components(np.ascontiguousarray(truth))
        kinds = [kind_of(labels, x, y, radius) for x, y in left]
        if section.interior.size > 1:  # a lonely pixel has no neighbours to tell
            assert rows[row].tolist() == [kinds.count(kind) for kind in KINDS]


def test_a_long_tail_that_grows_against_the_order_is_warped_away():
    """Each pass of the definition adds one pixel, as pixels are visited from the left."""
    truth, result = np.zeros((3, 60), np.uint8), np.zeros((3, 60), np.uint8)
    truth[1, 58:], result[1, 1:] = 1, 1
    assert warping_error(truth, result) == 0


def test_a_large_ring_cut_once_is_split_and_a_small_one_is_not():
    for size, errors in ((50, 1), (20, 0)):
        ring = np.zeros((size, size), np.uint8)
        ring[5:-5, 5:-5] = 1
        ring[6:-6, 6:-6] = 0
        cut = ring.copy()
        cut[5, size // 2] = 0
        assert warping_error(ring, cut) == errors / size**2
        assert warping_error(ring, cut, radius=None) == 0


def test_a_truth_without_membranes_can_be_split():
    truth, result = np.ones((9, 9), np.uint8), np.ones((9, 9), np.uint8)
    result[:, 4] = 0
    assert warping_error(truth, result) == 1 / 81


@given(hnp.arrays(bool, planes))
@example(np.zeros((3, 4), bool))
@example(np.eye(6, dtype=bool))
def test_thinning_grows_every_cell_until_lines_are_left(interior):
    cells = components(interior)
    thinned = thin_borders(cells)
    if not interior.any():
        assert (thinned == 1).all()
        return
    assert (thinned[interior] == cells[interior]).all(), "cells keep their pixels"
    assert set(np.unique(thinned)) - {0} == set(range(1, cells.max() + 1))
    for number in range(1, cells.max() + 1):
        assert len(pieces(thinned == number, 4)) == 1, "a cell stays in one piece"


def test_thinning_by_hand():
    """Two columns of membrane: the left one is reached first and joins its cell, the right one becomes the line."""
    section = np.array([[1, 1, 0, 0, 2, 2]] * 3, np.int32)
    assert thin_borders(section.T.copy()).T.tolist() == [[1, 1, 1, 0, 2, 2]] * 3
