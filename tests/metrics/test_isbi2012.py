"""The ISBI 2012 scores against the organisers' own program, against hand-made cases, and their laws."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from biounet.core.errors import ConfigError, ImageError, LabelError, ShapeError
from biounet.core.labels import IGNORE
from biounet.metrics import (
    THRESHOLDS,
    EightBitWarning,
    isbi2012,
    pixel_error,
    pixel_scores,
    rand_error,
    rand_scores,
    v_info,
    v_info_scores,
    v_rand,
    v_rand_scores,
    warping_error,
    warping_scores,
)
from biounet.metrics.isbi2012.warping import KINDS, simple_points

REFERENCE = Path(os.environ.get("BIOUNET_DATA", "no-data")).parent / "reference" / "isbi2012_metrics"
NO_REFERENCE = pytest.mark.skipif(not REFERENCE.exists(), reason="no reference values beside BIOUNET_DATA")
CASES = json.loads((REFERENCE / "reference.json").read_text())["cases"] if REFERENCE.exists() else {}
FULL_TRUTH = ("tiny_all_object", "tiny_stack_with_full_truth_slice")
"""Cases where the reference program finds no warping errors for lack of membrane in a truth section; we count them."""
LAWS = settings(max_examples=30, deadline=None)
CLOSE = {"abs": 1e-9, "rel": 0, "nan_ok": True}


def names(metric: str = "pixel_error", *, slow: bool = True, without: tuple[str, ...] = ()) -> list:
    """Cases with a metric; those of 512 x 512 pixels are marked slow."""
    return [
        pytest.param(name, marks=[NO_REFERENCE] + [pytest.mark.slow] * (slow and case["group"] == "512"))
        for name, case in CASES.items()
        if metric in case["metrics"] and not name.startswith(without)
    ] or [pytest.param("none", marks=NO_REFERENCE)]


def load(name: str) -> tuple[np.ndarray, np.ndarray, dict]:
    arrays = np.load(REFERENCE / CASES[name]["input"])
    return arrays["truth"], arrays["proposal"], CASES[name]["metrics"]


def numbers(rows: list[dict], key: str) -> list[float]:
    return [np.nan if row[key] is None else row[key] for row in rows]


def test_thresholds_are_added_up_in_double_precision():
    assert THRESHOLDS[3] == 0.30000000000000004
    assert THRESHOLDS[-1] == 0.9999999999999999
    assert len(THRESHOLDS) == 11


@pytest.mark.parametrize("name", names(slow=False))
def test_leaderboard_numbers(name):
    truth, proposal, metrics = load(name)
    scores = isbi2012(truth, proposal)
    assert scores["pixel_error"] == pytest.approx(metrics["pixel_error"]["value"], **CLOSE)
    assert scores["rand_error"] == pytest.approx(metrics["rand_error"]["value"], **CLOSE)
    assert scores["v_rand"] == pytest.approx(metrics["v_rand_thinned"]["value"], **CLOSE)
    assert scores["v_info"] == pytest.approx(metrics["v_info_thinned"]["value"], **CLOSE)
    if not name.startswith(FULL_TRUTH):
        assert scores["warping_error"] == pytest.approx(metrics["warping_error"]["value"], **CLOSE)


@pytest.mark.parametrize("name", names())
def test_f_scores_at_every_threshold(name):
    truth, proposal, metrics = load(name)
    pixel, rand = pixel_scores(truth, proposal), rand_scores(truth, proposal)
    for ours, theirs in ((pixel, metrics["pixel_error"]), (rand, metrics["rand_error"])):
        assert 1 - ours.values == pytest.approx(numbers(theirs["per_threshold"], "f_score"), **CLOSE)
        assert ours.best_threshold == pytest.approx(theirs["best_threshold"])
    for ours, theirs in (
        (v_rand_scores(truth, proposal), metrics["v_rand_thinned"]),
        (v_info_scores(truth, proposal), metrics["v_info_thinned"]),
    ):
        assert ours.values == pytest.approx(numbers(theirs["per_threshold"], "f_score"), **CLOSE)
        at = np.argmin(np.abs(np.array(THRESHOLDS) - theirs["best_threshold"]))
        assert ours.best == pytest.approx(ours.values[at], **CLOSE), "best up to rounding where they found the best"
    for part, key in (("precision", "precision"), ("recall", "recall"), ("wrong_pixels", "metric_value")):
        assert pixel.parts[part] == pytest.approx(numbers(metrics["pixel_error"]["per_threshold"], key), **CLOSE)
    for part, key in (("merge", "precision"), ("split", "recall")):
        assert rand.parts[part] == pytest.approx(numbers(metrics["rand_error"]["per_threshold"], key), **CLOSE)
    wrong = pixel.parts["wrong_pixels"].min()
    assert wrong == pytest.approx(metrics["pixel_error_min_disagreement"]["value"], **CLOSE)


@pytest.mark.parametrize("name", names(without=FULL_TRUTH))
def test_warping_mismatches_at_every_threshold(name):
    truth, proposal, metrics = load(name)
    scores = warping_scores(truth, proposal)
    rows = metrics["warping_error"]["per_threshold"]
    assert scores.values == pytest.approx(numbers(rows, "value"), **CLOSE)
    assert scores.best_threshold == pytest.approx(metrics["warping_error"]["best_threshold"])
    theirs = ("mergers", "splits", "hole_additions", "hole_deletions", "object_additions", "object_deletions")
    for kind, key in zip(KINDS, theirs, strict=True):
        assert scores.parts[kind].tolist() == [sum(part[key] for part in row["per_slice"]) for row in rows]


@pytest.mark.parametrize("name", names("warping_error_extra", without=FULL_TRUTH))
def test_warping_without_a_window(name):
    truth, proposal, metrics = load(name)
    scores = warping_scores(truth, proposal, radius=None)
    rows = metrics["warping_error_extra"]["per_threshold"]
    everything = sum(scores.parts.values()) / truth.size
    assert everything == pytest.approx(numbers(rows, "classic_warping_error"), **CLOSE)
    for kind, key in (("merges", "mergers"), ("splits", "splits"), ("hole_deletions", "hole_deletions")):
        theirs = [sum(part[key] for part in row["radius_minus1_per_slice"]) for row in rows]
        assert scores.parts[kind].tolist() == theirs


@pytest.mark.parametrize("name", names("rand_error_choose2_before_2015"))
def test_variants_of_older_tables(name):
    truth, proposal, metrics = load(name)
    older = metrics["rand_error_choose2_before_2015"]
    assert rand_error(truth, proposal, variant="2012") == pytest.approx(older["value_commit_00812e6"], **CLOSE)
    assert rand_error(truth, proposal, variant="2014") == pytest.approx(older["value_commit_fbab75b"], **CLOSE)
    classic = metrics["rand_error_classic"]["value"]
    assert rand_error(truth, proposal, variant="classic") == pytest.approx(classic, **CLOSE)
    pooled = v_rand_scores(truth, proposal, pooled=True)
    theirs = metrics["v_rand_thinned_pooled"]
    assert pooled.best == pytest.approx(theirs["value"], **CLOSE)
    assert pooled.parts["merge"] == pytest.approx(numbers(theirs["per_threshold"], "precision"), **CLOSE)
    assert pooled.parts["split"] == pytest.approx(numbers(theirs["per_threshold"], "recall"), **CLOSE)
    unthinned = v_info_scores(truth, proposal, thin=False)
    theirs = numbers(metrics["v_info_unthinned"]["per_threshold"], "f_score")
    assert unthinned.values == pytest.approx(theirs, **CLOSE)


@NO_REFERENCE
def test_simple_points_are_those_of_the_reference_program():
    table = json.loads((REFERENCE / "reference.json").read_text())["meta"]["simple_points"]["table"]
    row_major = [5, 2, 1, 0, 3, 6, 7, 8]  # right, upper right, up, ... in a 3 x 3 patch
    for pattern, simple in enumerate(table):
        ours = sum((pattern >> position & 1) << k for k, position in enumerate(row_major))
        assert simple_points()[ours] == (simple == "1")


def halves(gap: int | None = None) -> np.ndarray:
    """Two cells of 8 x 4 and 8 x 3 pixels with a membrane between them, open at `gap`."""
    image = np.ones((8, 8), np.uint8)
    image[:, 4] = 0
    if gap is not None:
        image[gap, 4] = 1
    return image


def test_one_missing_membrane_pixel_merges_two_cells():
    truth, result = halves(), halves(gap=3)
    assert pixel_error(truth, result) == pytest.approx(1 - 2 * 56 / (2 * 56 + 1))
    assert rand_error(truth, result) == pytest.approx(1 - 2 * (32**2 + 24**2) / (32**2 + 24**2 + 56**2))
    assert warping_error(truth, result) == 1 / 64
    assert warping_scores(truth, result).best_parts["merges"] == 1
    assert v_rand(truth, result) == pytest.approx(2 * 1600 / (1600 + 56**2))
    assert v_info(truth, result) == 0


def test_one_missing_membrane_pixel_before_2015():
    truth, result = halves(), halves(gap=3)
    together = 32 * 31 / 2 + 24 * 23 / 2
    assert rand_error(truth, result, variant="2014") == pytest.approx(1 - 2 * together / (together + 56 * 55 / 2))
    membrane = 8 * 7 / 2  # a third object of 8 pixels, one of which the result gives to the merged cell
    split, merge = (together + 7 * 6 / 2), (57 * 56 / 2 + 7 * 6 / 2)
    assert rand_error(truth, result, variant="classic") == pytest.approx(1 - 2 * split / (merge + together + membrane))


def test_a_cell_cut_in_two_lowers_only_the_split_part():
    truth, cut = np.ones((8, 9), np.uint8), np.ones((8, 9), np.uint8)
    cut[:, 4] = 0
    for scores in (rand_scores(truth, cut), v_rand_scores(truth, cut)):
        assert scores.best_parts["merge"] == 1
        assert scores.best_parts["split"] == pytest.approx((32**2 + 32**2 + 8) / 72**2)
    assert warping_scores(truth, cut).best_parts["splits"] == 1, "the rest of the line is warped away"


def test_v_info_of_a_merge_by_hand():
    truth = np.array([[1, 1, 0, 1, 1, 0, 1, 1]])
    result = np.array([[1, 1, 1, 1, 1, 0, 1, 1]])
    information = np.log(3) - 4 / 6 * np.log(2)  # H(T) - H(T | S)
    scores = v_info_scores(truth, result)
    assert scores.best_parts["split"] == pytest.approx(1)
    assert scores.best_parts["merge"] == pytest.approx(information / np.log(3))


def test_a_moved_border_is_no_warping_error():
    assert warping_error(halves(), np.roll(halves(), 1, axis=1)) == 0


def test_one_threshold_serves_the_whole_stack():
    truth = np.stack([halves(), halves()])
    low, high = np.where(halves(), 0.35, 0.05), np.where(halves(), 0.95, 0.65)
    assert pixel_error(truth[0], low) == pixel_error(truth[1], high) == 0
    assert pixel_error(truth, np.stack([low, high])) > 0


@pytest.mark.parametrize(("value", "threshold"), [(0.1, 1), (0.7, 6), (0.9, 8), (1.0, 10)])
def test_probabilities_are_compared_in_double_precision(value, threshold):
    """float32 0.1 is above 0.1; 0.7 and 0.9 are below."""
    scores = pixel_scores(np.ones((1, 1), bool), np.full((1, 1), value, np.float32))
    assert np.flatnonzero(scores.values == 0).max() == threshold


def test_empty_truth():
    nothing, everything = np.zeros((4, 4), np.uint8), np.ones((4, 4))
    scores = {"rand_error": 1, "warping_error": 0, "v_rand": 0, "v_info": 0}
    assert isbi2012(nothing, nothing) == {"pixel_error": 0, **scores}
    assert isbi2012(nothing, everything) == {"pixel_error": 1, **scores}
    assert rand_error(nothing, nothing, variant="2014") == 0
    assert rand_error(nothing, nothing, variant="2012") == 1


sections = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)
levels = st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.95, 1.0])


@st.composite
def pairs(draw) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(sections)
    return draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 1))), draw(
        hnp.arrays(np.float32, shape, elements=levels.map(np.float32))
    )


@given(hnp.arrays(np.uint8, sections, elements=st.integers(0, 1)))
@LAWS
def test_perfect_is_perfect(truth):
    scores = isbi2012(truth, truth)
    assert scores["pixel_error"] == scores["warping_error"] == 0
    if all(section.any() for section in truth.reshape(-1, *truth.shape[-2:])):
        assert scores["rand_error"] == pytest.approx(0)
        assert rand_error(truth, truth, variant="classic") == 0


@given(pairs())
@LAWS
def test_scores_stay_in_their_range(pair):
    for value in isbi2012(*pair).values():
        assert -1e-12 <= value <= 1 + 1e-12


@given(pairs())
@LAWS
def test_turning_the_section_changes_no_order_free_score(pair):
    turned = [array.swapaxes(-1, -2) for array in pair]
    assert pixel_error(*turned) == pixel_error(*pair)
    assert rand_error(*turned) == pytest.approx(rand_error(*pair))


@given(pairs())
@LAWS
def test_truth_of_0_and_255_is_truth_of_0_and_1(pair):
    truth, result = pair
    scores = isbi2012(truth, result)
    assert isbi2012(truth * np.uint8(255), result) == scores
    assert isbi2012(truth.astype(bool), result.astype(np.float64)) == scores


@given(pairs(), st.data())
@LAWS
def test_ignored_pixels_are_never_scored(pair, data):
    truth, result = pair
    unknown = data.draw(hnp.arrays(bool, truth.shape))
    other = data.draw(hnp.arrays(np.float32, truth.shape, elements=levels.map(np.float32)))
    truth = np.where(unknown, IGNORE, truth.astype(np.int16))
    assert isbi2012(truth, np.where(unknown, other, result)) == isbi2012(truth, result)


def test_a_stack_is_scored_like_its_section():
    assert isbi2012(halves()[None], halves(gap=2)[None]) == isbi2012(halves(), halves(gap=2))


def test_8_bit_probabilities_are_divided_and_said():
    with pytest.warns(EightBitWarning, match="divided by 255"):
        assert pixel_error(halves(), np.uint8(200) * halves(gap=1)) == pixel_error(halves(), halves(gap=1) * 0.7)
    assert pixel_error(halves(), halves(gap=1)) > 0, "0 and 1 are a mask, taken without a word"


@pytest.mark.parametrize("score", [isbi2012, pixel_error, rand_error, warping_error, v_rand, v_info])
@pytest.mark.parametrize(
    ("truth", "result", "error", "message"),
    [
        (np.ones((4, 4), int), np.ones((4, 5)), ShapeError, r"\(4, 4\).*\(4, 5\)"),
        (np.ones((4, 4), int), np.ones((1, 4, 4)), ShapeError, r"\(4, 4\).*\(1, 4, 4\)"),
        (np.ones((2, 2, 4, 4), int), np.ones((2, 2, 4, 4)), ShapeError, "NYX"),
        (np.ones((0, 4), int), np.ones((0, 4)), ShapeError, "at least one pixel"),
        (np.ones((4, 4)), np.ones((4, 4)), LabelError, "float64"),
        (np.ones((4, 4), int), np.full((4, 4), np.nan), ImageError, "16 NaN"),
        (np.ones((4, 4), int), np.full((4, 4), -0.5), ImageError, "-0.5"),
        (np.ones((4, 4), int), np.full((4, 4), 1.5), ImageError, "1.5"),
        (np.ones((4, 4), int), np.full((4, 4), 57), ImageError, "57"),
        (np.ones((4, 4), int), np.full((4, 4), np.inf), ImageError, "inf"),
        (np.ones((4, 4), int), np.ones((4, 4), complex), ImageError, "complex"),
    ],
)
def test_bad_input_is_refused_with_a_reason(score, truth, result, error, message):
    with pytest.raises(error, match=message):
        score(truth, result)


def test_unknown_variant():
    with pytest.raises(ConfigError, match=r"2012.*'2013'"):
        rand_error(halves(), halves(), variant="2013")
