"""Width and batch follow the minutes: no clock is needed to test the rule."""

import math
from types import SimpleNamespace

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from biounet.config import RunConfig
from biounet.core.errors import TrainingError
from biounet.models import build
from biounet.training import auto_width as budget
from biounet.training.step import State

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


def test_where_the_minutes_are_short_of_updates_the_reason_says_how_many_are_enough(monkeypatch):
    monkeypatch.setattr(budget, "seconds_per_step", lambda config, size, *, fabric: 0.6)
    config = RunConfig.preset("default").updated({"train.minutes": 5})
    chosen, reason = budget.choose_width(config, (256, 256), fabric=FABRIC)
    assert (chosen.model.width, budget.ENOUGH) == (16, 2500)
    assert reason == "the least; 0.60 s a step, so 500 steps in 5 minutes; 2500 would be enough, in 25 minutes"


BATCHES = ("model.width", "train.batch")


@pytest.fixture
def roomy(monkeypatch):
    monkeypatch.setattr(budget, "_room", lambda config, size, fabric: math.inf)


@pytest.mark.parametrize(
    ("updates", "batch"), [(1, 2), (1.99, 2), (2.01, 4), (3.99, 4), (4.01, 8), (8.01, 16), (1000, 16)]
)
def test_the_largest_batch_with_enough_steps_of_the_widest_network_is_chosen(monkeypatch, roomy, updates, batch):
    """A patch takes a second: so many times the updates that are enough are in the minutes with 2 patches."""
    monkeypatch.setattr(budget, "seconds_per_step", lambda config, size, *, fabric: float(config.train.batch))
    config = RunConfig.preset("default").updated({"train.minutes": updates * budget.ENOUGH * 2 / 60})
    chosen, reasons = budget.fit_minutes(config, BATCHES, (256, 256), fabric=FABRIC)
    assert (chosen.model.width, chosen.train.batch) == (64, batch)
    assert ("train.batch" in reasons) == (batch > 2)
    if batch > 2:
        assert f"{batch:.2f} s a step" in reasons["train.batch"]
        assert f"{budget.ENOUGH} are enough" in reasons["train.batch"]


def test_updates_that_are_enough_of_small_batches_are_enough_of_larger_ones(monkeypatch, roomy):
    """2 x 128 x 128 px are a quarter of the work that 2,500 updates are enough of: so 10,000, whatever the batch."""
    monkeypatch.setattr(budget, "seconds_per_step", lambda config, size, *, fabric: float(config.train.batch))
    for share, batch in ((0.99, 2), (1.01, 4)):
        config = RunConfig.preset("default").updated({"train.minutes": share * 10_000 * 4 / 60})
        assert budget.choose_batch(config, (128, 128), fabric=FABRIC)[0].train.batch == batch


def test_a_batch_of_a_narrower_network_grows_only_if_its_width_was_given(monkeypatch, roomy):
    """The width of 64 takes too long; 16 channels have minutes to spare."""
    seconds = {16: 0.001, 32: 0.001, 48: 0.001, 64: 100.0}
    monkeypatch.setattr(budget, "seconds_per_step", lambda config, size, *, fabric: seconds[config.model.width])
    config = RunConfig.preset("default").updated({"train.minutes": 10})
    free, reasons = budget.fit_minutes(config, BATCHES, (256, 256), fabric=FABRIC)
    assert (free.model.width, free.train.batch, sorted(reasons)) == (48, 2, ["model.width"])
    given, reasons = budget.fit_minutes(config, ["train.batch"], (256, 256), fabric=FABRIC)
    assert (given.model.width, given.train.batch, sorted(reasons)) == (16, 16, ["train.batch"])
    assert budget.fit_minutes(config, [], (256, 256), fabric=FABRIC) == (config, {})


@pytest.mark.parametrize(("room", "batch"), [(1, 2), (3, 2), (4, 4), (15, 8), (16, 16)])
def test_a_batch_grows_no_larger_than_the_machine_has_room_for(monkeypatch, room, batch):
    def refused(config, size, *, fabric):
        assert config.train.batch <= room
        return 1e-9

    config = RunConfig.preset("default").updated({"train.minutes": 1, "model.width": 2, "model.depth": 1})
    patch = budget._bytes_per_patch(config, (16, 16))
    monkeypatch.setattr(budget, "seconds_per_step", refused)
    monkeypatch.setattr(budget, "machine_bytes", lambda: patch * room / budget.SHARE)
    assert budget.choose_batch(config, (16, 16), fabric=FABRIC)[0].train.batch == batch


def test_what_is_kept_of_a_patch_by_hand():
    """At full size of 4 convolutions the result, of 2 channels, and what normalisation makes of it; in float32."""
    config = RunConfig.preset("default").updated({"model.width": 2, "model.depth": 1})
    small, large = (budget._bytes_per_patch(config, (side, side)) for side in (64, 128))
    weights = 4 * sum(weight.numel() for weight in build(config.model).parameters())
    assert large - small == pytest.approx(3 * small, abs=4 * weights)  # four times the pixels
    assert small > 4 * 2 * 4 * 2 * 64**2


@pytest.mark.parametrize(("room", "batch"), [(2, 2), (4, 4), (9, 8)])
def test_a_batch_grows_no_larger_than_a_gpu_holds_in_one_piece(monkeypatch, room, batch):
    monkeypatch.setattr(
        budget, "seconds_per_step", lambda config, size, *, fabric: 1e-9 if config.train.batch <= room else math.inf
    )
    config = RunConfig.preset("default").updated({"train.minutes": 1})
    gpu = SimpleNamespace(device=torch.device("meta"), world_size=1)  # stands for one
    assert budget.choose_batch(config, (16, 16), fabric=gpu)[0].train.batch == batch


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
    config = RunConfig.preset("default").updated({"train.minutes": 1e6})
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
