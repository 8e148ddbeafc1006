"""Scores of validation by hand: thresholds, Dice, and separated cells."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from biounet.config.object_rules import ObjectRules
from biounet.core.geometry import Geometry
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.normalize import Normalization
from biounet.training.time_budget import TimeToFinalise
from biounet.training.validation import THOROUGH_SEARCH, Predictions, Validation, predict, score


class Echo(nn.Module):
    """Two classes: class 1 has the odds e to one where it is bright, one to e where it is dark."""

    geometry = Geometry((1, 1), (0, 0), (0, 0), padded=True)

    def forward(self, image):
        return torch.cat([torch.zeros_like(image), torch.where(image > 0, 1.0, -1.0)], dim=1)


def held_out(*images, **options):
    return Validation(images, torch.device("cpu"), torch.float32, **options)


def validation(image, target, **options):
    return held_out(
        AnnotatedImage("a", np.array(image, np.float32)[None], np.array(target), np.array(target)), **options
    )


def validate(net, images):
    return score(predict(net, images), images)


def test_scores_by_hand():
    result = validate(Echo(), validation([[1, 1, -1, -1]], [[1, 0, 0, -1]]))
    scores = result.scores
    # Class 1: once right, once wrongly given, 2 * 1 / (1 + 2); class 0: once right, once missed; unknown: not counted.
    assert result.confusion.tolist() == [[1, 1], [0, 1]]
    assert scores["dice_1"] == scores["dice_0"] == pytest.approx(2 / 3)
    assert scores["score"] == pytest.approx(2 / 3)
    sure, unsure = np.log1p(np.exp(-1)), np.log1p(np.exp(1))
    assert scores["log_loss"] == pytest.approx((2 * sure + unsure) / 3, rel=1e-5)


def test_a_class_that_does_not_occur_is_not_in_the_mean():
    scores = validate(Echo(), validation([[-1, -1]], [[0, 0]])).scores
    assert scores["score"] == 1
    assert np.isnan(scores["dice_1"])


def test_without_held_out_images_every_network_is_kept():
    result = validate(Echo(), held_out())
    assert (result.scores, result.seconds, result.finalising) == ({"score": 0.0}, 0.0, TimeToFinalise())


class Odds(Echo):
    """Two classes: the image is the log odds of class 1."""

    def forward(self, image):
        return torch.cat([torch.zeros_like(image), image], dim=1)


def log_odds(probabilities):
    return np.log(np.array(probabilities) / (1 - np.array(probabilities)))


def test_the_threshold_is_the_one_that_divides_the_classes():
    scores = validate(Odds(), validation(log_odds([[0.66, 0.72, 0.72, 0.9]]), [[0, 1, 1, 1]])).scores
    assert scores["score"] == 1
    assert scores["threshold"] == 0.7


def test_of_equally_good_thresholds_the_middle_one_is_taken():
    scores = validate(Echo(), validation([[1, -1]], [[1, 0]])).scores
    assert (scores["score"], scores["threshold"]) == (1, 0.5)


def test_half_of_the_score_is_for_separating_cells():
    # A gap in the membrane is one pixel of 33 to Dice, and joins two cells of 16 px.
    cells = np.ones((1, 33), int)
    cells[0, 16] = 0
    numbered = np.cumsum(cells == 0, axis=1) + 1
    images = validation(np.ones((1, 33)), cells, objects=lambda image: np.where(image.target > 0, numbered, 0))
    scores = validate(Echo(), images).scores
    together, split, merge = 2 * 16 * 15, 2 * 16 * 15, 32 * 31
    assert scores["rand"] == pytest.approx(2 * together / (split + merge))
    dice = (0 + 2 * 32 / 65) / 2
    assert scores["score"] == pytest.approx((dice + scores["rand"]) / 2)


def test_half_of_the_score_is_for_the_objects_that_rules_make():
    # Three cells that touch become one object: none is right at an IoU of a half, though every pixel is.
    cells = np.array([[1, 1, 2, 2, 3, 3, 0]])
    item = AnnotatedImage("a", np.where(cells > 0, 9.0, -9.0).astype(np.float32)[None], cells, np.minimum(cells, 1))
    scores = validate(Odds(), held_out(item, rules=ObjectRules())).scores
    assert (scores["ap"], scores["score"]) == (0, 0.5)


def test_objects_are_scored_at_the_best_of_a_few_thresholds():
    # Between the two cells the network is less sure: a seed above 0.6 separates them, one of 0.5 does not.
    cells = np.repeat([[1, 2, 0]], [10, 10, 1], axis=1)
    odds = log_odds([[*[0.9] * 9, 0.6, 0.6, *[0.9] * 9, 0.1]])
    item = AnnotatedImage("a", odds.astype(np.float32)[None], cells, np.minimum(cells, 1))
    result = validate(Odds(), held_out(item, rules=ObjectRules()))
    assert (result.scores["ap"], result.scores["score"], result.per_image[0]["found"]) == (1, 1, 2)


def test_a_network_that_is_sure_of_no_seed_finds_objects_all_the_same():
    # Eight levels of distance, of which the network gives the lowest three: no seed is above a level of 0.6.
    cells = np.repeat([[1, 0, 2, 0]], [10, 5, 10, 5], axis=1)
    given = np.zeros((9, 1, 30), np.float32)
    given[0], given[3] = np.where(cells, 0.1, 0.6), np.where(cells, 0.9, 0.4)  # nor of the background
    item = AnnotatedImage("a", np.zeros((1, 1, 30), np.float32), cells, 3 * np.minimum(cells, 1))
    images = held_out(item, rules=ObjectRules(target="distance", seed=0.6, peak=0.7))
    assert score(Predictions([given], 0.0), images).per_image[0]["found"] == 2


def test_objects_are_counted_image_by_image_at_the_rules_in_use():
    # Two cells found as one, one missed, one found; unlabelled pixels do not count.
    cells = np.array([[1, 1, 0, 2, 2, 3, 3, 0, 4, 4, 4, -1, -1]])
    called = np.array([[0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1]])
    image = np.where(called > 0, 9.0, -9.0).astype(np.float32)[None]
    result = validate(Odds(), held_out(AnnotatedImage("a", image, cells, np.minimum(cells, 1)), rules=ObjectRules()))
    (counts,) = (dict(scores) for scores in result.per_image)
    assert counts.pop("ap") == pytest.approx(result.scores["ap"])
    # The merged pair has an IoU of a half with either cell: one of the two counts as found at that.
    assert counts == {"objects": 4, "predicted": 2, "found": 2, "missed": 1, "false": 0, "merges": 1, "splits": 0}
    assert result.confusion.tolist() == [[2, 0], [2, 7]]
    assert [numbers.tolist() for numbers in result.objects] == [[[0, 0, 0, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2]]]
    assert result.objects[0].dtype == np.uint8


def test_images_without_a_known_object_have_no_mistakes_but_false_ones():
    for cells, false in (([[-1, -1, 0]], 0), ([[0, 0, 0]], 1)):
        item = AnnotatedImage("a", np.array([[[9.0, 9.0, -9.0]]], np.float32), np.array(cells), np.array(cells))
        result = validate(Odds(), held_out(item, rules=ObjectRules()))
        assert result.per_image[0] == {
            "ap": float(not false),
            "objects": 0,
            "predicted": false,
            "found": 0,
            "missed": 0,
            "false": false,
            "merges": 0,
            "splits": 0,
        }


def test_the_end_takes_as_much_longer_as_there_are_pixels():
    """A clock that ticks once per reading: every step takes one second."""
    images = validation([[1, 1, -1, -1]], [[1, 0, 0, 0]], rules=ObjectRules())
    ends = []
    for pixels in (0, 4, 8):
        ticks = iter(range(100))
        counted = replace(images, tuning_pixels=pixels, statistics_pixels=pixels, clock=lambda ticks=ticks: next(ticks))
        result = validate(Echo(), counted)
        assert result.seconds == 1 + 3  # to predict; to score, with two readings of the clock around the quick search
        ends.append(result.finalising)
    # Another validation, and the prediction of the held-out images and of as many, and twice as many, training images.
    assert [end.needed for end in ends] == [4 * (2 + times) for times in (0, 1, 2)]
    assert [end.search for end in ends] == [THOROUGH_SEARCH * (1 + times) for times in (0, 1, 2)]
    assert [end.statistics for end in ends] == [0, 1, 2]


def test_where_nothing_is_calibrated_the_end_takes_no_time():
    unlabelled = validation([[1.0, 2.0, 3.0]], [[-1, -1, -1]])
    drawn = AnnotatedImage("a", np.ones((1, 1, 3), np.float32), np.ones((1, 1, 3), np.float32), np.ones((1, 3), int))
    for images, classes in ((unlabelled, 2), (held_out(drawn, target_normalization=Normalization()), 1)):
        result = score(Predictions([np.zeros((classes, 1, 3), np.float32)], 5.0), images)
        assert result.seconds >= 5.0
        assert result.finalising == TimeToFinalise()
