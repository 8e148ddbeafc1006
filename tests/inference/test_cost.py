"""The memory of a network, counted by hand and measured from outside."""

import mmap
import subprocess
import sys

import psutil
import pytest
import torch
from torch import nn

from biounet.config import ModelConfig
from biounet.core.memory import machine_bytes, resident_bytes
from biounet.inference.cost import count_cost, meta_copy
from biounet.models import build


def test_memory_is_the_most_that_lives_at_one_time():
    # In: 400 B. First: 1 -> 4 channels, 1600 B. Second: 4 -> 1 channel, 400 B, when the first is still there,
    # but also the input, which the caller holds: 400 + 1600 + 400. In place, the ReLU needs nothing.
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 1, 1))
    cost = count_cost(meta_copy(net), (1, 1, 10, 10), torch.float32)
    assert cost.bytes == 400 + 1600 + 400
    assert cost.operations == 2 * 100 * (4 + 4)


def test_half_the_precision_is_half_the_memory():
    net = meta_copy(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2, stride=2)))
    full = count_cost(net, (1, 1, 60, 60), torch.float32)
    half = count_cost(net.to(torch.bfloat16), (1, 1, 60, 60), torch.bfloat16)
    assert half.bytes * 2 == full.bytes
    assert half.operations == full.operations


def test_pooling_holds_the_places_of_its_maxima():
    # 400 B in; out 25 maxima of 4 B, and 25 places of 8 B.
    assert count_cost(nn.MaxPool2d(2), (1, 1, 10, 10), torch.float32).bytes == 400 + 25 * (4 + 8)


def test_a_copy_without_weights_leaves_the_network_alone():
    net = build(ModelConfig(width=2, depth=1, norm="batch"))
    copy = meta_copy(net)
    assert all(weight.is_meta for weight in [*copy.parameters(), *copy.buffers()])
    assert not any(weight.is_meta for weight in [*net.parameters(), *net.buffers()])


def test_joined_maps_are_counted():
    # Two halves of 400 B become one map of 800 B; then the input is still there, and so are the halves.
    halves = meta_copy(nn.ModuleList([nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)]))
    cost = count_cost(lambda image: torch.cat([half(image) for half in halves], dim=1), (1, 1, 10, 10), torch.float32)
    assert cost.bytes == 400 + 2 * 400 + 800


@pytest.mark.parametrize(
    "compute",
    [
        nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2),
        nn.Conv2d(4, 6, (3, 1), groups=2),
        nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.MaxPool2d(2, stride=3, ceil_mode=True),
        nn.MaxPool2d(2, stride=2, padding=1, ceil_mode=True),
        lambda image: torch.softmax((image[:, :1] - image) * image / 3 + 1, dim=1).mul_(2).div_(image).add_(1),
        lambda image: image.int() / 2,
    ],
)
@pytest.mark.parametrize("size", [(9, 12), (16, 11)])
def test_shapes_that_are_computed_here_are_those_of_torch(compute, size, monkeypatch):
    found = count_cost(meta_copy(compute) if isinstance(compute, nn.Module) else compute, (2, 4, *size), torch.float32)
    real = compute(torch.ones(2, 4, *size))
    monkeypatch.setattr("biounet.inference.cost.SHAPES", {})
    plain = count_cost(meta_copy(compute) if isinstance(compute, nn.Module) else compute, (2, 4, *size), torch.float32)
    assert found == plain
    assert found.bytes >= real.nbytes


def test_counting_a_network_imports_no_compiler(tmp_path):
    code = """
import sys, torch
from biounet.config import ModelConfig
from biounet.inference.overlap_tile import TileNet
from biounet.models import build
net = TileNet(build(ModelConfig(width=2, padding="same")), device=torch.device("cpu"), precision=torch.float32)
net.cost((32, 32), channels=1)
print([name for name in ("sympy", "torch._dynamo") if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert told.stdout.strip() == "[]"


def test_this_process_holds_memory():
    before = resident_bytes()
    with mmap.mmap(-1, 64 * 2**20) as kept:
        kept.write(b"x" * len(kept))
        assert resident_bytes() - before > 48 * 2**20


MACHINE = psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("groups", "limits", "most"),
    [
        ("0::/", {"memory.max": "4096"}, 4096),  # a container that sees its own group as the root
        ("0::/", {"memory.max": "max"}, MACHINE),
        ("0::/docker/1234", {"memory.max": "4096"}, 4096),  # the group of the host, which is not to be seen inside
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "8192", "memory.max": "max"}, 8192),
        ("0::/a", {"a/memory.max": "8192", "b/memory.max": "4096"}, 8192),
        ("7:cpu,cpuacct:/\n4:memory:/a\n0::/", {"memory/a/memory.limit_in_bytes": "4096"}, 4096),
        ("4:memory:/", {"memory/memory.limit_in_bytes": str(2**63 - 4096)}, MACHINE),  # version 1 has no word for none
        ("4:memory:/", {"memory.max": "4096"}, MACHINE),
        (None, {"memory.max": "4096"}, MACHINE),
    ],
)
def test_a_container_has_the_memory_that_its_groups_leave_it(tmp_path, groups, limits, most):
    files = {f"sys/fs/cgroup/{name}": text for name, text in limits.items()}
    for name, text in (files if groups is None else files | {"proc/self/cgroup": groups}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert machine_bytes(root=tmp_path) == most
