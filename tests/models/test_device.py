"""What runs where is decided by the hardware, and said when it cannot be."""

import pytest
import torch

from biounet.core.errors import ConfigError
from biounet.models.device import channels_last, choose_device, choose_precision, has_bfloat16, to_channels_last

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


def test_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match="precision must be"):
        choose_precision("float16", CPU)


@pytest.mark.parametrize("dims", [2, 3])
def test_weights_lie_with_channels_innermost(dims):
    layer = (torch.nn.Conv2d, torch.nn.Conv3d)[dims - 2](4, 8, 3)
    to_channels_last(layer, dims)
    assert layer.weight.is_contiguous(memory_format=channels_last(dims))
    assert layer.weight.stride(1) == 1
