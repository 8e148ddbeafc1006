"""Tests of the forecast of a run, on a clock that only steps, patches and validations move."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from biounet.config import RunConfig
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.augment import Sample
from biounet.data.patches import PatchSampler
from biounet.models import geometry_of
from biounet.training import forecast as forecasts
from biounet.training import validation as validations
from biounet.training.distributed import make_fabric
from biounet.training.forecast import forecast
from biounet.training.validation import Validation

TINY = {"model.width": 2, "model.depth": 1, "train.patch": 16, "train.batch": 1, "train.precision": "float32"}


@pytest.fixture
def measured(monkeypatch):
    """Forecast a run with held-out images of 20, 40 and 60 pixels; patches take 1 s, steps 2 s, pixels 0.1 s each.

    A network that has just begun finds no object; to score a pixel of an object takes 0.5 s.
    """
    now, asked, margin = [100.0], [], [0.0]

    def taking(seconds, work):
        def slow(*given, **options):
            now[0] += next(seconds)
            return work(*given, **options)

        return slow

    def predict_images(net, images, validation, **options):
        for image in images:
            now[0] += 0.1 * (margin[0] + image.target.size) + (5.0 if not asked else 0.0)  # compiled at first
            asked.append((image.name, validation.tuning_pixels))
            yield np.stack([np.ones_like(image.target), np.zeros_like(image.target)]).astype(np.float32)

    score_classes = validations.score_classes

    def score_slowly(probabilities, validation):
        now[0] += 0.5 * float(probabilities[0][1].sum())
        return score_classes(probabilities, validation)

    def call(*, begin=0.0, sizes=(60, 20, 40), around=0, objects=0, writing=0.0, **changes):
        config = RunConfig.preset("default").updated(TINY | changes)
        labels = torch.zeros(16, 16, dtype=torch.int64)
        samples = [Sample(torch.zeros(1, 16, 16), labels, None)]
        source = PatchSampler(samples, geometry_of(config.model), (16, 16), config.augment, config.train)
        truths = [np.repeat([[1, 0]], [objects, size - objects], axis=1) for size in sizes]
        items = [
            AnnotatedImage(str(truth.size), np.zeros((1, 1, truth.size), np.float32), truth, truth) for truth in truths
        ]
        options = {"tuning_pixels": 240, "statistics_pixels": 30, "clock": lambda: now[0]}
        validation = Validation(items, torch.device("cpu"), torch.float32, **options)
        fabric = make_fabric("cpu", "float32")
        margin[0] = around

        def write(state):
            now[0] += writing

        options = {"fabric": fabric, "begin": begin, "write": write, "clock": lambda: now[0]}
        plan = forecast(config, source, validation, **options)
        return replace(plan, memory=0), asked

    drawing, learning = iter([3.0, 1.0, 1.0, 1.0]), iter([7.0, 9.0, 2.0, 2.5])
    monkeypatch.setattr(PatchSampler, "batch", taking(drawing, PatchSampler.batch))
    monkeypatch.setattr(forecasts, "train_step", taking(learning, forecasts.train_step))
    monkeypatch.setattr(validations, "predict_images", predict_images)
    monkeypatch.setattr(validations, "score_classes", score_slowly)
    return call


def test_a_forecast_by_hand(measured):
    plan, asked = measured(begin=11.0, **{"train.steps": 100, "train.reports": 5})
    # The largest image has half of the 120 pixels: all images take 12 s, and 120 of the 240 tuning pixels belong to it.
    assert asked == [("20", 40), ("20", 40), ("60", 120)]
    assert (plan.step_seconds, plan.draw_seconds, plan.report_seconds) == pytest.approx((2.0, 1.0, 12.0))
    assert plan.begin_seconds == pytest.approx(11 + 3 + 7 - 1 - 2)  # the first step takes longer than others
    # Another validation, prediction of the held-out images and of twice as many tuning pixels, and the statistics.
    end = 12 + 12 + 24 + 3
    assert (plan.steps, plan.reports, plan.finalising_seconds) == (100, 5, pytest.approx(end))
    assert plan.minutes == pytest.approx((18 + 300 + 60 + end) / 60)


@pytest.mark.parametrize(
    ("costs", "seconds", "needed"),
    [
        ({"around": 30}, 3 * 3 + 12, 4 * 21),  # with 30 pixels more, images take 5, 7 and 9 s: not 3 times the pixels
        ({"objects": 4}, 12 + 3 * 2, 4 * 18),  # which the network has not learnt to find
        ({"writing": 4.0}, 12 + 4, 4 * 12),  # the model and a checkpoint, which are not written at the end
        ({"sizes": (60, 60, 60)}, 18, (2 + 80 / 60) * 18),
        ({"sizes": (60,)}, 6, (2 + 240 / 60) * 6),
    ],
    ids=["context", "objects", "files", "equal images", "one image"],
)
def test_a_report_takes_as_long_as_its_parts(measured, costs, seconds, needed):
    plan, _ = measured(**costs, **{"train.steps": 100, "train.reports": 5})
    assert plan.report_seconds == pytest.approx(seconds)
    statistics = 0.1 * 30 * (60 + costs.get("around", 0)) / 60
    assert plan.finalising_seconds == pytest.approx(needed + statistics)


def test_minutes_hold_fewer_reports_where_reports_take_long(measured):
    """Ten of 12 s would take 40 % of five minutes; a fifth has room for five."""
    plan, _ = measured(**{"train.minutes": 5, "train.reports": 10})
    assert 5 <= plan.reports <= 6
    assert plan.minutes == pytest.approx(5, rel=0.01)


def test_without_images_to_validate_on_only_steps_count(measured):
    plan, asked = measured(sizes=(), **{"train.steps": 100, "train.reports": 5})
    assert not asked
    assert (plan.report_seconds, plan.finalising_seconds, plan.training_seconds) == (0.0, 0.0, 300.0)


def test_a_trained_network_is_expected_to_predict_the_truth(monkeypatch):
    """A network that knows nothing is scored as one that finds every labelled pixel; unknown pixels are background."""
    truth = np.array([[1, 0, 0, -1]])
    item = AnnotatedImage("a", np.zeros((1, 1, 4), np.float32), truth, truth)
    unsure = np.full((2, 1, 4), 0.5, np.float32)
    monkeypatch.setattr(validations, "predict_images", lambda *given, **options: iter([unsure]))
    result = forecasts._score_as_trained(torch.nn.Identity(), Validation([item], torch.device("cpu"), torch.float32))
    assert result.confusion.tolist() == [[2, 0], [0, 1]]
    assert result.probabilities[0].tolist() == [[[0, 1, 1, 1]], [[1, 0, 0, 0]]]
