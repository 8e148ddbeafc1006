"""The memory of a network, counted by hand and measured from outside."""

import mmap

import torch
from torch import nn

from biounet.config import ModelConfig
from biounet.footprint import count_cost, meta_copy, resident_bytes
from biounet.models import build


def test_memory_is_the_most_that_lives_at_one_time():
    # In: 400 B. First: 1 -> 4 channels, 1600 B. Second: 4 -> 1 channel, 400 B, when the first is still there,
    # but also the input, which the caller holds: 400 + 1600 + 400. In place, the ReLU needs nothing.
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 1, 1))
    cost = count_cost(meta_copy(net), (1, 1, 10, 10), torch.float32)
    assert cost.bytes == 400 + 1600 + 400
    assert cost.operations == 2 * 100 * (4 + 4)


def test_half_the_precision_is_half_the_memory():
    net = meta_copy(build(ModelConfig(width=4, depth=2)))
    full = count_cost(net, (1, 1, 60, 60), torch.float32)
    half = count_cost(net.to(torch.bfloat16), (1, 1, 60, 60), torch.bfloat16)
    assert half.bytes * 2 == full.bytes
    assert half.operations == full.operations


def test_a_copy_without_weights_leaves_the_network_alone():
    net = build(ModelConfig(width=2, depth=1, norm="batch"))
    copy = meta_copy(net)
    assert all(weight.is_meta for weight in [*copy.parameters(), *copy.buffers()])
    assert not any(weight.is_meta for weight in [*net.parameters(), *net.buffers()])


def test_this_process_holds_memory():
    before = resident_bytes()
    with mmap.mmap(-1, 64 * 2**20) as kept:
        kept.write(b"x" * len(kept))
        assert resident_bytes() - before > 48 * 2**20
