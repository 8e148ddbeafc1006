"""The end of a run: of the networks between the first and the trained one, it keeps the nearest good one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import biounet
from biounet.io import Image, write
from biounet.models.model_file import load_network
from biounet.training import finish_model
from biounet.training.finish_model import SHARES, choose_share, mean_network

TINY = {"model.width": 2, "model.depth": 1, "train.target": "classes"}
FAST = {"train.patch": 16, "train.batch": 2, "train.reports": 1, "train.precision": "float32", "train.auto": []}


@given(st.lists(st.floats(1e-3, 10), min_size=4, max_size=4))
def test_the_share_is_the_least_of_those_that_are_nearly_the_best(losses):
    found = dict(zip((*SHARES, 1), losses, strict=True))
    share = choose_share(found)
    assert found[share] <= 1.01 * min(losses)
    assert all(found[less] > 1.01 * min(losses) for less in found if less < share)


def test_weights_and_statistics_of_a_mean_lie_between_those_of_both():
    first, second = (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)) for _ in range(2))
    second[1].running_var.fill_(3.0)
    second[1].num_batches_tracked.fill_(7)
    found = mean_network(first, second, 0.25).state_dict()
    np.testing.assert_allclose(found["1.running_var"], [1.5, 1.5])  # 0.75 * 1 + 0.25 * 3
    assert found["1.num_batches_tracked"] == 7
    expected = 0.75 * first[0].weight + 0.25 * second[0].weight
    torch.testing.assert_close(found["0.weight"], expected)
    torch.testing.assert_close(second[1].running_var, torch.full((2,), 3.0))  # as it was


def bright_cells(folder, *, inverted):
    """Noise of two classes, of which the brighter one is 1, or the darker one."""
    rng = np.random.default_rng(0)
    for number in range(4):
        grey = rng.integers(0, 256, (24, 24)).astype(np.uint8)
        write(folder / "images" / f"{number}.tif", Image(grey, "YX"))
        write(folder / "labels" / f"{number}.tif", Image((grey // 128) ^ inverted, "YX"))
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    place = tmp_path_factory.mktemp("start")
    data = bright_cells(place / "data", inverted=0)
    settings = {**TINY, **FAST, "train.learning_rate": 0.03}
    biounet.train(data, place / "run", steps=60, settings=settings, report=False, device="cpu")
    return place / "run"


def begun_with(start, place, *, inverted, steps):
    data = bright_cells(place / "data", inverted=inverted)
    settings = {**FAST, "train.target": "classes", "train.learning_rate": 0.01}
    biounet.train(data, place / "run", steps=steps, init=start, settings=settings, device="cpu")
    return load_network(place / "run" / "model.safetensors")


def test_where_differences_are_chance_a_quarter_of_the_way_is_gone(start, tmp_path, capsys, monkeypatch):
    trained, card = begun_with(start, tmp_path / "whole", inverted=0, steps=60)
    assert (card.training["step"], card.training["share"]) == (60, 1)
    assert "of the way from" not in capsys.readouterr().out
    monkeypatch.setattr(finish_model, "CHANCE", 1e9)
    mean, card = begun_with(start, tmp_path / "quarter", inverted=0, steps=60)
    assert card.training["share"] == 0.25
    assert f"the finished model is 25 % of the way from {start} to what was trained" in capsys.readouterr().out
    assert f"25 % of the way from {start} to what was trained" in (tmp_path / "quarter/run/report.html").read_text()
    before, _ = load_network(start / "model.safetensors")
    for name, weights in mean.named_parameters():
        expected = before.get_parameter(name).lerp(trained.get_parameter(name), 0.25)
        torch.testing.assert_close(weights, expected)


def test_a_run_that_learns_the_opposite_leaves_the_model_behind(start, tmp_path):
    _, card = begun_with(start, tmp_path, inverted=1, steps=300)
    assert card.training["share"] == 1
