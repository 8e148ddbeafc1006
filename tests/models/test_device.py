"""What runs where is decided by the hardware, and said when it cannot be."""

import pytest
import torch

from biounet.core.errors import ConfigError
from biounet.models.device import (
    channels_last,
    choose_device,
    choose_precision,
    choose_training_precision,
    has_bfloat16,
    to_channels_last,
)

CPU = torch.device("cpu")


def test_automatic_device_is_one_that_is_there():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "cuda:x", ""])
def test_unknown_devices_are_refused(name):
    with pytest.raises(ConfigError, match="must be auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_a_gpu_that_is_not_there_is_said():
    with pytest.raises(ConfigError, match="use --device cpu"):
        choose_device("cuda:99")


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_f": True, "amx_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_automatic_precision_is_what_the_processor_multiplies_itself(monkeypatch, able, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert choose_precision("auto", CPU) is expected
    assert has_bfloat16(CPU) == (expected is torch.bfloat16)
    assert choose_precision("bfloat16", CPU) is torch.bfloat16  # asked for by name, it is given


@pytest.mark.parametrize(
    ("able", "device", "dims", "name", "taken"),
    [
        ({"amx_bf16": True}, "cpu", 3, "auto", "float32"),
        ({"amx_bf16": True}, "cpu", 3, "float32", "float32"),
        ({"amx_bf16": True}, "cpu", 2, "auto", "auto"),
        ({"amx_bf16": True}, "cpu", 2, "bfloat16", "bfloat16"),
        ({"amx_bf16": True}, "cuda", 3, "auto", "auto"),
        ({"avx512_bf16": True, "amx_bf16": False}, "cpu", 3, "auto", "auto"),
        ({}, "cpu", 3, "bfloat16", "bfloat16"),
    ],
)
def test_volumes_are_learnt_in_float32_where_the_processor_has_amx(monkeypatch, able, device, dims, name, taken):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    precision, reason = choose_training_precision(name, torch.device(device), dims=dims)
    assert precision == taken
    assert bool(reason) == (taken != name)


def test_bfloat16_that_would_break_down_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    with pytest.raises(ConfigError, match=r"train.precision is bfloat16.*\(AMX\); set it to float32"):
        choose_training_precision("bfloat16", CPU, dims=3)


def test_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match="precision must be"):
        choose_precision("float16", CPU)


@pytest.mark.parametrize("dims", [2, 3])
def test_weights_lie_with_channels_innermost(dims):
    layer = (torch.nn.Conv2d, torch.nn.Conv3d)[dims - 2](4, 8, 3)
    to_channels_last(layer, dims)
    assert layer.weight.is_contiguous(memory_format=channels_last(dims))
    assert layer.weight.stride(1) == 1
