"""Tests of the end of a run: smoothing, temperature, threshold, and rules of objects, worked by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from biounet.config.object_rules import ObjectRules
from biounet.core.components import label_objects
from biounet.core.geometry import Geometry
from biounet.data.annotated_image import AnnotatedImage
from biounet.inference.overlap_tile import predict_array
from biounet.segmentation import close_gaps, segment_objects
from biounet.training.finalise import close_predictions, finalise
from biounet.training.validation import Validation, predict, score, score_classes

CPU = {"device": torch.device("cpu"), "precision": torch.float32}


class Odds(nn.Module):
    """Two classes: the image is the log odds of class 1."""

    geometry = Geometry((1, 1), (0, 0), (0, 0), padded=True)

    def forward(self, image):
        return torch.cat([torch.zeros_like(image), image], dim=1)


def log_odds(probabilities):
    return np.log(np.array(probabilities) / (1 - np.array(probabilities)))


def annotated(odds, labels, name="a"):
    return AnnotatedImage(name, np.array(odds, np.float32)[None], np.array(labels), np.minimum(labels, 1))


def held_out(*images, **options):
    return Validation(images, **CPU, **options)


def finalised(validation, net=None):
    net = net or Odds()
    return finalise(net, predict(net, validation).probabilities, validation)


def test_rules_are_tuned_on_what_the_network_predicts():
    cells = np.array([[1, 1, 1, 1, 2, 2, 2, 2, 0]])
    item = annotated(log_odds([[0.9, 0.9, 0.9, 0.6, 0.6, 0.9, 0.9, 0.9, 0.1]]), cells)
    end = finalised(held_out(item, rules=ObjectRules()))
    rules = end.settings["rules"]
    assert end.calibration.temperature < 1  # every pixel is right, with too low a probability
    calibrated = predict_array(Odds(), item.image, **CPU, temperature=end.settings["temperature"])
    assert end.settings["smoothing"] == 0
    np.testing.assert_allclose(end.result.probabilities, [calibrated], atol=1e-5)
    low, high = calibrated[1, 0, 3], calibrated[1, 0, 0]
    assert rules.foreground < low <= rules.seed <= high  # of calibrated probabilities
    np.testing.assert_array_equal(segment_objects(calibrated, rules), cells)
    np.testing.assert_array_equal(end.result.objects, [cells])
    assert (end.result.rules, end.result.per_image[0]["found"]) == (rules, 2)


def test_logits_are_smoothed_before_they_are_calibrated():
    """A network that finds a disc, with noise from pixel to pixel."""
    truth = (np.hypot(*(np.indices((48, 48)) - 24)) < 15).astype(np.int64)
    item = annotated(4.0 * truth - 2 + np.random.default_rng(0).normal(0, 3, truth.shape), truth)
    before = score(predict(Odds(), held_out(item)), held_out(item)).scores
    end = finalised(held_out(item))
    passes = end.settings["smoothing"]
    assert end.calibration.smoothing == passes > 0
    assert f"logits are smoothed {passes} times; " in str(end.calibration)
    after = {name: end.settings[name] for name in ("smoothing", "temperature")}
    predicted = predict_array(Odds(), item.image, **CPU, **after)
    np.testing.assert_allclose(end.result.probabilities, [predicted], atol=1e-5)
    results = [predict_array(Odds(), item.image, **CPU)[1] > before["threshold"]]
    results.append(predicted[1] > end.settings["threshold"])
    wrong, less_wrong = ((result != truth).mean() for result in results)
    assert less_wrong < wrong / 2


def test_a_threshold_divides_calibrated_probabilities_as_it_divided_those_before():
    item = annotated(log_odds([[0.66, 0.72, 0.72, 0.9, 0.9]]), [[0, 1, 1, 1, 0]])
    end = finalised(held_out(item))
    settings = end.settings
    assert settings.keys() == {"smoothing", "temperature", "threshold"}
    assert settings["smoothing"] == 0
    assert end.calibration.temperature == settings["temperature"] != 1
    raw = predict_array(Odds(), item.image, **CPU)[1]
    calibrated = predict_array(Odds(), item.image, **CPU, temperature=settings["temperature"])[1]
    np.testing.assert_array_equal(calibrated > settings["threshold"], raw > 0.7)
    assert end.result.scores["threshold"] == settings["threshold"]


def test_without_objects_to_tune_on_rules_stay_as_they_are():
    item = annotated(np.zeros((1, 4)), np.zeros((1, 4), np.int64))
    assert finalised(held_out(item, rules=ObjectRules())).settings["rules"] == ObjectRules()


def test_rules_are_tuned_on_training_images_too():
    pair = np.array([[1, 1, 1, 1, 2, 2, 2, 2, 0]])
    # Only an image with a pair of touching cells shows which seeds separate them.
    single = annotated(log_odds([[0.9, 0.9, 0.9, 0.9, 0.1]]), [[1, 1, 1, 1, 0]])
    touching = annotated(log_odds([[0.9, 0.9, 0.9, 0.6, 0.6, 0.9, 0.9, 0.9, 0.1]]), pair)
    for images, objects in (([], 1), ([touching], 2)):
        options = {"tuning_images": images, "tuning_pixels": 9 * len(images)}
        end = finalised(held_out(single, rules=ObjectRules(), **options))
        calibrated = predict_array(Odds(), touching.image, **CPU, temperature=end.settings["temperature"])
        assert segment_objects(calibrated, end.settings["rules"]).max() == objects
        assert len(end.result.probabilities) == len(end.result.objects) == 1  # training images are not reported


@pytest.mark.parametrize(("pixels", "objects"), [(9, [2, 2]), (18, [1, 1])])
def test_rules_are_tuned_on_a_part_of_many_held_out_pixels(pixels, objects):
    odds = log_odds([[0.9, 0.9, 0.9, 0.6, 0.6, 0.9, 0.9, 0.9, 0.1]])
    truths = (np.array([[1, 1, 1, 1, 2, 2, 2, 2, 0]]), np.array([[1, 1, 1, 1, 1, 1, 1, 1, 0]]))
    images = [annotated(odds, cells, name=f"{number}") for number, cells in enumerate(truths)]
    end = finalised(held_out(*images, rules=ObjectRules(), most_pixels=pixels))
    assert [int(found.max()) for found in end.result.objects] == objects  # the second image contradicts the first


def test_held_out_images_are_not_predicted_again():
    item = annotated([[0.2, 0.8, 0.7, 0.1]], [[0, 1, 1, 0]])
    net, calls = Odds(), []
    given = predict(net, held_out(item)).probabilities
    net.register_forward_hook(lambda *_: calls.append(1))
    end = finalise(net, list(given), held_out(item))
    assert calls == []
    assert end.calibration == finalise(net, list(given), held_out(item)).calibration


def predicted_with_a_gap(*, rows, truth):
    """Predictions of two cells, with a membrane between them that lacks some rows; the held-out image; its scores."""
    foreground = np.full((24, 25), 0.95, np.float32)
    foreground[:, 12] = [0.92] * rows + [0.05] * (24 - rows)
    classes = np.ones((24, 25), int)
    classes[:, 12] = truth
    validation = held_out(annotated(foreground, classes), objects=lambda image: label_objects(image.target > 0))
    probabilities = [np.stack([1 - foreground, foreground])]
    return probabilities, validation, score_classes(probabilities, validation)


def test_gaps_are_closed_where_that_separates_cells():
    given, validation, before = predicted_with_a_gap(rows=4, truth=0)
    wanted = close_gaps(given[0][1])
    end = close_predictions(given, validation, before)
    assert before.scores["rand"] < end.scores["rand"] == 1
    np.testing.assert_array_equal(given[0][1], wanted)
    np.testing.assert_allclose(given[0].sum(axis=0), 1, atol=1e-6)
    assert label_objects(given[0][1] > end.scores["threshold"]).max() == 2


def test_gaps_stay_open_where_there_is_one_cell():
    given, validation, before = predicted_with_a_gap(rows=4, truth=1)
    copy = given[0].copy()
    assert close_predictions(given, validation, before) is None
    np.testing.assert_array_equal(given[0], copy)
