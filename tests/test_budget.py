"""The width follows the minutes: no clock is needed to test the rule."""

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from biounet import budget
from biounet.config import RunConfig
from biounet.errors import TrainingError
from biounet.update import State

FABRIC = Fabric(accelerator="cpu", devices=1)


@pytest.mark.parametrize(
    ("minutes", "width"),
    [(1, 16), (budget.ENOUGH * 31 / 60, 16), (budget.ENOUGH * 33 / 60, 32), (1e6, 64)],
)
def test_the_widest_network_with_enough_steps_is_chosen(monkeypatch, minutes, width):
    monkeypatch.setattr(budget, "seconds_per_step", lambda config, size, *, fabric: float(config.model.width))
    config = RunConfig.preset("default").updated({"train.minutes": minutes})
    chosen, reason = budget.choose_width(config, (256, 256), fabric=FABRIC)
    assert chosen.model.width == width
    assert "model.width" not in chosen.train.auto
    assert f"{width:.2f} s a step" in reason


@pytest.mark.parametrize(
    ("batch", "side", "coarse", "factor"),
    [(2, 256, 1, 1), (4, 128, 1, 2), (8, 128, 1, 1), (2, 256, 2, 4), (2, 384, 1, 1)],
)
def test_of_smaller_batches_as_many_more_are_enough(monkeypatch, batch, side, coarse, factor):
    monkeypatch.setattr(budget, "seconds_per_step", lambda config, size, *, fabric: float(config.model.width))
    config = RunConfig.preset("default").updated({"train.batch": batch, "model.coarse": coarse})
    for share, width in ((0.99, 16), (1.01, 32)):
        timed = config.updated({"train.minutes": share * factor * budget.ENOUGH * 32 / 60})
        assert budget.choose_width(timed, (side, side), fabric=FABRIC)[0].model.width == width


@pytest.mark.parametrize(("room", "width"), [(0, 16), (16, 16), (50, 48), (64, 64)])
@pytest.mark.parametrize("how", ["at once", "of a single sample", "in pieces"])
def test_the_widest_network_that_the_gpu_holds_in_one_piece_is_chosen(monkeypatch, room, width, how):
    def step(state, batch, train, *, fabric, progress):
        if state.net.out_channels > room:
            error = torch.OutOfMemoryError("no room")
            if how == "at once":
                raise error
            if how == "of a single sample":
                raise TrainingError("the GPU is out of memory for a single sample") from error
            state.pieces = 2
        return torch.zeros(())

    def begin(config, device):
        net = nn.Conv2d(config.model.in_channels, config.model.width, 1)
        return State(net, net, torch.optim.SGD(net.parameters()))

    monkeypatch.setattr(budget, "train_step", step)
    monkeypatch.setattr(State, "begin", begin)
    config = RunConfig.preset("default").updated({"train.minutes": 1e9})
    chosen, reason = budget.choose_width(config, (4, 4), fabric=FABRIC)
    assert chosen.model.width == width
    assert "model.width" not in chosen.train.auto
    assert ("room" in reason) == (16 <= room < 64)
    assert ("one piece" in reason) == (room < 16)


def test_other_faults_of_a_step_are_not_taken_for_a_lack_of_memory(monkeypatch):
    def step(state, batch, train, *, fabric, progress):
        raise TrainingError("something else")

    monkeypatch.setattr(budget, "train_step", step)
    config = RunConfig.preset("default").updated({"model.width": 2, "model.depth": 1})
    with pytest.raises(TrainingError, match="something else"):
        budget.seconds_per_step(config, (16, 16), fabric=FABRIC)


def test_a_step_takes_time():
    config = RunConfig.preset("default").updated({"model.width": 2, "model.depth": 1})
    assert budget.seconds_per_step(config, (16, 16), fabric=FABRIC) > 0
