"""The width follows the minutes: no clock is needed to test the rule."""

import pytest
from lightning_fabric import Fabric

from biounet import budget
from biounet.config import RunConfig

FABRIC = Fabric(accelerator="cpu", devices=1)


@pytest.mark.parametrize(
    ("minutes", "width"),
    [(1, 16), (budget.ENOUGH * 31 / 60, 16), (budget.ENOUGH * 33 / 60, 32), (1e6, 64)],
)
def test_the_widest_network_with_enough_steps_is_chosen(monkeypatch, minutes, width):
    monkeypatch.setattr(budget, "seconds_per_step", lambda config, size, *, fabric: float(config.model.width))
    config = RunConfig.preset("default").updated({"train.minutes": minutes})
    chosen, reason = budget.choose_width(config, (64, 64), fabric=FABRIC)
    assert chosen.model.width == width
    assert "model.width" not in chosen.train.auto
    assert f"{width:.2f} s a step" in reason


def test_a_step_takes_time():
    config = RunConfig.preset("default").updated({"model.width": 2, "model.depth": 1})
    assert budget.seconds_per_step(config, (16, 16), fabric=FABRIC) > 0
