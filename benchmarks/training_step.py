"""One training step of the default network against a plain float32 loop of the same network.

The plain loop is what one writes without thinking of the machine: float32, channels first. Where the
processor multiplies bfloat16 itself, ours uses it; where not, the two differ little, and the line says so.
"""

import argparse
import json
import time
from contextlib import nullcontext

import torch
from lightning_fabric import Fabric
from torch.nn.functional import cross_entropy

from biounet.config import RunConfig
from biounet.core.memory import freed_memory_kept
from biounet.data.patches import Batch
from biounet.models import build
from biounet.models.device import choose_device, choose_precision, has_bfloat16
from biounet.training.step import State, train_step


def plain_loop(config, batch):
    net = build(config.model).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        cross_entropy(net(batch.image), batch.labels).backward()
        optimizer.step()

    return step


def our_loop(config, batch):
    device = choose_device("cpu")
    precision = choose_precision("auto", device)
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed" if precision == torch.bfloat16 else "32-true")
    state = State.begin(config, device)
    return lambda: train_step(state, batch, config.train, fabric=fabric, progress=0.5)


def seconds(step, conditions):
    """Of the second of two steps, under the conditions of a run."""
    with conditions():
        step()
        start = time.perf_counter()
        step()
        return time.perf_counter() - start


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--width", type=int, default=32)
    options.add_argument("--rounds", type=int, default=4)
    given = options.parse_args()
    config = RunConfig.preset("default").updated({"model.width": given.width, "train.loss": "cross-entropy"})
    batch = Batch(torch.randn(4, 1, 256, 256), torch.randint(2, (4, 256, 256)), None)
    loops = (our_loop(config, batch), freed_memory_kept), (plain_loop(config, batch), nullcontext)
    ours, plain = zip(*([seconds(*loop) for loop in loops] for _ in range(given.rounds)), strict=True)
    able = has_bfloat16(torch.device("cpu"))
    result = {
        "benchmark": "training_step",
        "network": f"U-Net, width {given.width}, batch of 4 x 256 x 256",
        "biounet_s": round(min(ours), 3),
        "plain_float32_s": round(min(plain), 3),
        "times_faster": round(min(plain) / min(ours), 2),
        "bfloat16_hardware": able,
        "note": "" if able else "no AMX or AVX512-bf16 here: float32 on both sides, the bar of 8 needs bfloat16",
        "threads": torch.get_num_threads(),
        "processor": torch.cpu.get_capabilities().get("cpu_name", ""),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
