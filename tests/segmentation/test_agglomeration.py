"""Fragments joined by the mean evidence on their borders: by hand, by laws, and against a slow reference."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from biounet.core.components import label_objects
from biounet.segmentation.agglomeration import Borders, draw_heights, merge_heights

FRAGMENTS = arrays.arrays(np.uint32, (6, 7), elements=st.integers(1, 5))
EVIDENCE = arrays.arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, 200]))


def borders_of(rows):
    """Borders from rows of two fragments, sum, count and least evidence."""
    rows = np.array(sorted(rows), np.int64).reshape(-1, 5)
    return Borders(rows[:, 0] << 32 | rows[:, 1], *rows[:, 2:].T)


def slow_heights(rows, prior):
    """The definition: look at all pairs of regions again after every join."""
    rows = sorted(rows)
    region = {fragment: fragment for row in rows for fragment in row[:2]}
    level, heights = dict.fromkeys(region, 0.0), [None] * len(rows)
    while None in heights:
        pools = {}
        for at, (one, other, *_) in enumerate(rows):
            if region[one] != region[other]:
                pools.setdefault(frozenset((region[one], region[other])), []).append(at)
        values = {}
        for pair, pool in pools.items():
            total, count, least = sum(rows[at][2] for at in pool), sum(rows[at][3] for at in pool), None
            least = min(rows[at][4] for at in pool)
            values[pair] = (total + prior * least) / (count + prior), pool[0]
        pair = min(values, key=values.get)
        keep, gone = pair
        level[keep] = max(values[pair][0], level[keep], level[gone])
        for at in pools[pair]:
            heights[at] = level[keep]
        region = {fragment: keep if now == gone else now for fragment, now in region.items()}
    return heights


@st.composite
def graphs(draw):
    pairs = draw(st.sets(st.tuples(st.integers(1, 8), st.integers(1, 8)).filter(lambda pair: pair[0] < pair[1])))
    return [
        (*pair, least * count + draw(st.integers(0, 9)), count, least)
        for pair in sorted(pairs)
        for least, count in [(draw(st.integers(0, 9)), draw(st.integers(1, 5)))]
    ]


@settings(max_examples=200)
@given(graphs(), st.sampled_from([0, 1, 5]))
def test_heights_are_those_of_a_slow_reference(rows, prior):
    np.testing.assert_allclose(merge_heights(borders_of(rows), prior=prior), slow_heights(rows, prior), rtol=1e-12)


@given(graphs())
def test_below_every_height_regions_are_whole(rows):
    borders = borders_of(rows)
    heights = merge_heights(borders, prior=2)
    for level in heights:
        region = np.arange(9)
        for one, other, *_ in np.array(sorted(rows))[heights <= level]:
            region[region == region[one]] = region[other]
        for one, other, *_ in np.array(sorted(rows))[heights > level]:
            assert region[one] != region[other]


def test_a_gap_in_a_long_border_is_no_way_through():
    long, short = (1, 2, 9 * 100 + 0, 10, 0), (3, 4, 100 + 0, 2, 0)  # both have a pair of pixels without evidence
    assert merge_heights(borders_of([long, short])).tolist() == [90, 50]
    assert merge_heights(borders_of([long, short]), prior=5).round(3).tolist() == [60, 14.286]


def test_evidence_of_joined_fragments_is_pooled():
    rows = [(1, 2, 0, 1, 0), (1, 3, 60, 3, 20), (2, 3, 10, 1, 10), (3, 4, 90, 1, 90)]
    assert merge_heights(borders_of(rows)).tolist() == [0, 70 / 4, 70 / 4, 90]


def test_a_single_fragment_has_no_borders():
    evidence, fragments = np.zeros((4, 4), np.uint8), np.pad(np.ones((2, 2), np.uint32), 1)
    borders = Borders.of(evidence, fragments)
    assert len(borders.pairs) == len(merge_heights(borders)) == 0
    assert not draw_heights(evidence, fragments, borders, np.zeros(0)).any()


@settings(max_examples=50)
@given(EVIDENCE, FRAGMENTS, st.integers(1, 5), st.integers(1, 6))
def test_borders_of_regions_add_up(evidence, fragments, row, column):
    whole = [np.pad(array, 1) for array in (evidence, fragments)]
    cuts = product((slice(0, row + 2), slice(row, 8)), (slice(0, column + 2), slice(column, 9)))
    parts = [Borders.of(*(array[cut] for array in whole)) for cut in cuts]
    got, wanted = Borders.joined(parts), Borders.of(*whole)
    for name in ("pairs", "sums", "counts", "lowest"):
        np.testing.assert_array_equal(getattr(got, name), getattr(wanted, name))


@settings(max_examples=50)
@given(EVIDENCE, FRAGMENTS)
def test_no_path_leads_around_a_drawn_border(evidence, fragments):
    evidence, fragments = np.pad(evidence, 1), np.pad(fragments, 1)
    borders = Borders.of(evidence, fragments)
    drawn = draw_heights(evidence, fragments, borders, np.ones(len(borders.pairs)))
    inner = fragments[1:-1, 1:-1]
    pieces = label_objects(drawn < 1)
    for piece in range(1, pieces.max() + 1):
        assert len(np.unique(inner[pieces == piece])) == 1
