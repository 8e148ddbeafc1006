"""Weights of a model file are those that its settings describe, and numbers."""

import pytest
import torch

from architectures import settings_of
from biounet.config import ModelConfig
from biounet.core.errors import ModelFileError
from biounet.models import MODELS, build, shapes_of
from biounet.models.weights import LARGEST, check_numbers, check_shapes

CONFIG = ModelConfig(width=2, depth=1, norm="batch")


@pytest.mark.parametrize("name", MODELS)
def test_shapes_are_those_of_the_network(name):
    config = settings_of(name, dims=3 if name == "unet3d" else 2)
    assert shapes_of(config) == {key: tuple(value.shape) for key, value in build(config).state_dict().items()}


def test_weights_that_nobody_asks_for_and_that_are_missing_are_named():
    shapes = shapes_of(CONFIG)
    check_shapes(CONFIG, shapes)
    with pytest.raises(ModelFileError, match=r"head.bias is missing in the file, and \(2,\) by the settings"):
        check_shapes(CONFIG, {name: shape for name, shape in shapes.items() if name != "head.bias"})
    with pytest.raises(ModelFileError, match=r"more is \(3, 4\) in the file, and missing by the settings"):
        check_shapes(CONFIG, {**shapes, "more": (3, 4)})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e38, -1.1e10])
def test_a_single_weight_that_is_no_number_is_found(value):
    net = build(CONFIG)
    check_numbers(net)
    with torch.no_grad():
        net.head.weight[-1, -1] = value
    with pytest.raises(ModelFileError, match=f"head.weight holds {value:g}".replace("+", r"\+")):
        check_numbers(net)


def test_the_greatest_weight_and_no_negative_variance_are_taken():
    net = build(CONFIG)
    with torch.no_grad():
        net.head.weight[0] = LARGEST
    check_numbers(net)
    variance = next(value for name, value in net.state_dict().items() if name.endswith("running_var"))
    variance[0] = -1
    with pytest.raises(ModelFileError, match="running_var holds -1"):
        check_numbers(net)
