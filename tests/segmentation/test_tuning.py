"""Rules are found that undo what was done to the probabilities."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from biounet.config.object_rules import ObjectRules
from biounet.core.errors import ConfigError, DatasetError, LabelError, ShapeError
from biounet.data.subset import spread_crops
from biounet.data.targets import interior_border
from biounet.metrics import match_objects
from biounet.segmentation import label_elevation, score_objects, segment_objects, tune_rules


def drawn_cells(seed):
    """A lattice of squares that touch, and blurred probabilities of their interior and border."""
    cells = np.pad(np.kron(np.arange(1, 10).reshape(3, 3), np.ones((12, 12), int)), 6)
    target = interior_border(cells)
    noise = np.random.default_rng(seed).normal(0, 0.05, (3, *cells.shape))
    raw = np.stack([gaussian_filter((target == number).astype(float), 1.5) for number in range(3)]) + noise
    raw = np.clip(raw, 0.001, None)
    return (raw / raw.sum(axis=0)).astype(np.float32), cells


@pytest.mark.parametrize("metric", ["ap", "seg"])
def test_tuned_rules_are_better_and_the_same_each_time(metric):
    pairs = [drawn_cells(0), drawn_cells(1)]
    probabilities, cells = zip(*pairs, strict=True)
    begin = ObjectRules(target="border", seed=0.05)
    rules, score = tune_rules(probabilities, cells, begin, metric=metric)
    assert (rules, score) == tune_rules(probabilities, cells, begin, metric=metric)
    results = [match_objects(truth, segment_objects(p, rules)) for p, truth in pairs]
    assert score_objects(results, metric=metric) == score > 0.8
    before = [match_objects(truth, segment_objects(p, begin)) for p, truth in pairs]
    assert score_objects(before, metric=metric) < score
    assert rules.target == "border"


def test_probabilities_may_come_one_by_one():
    probabilities, cells = zip(*(drawn_cells(seed) for seed in range(2)), strict=True)
    begin = ObjectRules(target="border")
    assert tune_rules(iter(probabilities), cells, begin, quick=True) == tune_rules(
        probabilities, cells, begin, quick=True
    )


def test_of_large_images_parts_are_enough(monkeypatch):
    monkeypatch.setitem(spread_crops.__kwdefaults__, "least", 48**2)
    seen = []

    def label(elevation, rules):
        seen.append(elevation.shape)
        return label_elevation(elevation, rules)

    monkeypatch.setattr("biounet.segmentation.tuning_part.label_elevation", label)
    tiles = [drawn_cells(seed) for seed in range(16)]
    cells = [np.where(truth > 0, truth + 9 * number, 0) for number, (_, truth) in enumerate(tiles)]
    image = np.block([[tiles[4 * y + x][0] for x in range(4)] for y in range(4)])
    truth = np.block([[cells[4 * y + x] for x in range(4)] for y in range(4)])
    assert image.shape[1:] == truth.shape == (192, 192)
    begin = ObjectRules(target="border", seed=0.05)
    rules, score = tune_rules([image], [truth], begin, pixels=truth.size / 2)
    assert set(seen) == {(96, 96)}  # eight objects of 12 pixels side by side
    matching = match_objects(truth, segment_objects(image, rules))
    assert abs(score_objects([matching], metric="ap") - score) < 0.05
    before = match_objects(truth, segment_objects(image, begin))
    assert score_objects([before], metric="ap") < score
    assert (rules, score) == tune_rules([image], [truth], begin, pixels=truth.size / 2)


def test_unknown_pixels_are_not_scored():
    probabilities, cells = drawn_cells(0)
    rules, _ = tune_rules([probabilities], [cells], ObjectRules(target="border"))
    wide = np.concatenate([probabilities, 1 - probabilities], axis=2)[:, :, : cells.shape[1] * 2]
    wide /= wide.sum(axis=0)
    half = np.concatenate([cells, np.full_like(cells, -1)], axis=1)
    assert tune_rules([wide], [half], ObjectRules(target="border"))[1] > 0.8
    assert rules.foreground > 0


def test_scores_by_hand():
    truth = np.array([1, 1, 1, 1, 0, 2])
    half = match_objects(truth, np.array([1, 1, 1, 0, 0, 0]))  # IoU 3/4, and one missed
    assert score_objects([half], metric="seg") == 3 / 8
    assert score_objects([half], metric="ap") == pytest.approx(6 / 9 / 2)
    perfect = match_objects(truth, truth)
    of_images = (6 / 9 / 2 + 1) / 2
    together = (6 * 3 / 4 + 3 * 2 / 5) / 9  # three of four found up to 3/4, above it two, one wrong and two missed
    assert score_objects([half, perfect], metric="ap") == pytest.approx((of_images + together) / 2)
    assert score_objects([half, perfect], metric="seg") == pytest.approx((3 / 4 + 0 + 2) / 4)


def test_wrong_input_is_refused():
    probabilities, cells = drawn_cells(0)
    rules = ObjectRules(target="border")
    with pytest.raises(ConfigError, match="ap"):
        tune_rules([probabilities], [cells], rules, metric="dice")
    with pytest.raises(LabelError, match="integers"):
        tune_rules([probabilities], [cells.astype(float)], rules)
    with pytest.raises(ShapeError, match="pair them"):
        tune_rules([probabilities], [cells[1:]], rules)
    with pytest.raises(DatasetError, match="none"):
        tune_rules([probabilities], [cells * 0], rules)


def test_an_object_has_a_seed_of_its_own_height():
    # The first pair is told apart by high seeds only, the second pair is there for low ones only.
    interior = np.array([[0.9, 0.55, 0.55, 0.9, 0.0, 0.4, 0.1, 0.1, 0.4, 0.0]])
    background = (interior == 0).astype(float)
    truth = np.array([[1, 1, 2, 2, 0, 3, 3, 4, 4, 0]])
    probabilities = np.stack([background, interior, 1 - interior - background])
    tuned, score = tune_rules([probabilities], [truth], ObjectRules(target="border"))
    assert score == 1
    assert tuned.second_seed is not None
    assert 0.1 < tuned.second_seed <= 0.4 < 0.55 < tuned.seed <= 0.9
    quick = tune_rules([probabilities], [truth], ObjectRules(target="border"), quick=True)
    assert tune_rules([probabilities], [truth], ObjectRules(target="border"), deadline=0.0) == quick
    assert quick[1] < score  # which after the deadline nobody looks for


def test_what_is_doubtful_all_over_is_no_object():
    # Cells of two sure halves with a doubtful middle, and hills as large that are doubtful all over.
    cell = np.full((6, 9), 0.95)
    cell[:, 3:6] = 0.5
    interior = np.full((20, 48), 0.02)
    truth = np.zeros(interior.shape, int)
    for number, left in enumerate((2, 14), start=1):
        interior[2:8, left : left + 9], truth[2:8, left : left + 9] = cell, number
        interior[11:17, left : left + 9] = 0.58
    rules, score = tune_rules([np.stack([1 - interior, interior])], [truth], ObjectRules(foreground=0.4))
    assert score == 1
    assert rules.seed <= 0.5 < 0.58 < rules.peak


@pytest.mark.parametrize("quick", [True, False])
def test_a_network_that_has_just_begun_has_no_peaks(quick):
    interior = np.array([[0.0, 0.55, 0.6, 0.55, 0.0, 0.6]])
    begin = ObjectRules(seed=0.6, peak=0.7)
    rules, score = tune_rules(
        [np.stack([1 - interior, interior])], [np.array([[0, 1, 1, 1, 0, 2]])], begin, quick=quick
    )
    assert (rules.peak, score) == (0, 1)


def test_what_is_better_by_chance_stays_as_it_was():
    # A ridge of 0.55 parts two cells in three images and runs through one in three: there it is chance.
    ridge = np.array([[0.9, 0.9, 0.55, 0.9, 0.9, 0.0]])
    apart, whole = np.array([[1, 1, 1, 2, 2, 0]]), np.array([[1, 1, 1, 1, 1, 0]])
    probabilities = np.stack([1 - ridge, ridge])
    for truths, seed in (([apart, whole] * 3, 0.5), ([apart] * 6, 0.65)):
        tuned, _ = tune_rules([probabilities] * 6, truths, ObjectRules())
        assert tuned.seed == seed


def circles(sizes, *, joined):
    """Cones on a row, the heights of which fall to the rim, and their numbers; two of them overlap if asked."""
    height, x = np.zeros((60, 40 * len(sizes))), 20
    truth = np.zeros(height.shape, int)
    rows, columns = np.indices(height.shape)
    for number, radius in enumerate(sizes, start=1):
        centre = x - (joined and number == 2) * 14
        away = np.hypot(rows - 30, columns - centre)
        truth[(away < radius) & (truth == 0)] = number
        height = np.maximum(height, np.clip(1.4 - away / radius, 0, 1) * (away < radius))
        x += 40
    return np.stack([1 - height, height]).astype(np.float32), truth


@pytest.mark.parametrize(("count", "told"), [(9, True), (7, False)])
def test_sizes_of_objects_tell_the_largest_seed(count, told):
    sizes = [15, 16, 15, 14, 16, 15, 14, 15, 16][:count]
    probabilities, truth = circles(sizes, joined=False)
    rules, score = tune_rules([probabilities], [truth], ObjectRules())
    assert score > 0.9
    assert (rules.largest_seed is not None) == told
    assert tune_rules([probabilities], [truth], ObjectRules(), quick=True)[0].largest_seed is None
    if told:
        low = rules.model_copy(update={"seed": rules.foreground, "peak": 0.0, "second_seed": None})
        pair, of_pair = circles(sizes, joined=True)
        assert segment_objects(pair, low).max() == of_pair.max()
        assert segment_objects(pair, low.model_copy(update={"largest_seed": None})).max() < of_pair.max()


def test_a_largest_seed_that_makes_objects_worse_is_left_out():
    # Dumbbells: single objects with two peaks, larger than the discs beside them.
    probabilities, truth = circles([15] * 3 + [8] * 24, joined=True)
    truth[truth == 2] = 1
    rules, _ = tune_rules([probabilities], [truth], ObjectRules())
    assert rules.largest_seed is None
    cut = rules.model_copy(update={"largest_seed": 600})
    assert segment_objects(probabilities, cut).max() > segment_objects(probabilities, rules).max() == truth.max() - 1
