"""Scores of validation by hand: thresholds, Dice, and cells told apart."""

import numpy as np
import pytest
import torch
from torch import nn

from biounet.config.object_rules import ObjectRules
from biounet.core.geometry import Geometry
from biounet.data.annotated_image import AnnotatedImage
from biounet.inference.overlap_tile import predict_array
from biounet.report.run_report import found_with, pictures_of
from biounet.segmentation import segment_objects
from biounet.training.validation import Validation

CPU = {"device": torch.device("cpu"), "precision": torch.float32}


class Echo(nn.Module):
    """Two classes: class 1 has the odds e to one where it is bright, one to e where it is dark."""

    geometry = Geometry((1, 1), (0, 0), (0, 0), padded=True)

    def forward(self, image):
        return torch.cat([torch.zeros_like(image), torch.where(image > 0, 1.0, -1.0)], dim=1)


def validation(image, target, **options):
    item = AnnotatedImage("a", np.array(image, np.float32)[None], np.array(target), np.array(target))
    return Validation([item], torch.device("cpu"), torch.float32, **options)


def test_scores_by_hand():
    scored = validation([[1, 1, -1, -1]], [[1, 0, 0, -1]])
    scores = scored(Echo())
    # Class 1: once right, once wrongly given, 2 * 1 / (1 + 2); class 0: once right, once missed; unknown: not counted.
    assert scored.confusion.tolist() == [[1, 1], [0, 1]]
    assert scores["dice_1"] == scores["dice_0"] == pytest.approx(2 / 3)
    assert scores["score"] == pytest.approx(2 / 3)
    sure, unsure = np.log1p(np.exp(-1)), np.log1p(np.exp(1))
    assert scores["log_loss"] == pytest.approx((2 * sure + unsure) / 3, rel=1e-5)


def test_a_rehearsal_scores_what_a_network_would_say_that_knows_the_truth():
    scored = validation([[1, 1, -1, -1]], [[1, 0, 0, -1]])
    scored.rehearse(Echo())
    assert scored.confusion.tolist() == [[2, 0], [0, 1]]
    assert scored.probabilities[0].tolist() == [[[0, 1, 1, 1]], [[1, 0, 0, 0]]]  # what nobody knows is background


def test_a_class_that_does_not_occur_is_not_in_the_mean():
    scores = validation([[-1, -1]], [[0, 0]])(Echo())
    assert scores["score"] == 1
    assert np.isnan(scores["dice_1"])


def test_without_held_out_images_every_network_is_kept():
    assert Validation([], torch.device("cpu"), torch.float32)(Echo()) == {"score": 0.0}


class Odds(Echo):
    """Two classes: the image is the log odds of class 1."""

    def forward(self, image):
        return torch.cat([torch.zeros_like(image), image], dim=1)


def log_odds(probabilities):
    return np.log(np.array(probabilities) / (1 - np.array(probabilities)))


def test_the_threshold_is_the_one_that_divides_the_classes():
    scores = validation(log_odds([[0.66, 0.72, 0.72, 0.9]]), [[0, 1, 1, 1]])(Odds())
    assert scores["score"] == 1
    assert scores["threshold"] == 0.7


def test_of_thresholds_that_do_as_well_the_middle_one_is_kept():
    scores = validation([[1, -1]], [[1, 0]])(Echo())
    assert (scores["score"], scores["threshold"]) == (1, 0.5)


def test_half_of_the_score_is_for_telling_cells_apart():
    # A gap in the membrane is one pixel of 33 to Dice, and joins two cells of 16 px.
    cells = np.ones((1, 33), int)
    cells[0, 16] = 0
    numbered = np.cumsum(cells == 0, axis=1) + 1
    scored = validation(np.ones((1, 33)), cells, objects=lambda item: np.where(item.target > 0, numbered, 0))
    scores = scored(Echo())
    together, split, merge = 2 * 16 * 15, 2 * 16 * 15, 32 * 31
    assert scores["rand"] == pytest.approx(2 * together / (split + merge))
    dice = (0 + 2 * 32 / 65) / 2
    assert scores["score"] == pytest.approx((dice + scores["rand"]) / 2)


def test_half_of_the_score_is_for_the_objects_that_rules_make():
    # Three cells that touch become one object: none is right at an IoU of a half, though every pixel is.
    cells = np.array([[1, 1, 2, 2, 3, 3, 0]])
    item = AnnotatedImage("a", np.where(cells > 0, 9.0, -9.0).astype(np.float32)[None], cells, np.minimum(cells, 1))
    scored = Validation([item], torch.device("cpu"), torch.float32, rules=ObjectRules())
    scores = scored(Odds())
    assert (scores["ap"], scores["score"]) == (0, 0.5)


def test_objects_are_scored_at_the_best_of_a_few_thresholds():
    # Between the two cells the network is less sure: a seed above 0.6 tells them apart, one of 0.5 does not.
    cells = np.array([[1, 1, 1, 2, 2, 2, 0]])
    seen = log_odds([[0.9, 0.9, 0.6, 0.6, 0.9, 0.9, 0.1]])
    item = AnnotatedImage("a", seen.astype(np.float32)[None], cells, np.minimum(cells, 1))
    scores = Validation([item], torch.device("cpu"), torch.float32, rules=ObjectRules())(Odds())
    assert (scores["ap"], scores["score"]) == (1, 1)


def test_objects_are_counted_image_by_image_at_the_rules_in_use():
    # Two cells found as one, one missed, one found; what nobody labelled counts for nobody.
    cells = np.array([[1, 1, 0, 2, 2, 3, 3, 0, 4, 4, 4, -1, -1]])
    called = np.array([[0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1]])
    items = [
        AnnotatedImage(name, np.where(given > 0, 9.0, -9.0).astype(np.float32)[None], truth, np.minimum(truth, 1))
        for name, given, truth in (("a", called, cells), ("b", cells, cells))
    ]
    scored = Validation(items[:1], torch.device("cpu"), torch.float32, rules=ObjectRules())
    scores = scored(Odds())
    (counts,) = scored.each
    assert counts.pop("ap") == pytest.approx(scores["ap"])
    # The merged pair has an IoU of a half with either cell: one of the two counts as found at that.
    assert counts == {"objects": 4, "found": 2, "missed": 1, "false": 0, "merges": 1, "splits": 0}
    assert scored.confusion.tolist() == [[2, 0], [2, 7]]
    assert [numbers.tolist() for numbers in scored.found] == [[[0, 0, 0, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2]]]
    assert scored.found[0].dtype == np.uint8
    scored.finalise(Odds())
    np.testing.assert_array_equal(scored.found[0], segment_objects(scored.probabilities[0], scored.rules_in_use))


def test_a_report_is_given_objects_where_rules_make_them_else_classes():
    cells = np.array([[1, 1, 0, 2, 2]])
    item = AnnotatedImage("a", np.where(cells > 0, 9.0, -9.0).astype(np.float32)[None], cells, np.minimum(cells, 1))
    scored = Validation([item], torch.device("cpu"), torch.float32, rules=ObjectRules())
    scored(Odds())
    (picture,) = pictures_of(scored)
    assert picture.objects
    assert picture.truth is item.labels
    assert picture.labels is scored.found[0]
    assert found_with(scored, ObjectRules(seed=0.6)).startswith("2 of 2 found, with foreground 0.5, seed 0.6, least")
    classes = Validation([item], torch.device("cpu"), torch.float32)
    classes(Odds())
    (picture,) = pictures_of(classes)
    assert not picture.objects
    assert picture.truth is item.target


def test_images_without_a_known_object_have_no_mistakes_but_false_ones():
    for cells, false in (([[-1, -1, 0]], 0), ([[0, 0, 0]], 1)):
        item = AnnotatedImage("a", np.array([[[9.0, 9.0, -9.0]]], np.float32), np.array(cells), np.array(cells))
        scored = Validation([item], torch.device("cpu"), torch.float32, rules=ObjectRules())
        scored(Odds())
        assert scored.each[0] == {
            "ap": float(not false),
            "objects": 0,
            "found": 0,
            "missed": 0,
            "false": false,
            "merges": 0,
            "splits": 0,
        }


def test_rules_are_tuned_on_what_the_network_predicts():
    cells = np.array([[1, 1, 1, 1, 2, 2, 2, 2, 0]])
    seen = log_odds([[0.9, 0.9, 0.9, 0.6, 0.6, 0.9, 0.9, 0.9, 0.1]])
    item = AnnotatedImage("a", seen.astype(np.float32)[None], cells, np.minimum(cells, 1))
    scored = Validation([item], torch.device("cpu"), torch.float32, rules=ObjectRules())
    calibration, learnt = scored.finalise(Odds())
    assert calibration.temperature < 1  # all is right, and said with much doubt
    calibrated = predict_array(Odds(), item.image, **CPU, temperature=learnt["temperature"])
    assert learnt["smoothing"] == 0
    np.testing.assert_allclose(scored.probabilities, [calibrated], atol=1e-5)
    low, high = calibrated[1, 0, 3], calibrated[1, 0, 0]
    assert learnt["rules"].foreground < low <= learnt["rules"].seed <= high  # of calibrated probabilities
    np.testing.assert_array_equal(segment_objects(calibrated, learnt["rules"]), cells)


def test_scores_are_smoothed_before_all_else_is_settled():
    """A network that is right of a disc but for noise from pixel to pixel."""
    truth = (np.hypot(*(np.indices((48, 48)) - 24)) < 15).astype(np.int64)
    seen = 4.0 * truth - 2 + np.random.default_rng(0).normal(0, 3, truth.shape)
    scored = validation(seen, truth)
    before = scored(Odds())
    calibration, learnt = scored.finalise(Odds())
    assert calibration.smoothing == learnt["smoothing"] > 0
    assert f"scores are smoothed {learnt['smoothing']} times; " in str(calibration)
    after = {name: learnt[name] for name in ("smoothing", "temperature")}
    predicted = predict_array(Odds(), scored.items[0].image, **CPU, **after)
    np.testing.assert_allclose(scored.probabilities, [predicted], atol=1e-5)
    results = [predict_array(Odds(), scored.items[0].image, **CPU)[1] > before["threshold"]]
    results.append(predicted[1] > learnt["threshold"])
    wrong, less_wrong = ((result != truth).mean() for result in results)
    assert less_wrong < wrong / 2


def test_a_threshold_divides_calibrated_probabilities_as_it_divided_those_before():
    seen = log_odds([[0.66, 0.72, 0.72, 0.9, 0.9]])
    scored = validation(seen, [[0, 1, 1, 1, 0]])
    calibration, learnt = scored.finalise(Odds())
    assert learnt.keys() == {"smoothing", "temperature", "threshold"}
    assert learnt["smoothing"] == 0
    assert calibration.temperature == learnt["temperature"] != 1
    raw = predict_array(Odds(), scored.items[0].image, **CPU)[1]
    calibrated = predict_array(Odds(), scored.items[0].image, **CPU, temperature=learnt["temperature"])[1]
    np.testing.assert_array_equal(calibrated > learnt["threshold"], raw > 0.7)


def test_without_objects_to_tune_on_rules_stay_as_they_are():
    empty = np.zeros((1, 4), np.int64)
    item = AnnotatedImage("a", np.zeros((1, 1, 4), np.float32), empty, empty)
    scored = Validation([item], torch.device("cpu"), torch.float32, rules=ObjectRules())
    assert scored.finalise(Odds())[1]["rules"] == ObjectRules()


def test_rules_are_tuned_on_images_seen_in_training_too():
    pair = np.array([[1, 1, 1, 1, 2, 2, 2, 2, 0]])
    # Nothing tells which seeds part cells that touch, unless a pair of them has been seen.
    items = [
        AnnotatedImage("a", log_odds(given).astype(np.float32)[None], cells, np.minimum(cells, 1))
        for given, cells in (
            ([[0.9, 0.9, 0.9, 0.9, 0.1]], np.array([[1, 1, 1, 1, 0]])),
            ([[0.9, 0.9, 0.9, 0.6, 0.6, 0.9, 0.9, 0.9, 0.1]], pair),
        )
    ]
    for seen, objects in (([], 1), (items[1:], 2)):
        scored = Validation(
            items[:1], torch.device("cpu"), torch.float32, rules=ObjectRules(), seen=seen, seen_pixels=9 * len(seen)
        )
        _, learnt = scored.finalise(Odds())
        calibrated = predict_array(Odds(), items[1].image, **CPU, temperature=learnt["temperature"])
        assert segment_objects(calibrated, learnt["rules"]).max() == objects
        assert len(scored.probabilities) == 1  # what was seen is no part of the report


@pytest.mark.parametrize(("tuned", "objects"), [(9, [2, 2]), (18, [1, 1])])
def test_rules_are_tuned_on_a_part_of_many_held_out_pixels(monkeypatch, tuned, objects):
    monkeypatch.setattr("biounet.training.validation.TUNED", tuned)
    odds = log_odds([[0.9, 0.9, 0.9, 0.6, 0.6, 0.9, 0.9, 0.9, 0.1]]).astype(np.float32)[None]
    truths = (np.array([[1, 1, 1, 1, 2, 2, 2, 2, 0]]), np.array([[1, 1, 1, 1, 1, 1, 1, 1, 0]]))
    items = [AnnotatedImage(f"{number}", odds, cells, np.minimum(cells, 1)) for number, cells in enumerate(truths)]
    scored = Validation(items, torch.device("cpu"), torch.float32, rules=ObjectRules())
    scored.finalise(Odds())
    assert [int(found.max()) for found in scored.found] == objects  # the second image tells against the first


def test_settling_is_expected_to_take_as_much_longer_as_there_are_pixels():
    scored = validation([[1, 1, -1, -1]], [[1, 0, 0, 0]], rules=ObjectRules())
    scored(Echo())
    seconds = []
    for pixels in (0, 4, 8):
        scored.seen_pixels = pixels
        seconds.append(scored.finalising_seconds())
    for without, some, twice in zip(*seconds, strict=True):
        assert 0 < without < some
        assert twice - some == pytest.approx(some - without)
    assert scored.prediction_seconds(8) == 2 * scored.prediction_seconds(4) > 0  # to the bit: twice as much


def test_a_network_that_was_just_validated_is_not_asked_again():
    scored = validation([[0.2, 0.8, 0.7, 0.1]], [[0, 1, 1, 0]])
    net, asked = Echo(), []
    net.register_forward_hook(lambda *_: asked.append(1))
    scored(net)
    once = len(asked)
    calibrations = [scored.finalise(net)]
    assert len(asked) == once
    calibrations.append(scored.finalise(net))  # what it says is calibrated by now, so it has to
    assert len(asked) == 2 * once
    scored(Echo())
    calibrations.append(scored.finalise(net))
    assert len(asked) == 3 * once
    assert calibrations[0] == calibrations[1] == calibrations[2]
