"""Gradients of 3D convolutions in bfloat16, each shape in a process of its own: which of them end the process.

Torch 2.13 aborts on processors with AMX, see `biounet.models.device.choose_training_precision`. Glibc looks at the
memory of every call (MALLOC_CHECK_, MALLOC_PERTURB_), so that a fault is found that would else stay unseen. Where no
processor has AMX, nothing is found; the line says whether this one has. A row is printed per shape as it is done.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import torch

STEP = """
import sys, torch
planes, side, before, after, threads, steps = map(int, sys.argv[1:7])
torch.set_num_threads(threads)
precision = getattr(torch, sys.argv[7])
for seed in range(steps):
    torch.manual_seed(seed)
    layer = torch.nn.Conv3d(before, after, 3, padding=1).to(memory_format=torch.channels_last_3d)
    image = torch.randn(1, before, planes, side, side, requires_grad=before > 1)
    image = image.contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        result = layer(image).relu().float().square().mean()
    result.backward()
    assert layer.weight.grad.isfinite().all()
"""

CHECKED = "libc_malloc_debug.so.0"
"""Library of glibc from 2.34 on in which MALLOC_CHECK_ lives."""


def probe(shape, precision, steps, patience):
    """How a process ends that computes the gradients of one shape: "" if well."""
    surroundings = {**os.environ, "MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"}
    if any(Path(folder, CHECKED).exists() for folder in ("/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64")):
        surroundings["LD_PRELOAD"] = CHECKED
    words = [sys.executable, "-c", STEP, *map(str, (*shape, steps)), precision]
    try:
        ended = subprocess.run(words, env=surroundings, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        return f"no end in {patience:g} s"
    if ended.returncode < 0:
        return signal.Signals(-ended.returncode).name
    return "" if not ended.returncode else (ended.stderr.strip().splitlines() or [f"status {ended.returncode}"])[-1]


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--planes", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32])
    options.add_argument("--sides", type=int, nargs="+", default=[24, 48, 96, 160])
    options.add_argument("--before", type=int, nargs="+", default=[1, 2, 16, 32])
    options.add_argument("--after", type=int, nargs="+", default=[8, 16, 32, 64])
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options.add_argument("--precision", choices=["bfloat16", "float32"], default="bfloat16")
    options.add_argument("--steps", type=int, default=3)
    options.add_argument("--patience", type=float, default=120)
    given = options.parse_args()
    able = torch.cpu.get_capabilities()
    print(f"{'planes':>6} {'side':>5} {'before':>6} {'after':>5} {'threads':>7}  ended", file=sys.stderr)
    shapes = list(product(given.planes, given.sides, given.before, given.after, given.threads))
    broken = []
    for shape in shapes:
        how = probe(shape, given.precision, given.steps, given.patience)
        print("{:6} {:5} {:6} {:5} {:7}  ".format(*shape) + (how or "well"), file=sys.stderr)
        broken += [[*shape, how]] if how else []
    result = {"torch": torch.__version__, "cpu": able.get("cpu_name", ""), "amx": bool(able.get("amx_bf16"))}
    print(json.dumps({**result, "precision": given.precision, "shapes": len(shapes), "broken": broken}))


if __name__ == "__main__":
    main()
