"""Plans: inside the budget, and as they say."""

import numpy as np
import pytest
import torch

from biounet.config import ModelConfig
from biounet.core.errors import MemoryBudgetError, ShapeError
from biounet.core.memory import format_bytes, parse_bytes
from biounet.inference.memory_plan import Stopwatch, plan_prediction, warm_up
from biounet.inference.overlap_tile import TileNet
from biounet.models import build

GIB = 2**30
HELD = 3 * 10**8


@pytest.fixture(scope="module")
def net() -> TileNet:
    return TileNet(build(ModelConfig(width=8, padding="same")), device=torch.device("cpu"), precision=torch.float32)


def plan(net, shape=(1, 8000, 8000), **options):
    return plan_prediction(net, shape, **({"classes": 2, "itemsize": 1, "held": HELD, "budget": HELD + GIB} | options))


@pytest.mark.parametrize("extra", [GIB // 4, GIB // 2, GIB, 4 * GIB])
def test_plans_stay_inside_the_budget_and_use_it(net, extra):
    budget = HELD + extra
    found = plan(net, budget=budget)
    assert found.bytes <= budget
    assert found.bytes > HELD + min(extra, GIB // 2) * 0.4


def test_more_memory_means_less_redundancy(net):
    redundancies = [plan(net, budget=HELD + extra).tiles.redundancy for extra in (GIB // 4, GIB, 4 * GIB)]
    assert sorted(redundancies, reverse=True) == redundancies
    assert redundancies[-1] < 1.45


def test_redundancy_is_that_counted(net):
    found = plan(net, (1, 1000, 700), tile=256)
    through = delivered = 0
    covered = np.zeros(found.tiles.shape, int)
    for tile in found.tiles:
        through += tile.input.size
        delivered += tile.output.size
        covered[tile.output.slices] += 1
    assert (covered == 1).all()
    assert found.tiles.redundancy == through / delivered
    assert f"redundancy {through / delivered:.2f}" in str(found)
    assert f"{len(list(found.tiles))} tiles" in str(found)


@pytest.mark.parametrize("shape", [(1, 8000, 8000), (1, 300, 300), (1, 5000, 200)])
@pytest.mark.parametrize("tile", [None, 60, 256, 700, 2000])
def test_each_chunk_lies_in_one_tile(net, shape, tile):
    found = plan(net, shape, tile=tile, budget=HELD + 8 * GIB)
    for step, chunk, count in zip(found.tiles.step, found.chunk, found.tiles.counts, strict=True):
        assert step % chunk == 0 or count == 1
        assert min(step, 200) <= chunk <= 512


def test_too_small_a_budget_names_the_least_which_is_enough(net):
    with pytest.raises(MemoryBudgetError, match="the smallest tile needs") as caught:
        plan(net, budget=HELD + 2**20)
    least = parse_bytes(str(caught.value).split("needs ")[1].split(",")[0])
    assert plan(net, budget=least).bytes <= least


def test_a_tile_that_is_too_large_names_what_it_needs(net):
    with pytest.raises(MemoryBudgetError, match="smaller --tile or more --memory"):
        plan(net, tile=4096)


def test_what_is_held_counts(net):
    assert plan(net, tile=256, held=HELD + 10**8).bytes - plan(net, tile=256).bytes == 10**8


def test_a_warm_process_is_measured(net):
    assert warm_up(net, 1) > 100 * 2**20  # torch alone is more


def test_wrong_axes_are_said(net):
    with pytest.raises(ShapeError, match="2 spatial axes, the image has 3"):
        plan(net, (1, 20, 20, 20))


def test_time_follows_operations(net):
    stopwatch = Stopwatch(net, 1)
    one, four = (stopwatch.time(plan(net, (1, 32, 32), tile=32, frames=frames)) for frames in (1, 4))
    assert one.operations == net.cost((32, 32), channels=1).operations
    assert four.operations == 4 * one.operations
    assert four.seconds == 4 * one.seconds > 0


def test_no_tile_of_noise_is_larger_than_those_of_the_plan(net, monkeypatch):
    taken = []
    monkeypatch.setattr(
        "biounet.inference.memory_plan._predict_noise", lambda net, channels, output: taken.append(output) or 0.01
    )
    Stopwatch(net, 1).time(plan(net, (1, 200, 50), tile=(100, 50)))
    assert max(taken) == (64, 64)  # doubled from 16 x 16 inside 112 x 64
    monkeypatch.setattr(
        "biounet.inference.memory_plan._predict_noise", lambda net, channels, output: taken.append(output) or 1.0
    )
    taken.clear()
    Stopwatch(net, 1).time(plan(net, (1, 200, 50), tile=(100, 50)))
    assert set(taken) == {(16, 16)}  # slow enough to tell


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GiB", 2 * GIB), ("2 gib", 2 * GIB), ("2g", 2 * GIB), ("1.5GB", 15 * 10**8), ("300MiB", 300 * 2**20), ("7", 7)],
)
def test_sizes_are_read(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "0", "1 apple", "nan", "inf GiB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(MemoryBudgetError, match="such as 4GiB"):
        parse_bytes(text)


def test_sizes_are_written():
    assert format_bytes(3 * GIB // 2) == "1.50 GiB"
