"""Learning rate, optimiser and running average."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from biounet.config import TrainConfig
from biounet.training.optimizer import average_weights, learning_rate, make_optimizer


@pytest.mark.parametrize(
    ("schedule", "at", "share"),
    [
        *(("constant", at, 1.0) for at in (0.0, 0.5, 1.0)),
        *(("cosine", at, share) for at, share in ((0.0, 0.0), (0.1, 0.5), (0.2, 1.0), (0.6, 0.5), (1.0, 0.0))),
        *(("one-cycle", at, share) for at, share in ((0.0, 0.04), (0.2, 1.0), (0.6, 0.50005), (1.0, 1e-4))),
    ],
)
def test_schedules_by_hand(schedule, at, share):
    config = TrainConfig(schedule=schedule, learning_rate=0.3, warmup=0.2)
    assert learning_rate(config, at) == pytest.approx(0.3 * share)


@given(st.floats(0, 1), st.sampled_from(["constant", "cosine", "one-cycle"]), st.floats(0, 1))
def test_the_peak_is_never_exceeded(at, schedule, warmup):
    config = TrainConfig(schedule=schedule, learning_rate=0.3, warmup=warmup)
    assert 0 <= learning_rate(config, at) <= 0.3 + 1e-12


def test_one_cycle_is_that_of_torch():
    net, steps = nn.Linear(1, 1), 100
    config = TrainConfig(schedule="one-cycle", learning_rate=0.3, warmup=0.3)
    theirs = torch.optim.SGD(net.parameters(), lr=0.3)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        theirs, max_lr=0.3, total_steps=steps + 1, pct_start=31 / 101, div_factor=25, final_div_factor=400
    )
    for step in range(steps):
        ours = learning_rate(config, step / steps)
        assert ours == pytest.approx(cycle.get_last_lr()[0], rel=0.02), step
        theirs.step()
        cycle.step()


def test_decay_is_for_kernels_only():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    kernels, others = make_optimizer(net, TrainConfig(optimizer="adamw", weight_decay=0.1)).param_groups
    assert (kernels["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert [weight.ndim for weight in kernels["params"]] == [4]
    assert [weight.ndim for weight in others["params"]] == [1, 1, 1]


def test_average_follows_weights_and_copies_counts():
    net = nn.BatchNorm1d(1)
    average = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        net.weight.fill_(3.0)
        net.num_batches_tracked.fill_(7)
    average_weights(average, net, decay=0.5, step=1000)
    assert average["weight"].item() == 0.5 * 1 + 0.5 * 3
    assert average["num_batches_tracked"].item() == 7
    average_weights(average, net, decay=0.0, step=1000)
    assert average["weight"].item() == 3
