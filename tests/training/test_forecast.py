"""What a run will take, on a clock that only steps, patches and validations move."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from biounet.config import RunConfig
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.augment import Sample
from biounet.data.patches import PatchSampler
from biounet.models import geometry_of
from biounet.training import forecast as forecasts
from biounet.training.distributed import make_fabric
from biounet.training.forecast import forecast
from biounet.training.validation import Validation

TINY = {"model.width": 2, "model.depth": 1, "train.patch": 16, "train.batch": 1, "train.precision": "float32"}


@pytest.fixture
def measured(monkeypatch):
    """Forecast a run of images of 20, 40 and 60 pixels to validate on; patches take 1 s, steps 2, pixels 0.1 s each.

    A network that has just begun sees nothing in them; to score what is seen takes 0.5 s a pixel.
    """
    now, asked, margin = [100.0], [], [0.0]

    def taking(seconds, work):
        def slow(*given, **options):
            now[0] += next(seconds)
            return work(*given, **options)

        return slow

    def predict_one(validation, net, item):
        now[0] += 0.1 * (margin[0] + item.target.size) + (5.0 if not asked else 0.0)  # something is compiled at first
        asked.append(item.name)
        return np.stack([np.ones_like(item.target), np.zeros_like(item.target)]).astype(np.float32)

    def score(validation):
        now[0] += 0.5 * float(validation.probabilities[0][1].sum())
        return {"score": 0.5}

    def finalising(validation, share):
        asked.append((validation.seen_pixels, share))
        return 3.0, 4.0

    def call(*, begin=0.0, sizes=(60, 20, 40), around=0, objects=0, keeping=0.0, **changes):
        config = RunConfig.preset("default").updated(TINY | changes)
        labels = torch.zeros(16, 16, dtype=torch.int64)
        samples = [Sample(torch.zeros(1, 16, 16), labels, None)]
        source = PatchSampler(samples, geometry_of(config.model), (16, 16), config.augment, config.train)
        truths = [np.repeat([[1, 0]], [objects, size - objects], axis=1) for size in sizes]
        items = [
            AnnotatedImage(str(truth.size), np.zeros((1, 1, truth.size), np.float32), truth, truth) for truth in truths
        ]
        validation = Validation(items, torch.device("cpu"), torch.float32, seen_pixels=240)
        fabric = make_fabric("cpu", "float32")
        margin[0] = around

        def keep(state):
            now[0] += keeping

        plan = forecast(config, source, validation, finalising, fabric=fabric, begin=begin, keep=keep)
        return replace(plan, memory=0), asked

    drawing, learning = iter([3.0, 1.0, 1.0, 1.0]), iter([7.0, 9.0, 2.0, 2.5])
    monkeypatch.setattr(PatchSampler, "batch", taking(drawing, PatchSampler.batch))
    monkeypatch.setattr(forecasts, "train_step", taking(learning, forecasts.train_step))
    monkeypatch.setattr(forecasts, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr("biounet.training.validation.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Validation, "_predict_one", predict_one)
    monkeypatch.setattr(Validation, "_of_classes", score)
    return call


def test_a_forecast_by_hand(measured):
    plan, asked = measured(begin=11.0, **{"train.steps": 100, "train.reports": 5})
    # Of 120 pixels the largest image has a half: all take 12 s, and of the 240 seen 120 belong to it.
    assert asked == ["20", "20", "60", (120, pytest.approx(2.0))]
    assert (plan.step_seconds, plan.draw_seconds, plan.report_seconds) == pytest.approx((2.0, 1.0, 12.0))
    assert plan.begin_seconds == pytest.approx(11 + 3 + 7 - 1 - 2)  # the first step takes longer than others
    assert (plan.steps, plan.reports, plan.finalising_seconds) == (100, 5, 7.0)
    assert plan.minutes == pytest.approx((18 + 300 + 60 + 7) / 60)


@pytest.mark.parametrize(
    ("costs", "seconds", "share"),
    [
        ({"around": 30}, 3 * 3 + 12, 21 / 9),  # with 30 pixels more, images take 5, 7 and 9 s: not 3 times the pixels
        ({"objects": 4}, 12 + 3 * 2, 18 / 8),  # which the network has not learnt to see
        ({"keeping": 4.0}, 12 + 4, 2),  # of the model and the state
        ({"sizes": (60, 60, 60)}, 18, 3),
        ({"sizes": (60,)}, 6, 1),
    ],
    ids=["what is seen around", "what is there to score", "what is written", "equal images", "one image"],
)
def test_a_report_takes_as_long_as_all_that_it_does(measured, costs, seconds, share):
    plan, asked = measured(**costs, **{"train.steps": 100, "train.reports": 5})
    assert plan.report_seconds == pytest.approx(seconds)
    assert asked[-1][1] == pytest.approx(share)


def test_minutes_hold_fewer_reports_where_these_take_long(measured):
    """Ten of 12 s would take 40 % of five minutes; a fifth has room for five."""
    plan, _ = measured(**{"train.minutes": 5, "train.reports": 10})
    assert 5 <= plan.reports <= 6
    assert plan.minutes == pytest.approx(5, rel=0.01)


def test_without_images_to_validate_on_only_steps_count(measured):
    plan, asked = measured(sizes=(), **{"train.steps": 100, "train.reports": 5})
    assert not asked
    assert (plan.report_seconds, plan.finalising_seconds, plan.training_seconds) == (0.0, 0.0, 300.0)
