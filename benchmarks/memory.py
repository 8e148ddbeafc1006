"""Peak memory of `biounet predict` on large OME-Zarr images, measured from outside, and how time grows with pixels.

python benchmarks/memory.py [--sizes 4096 8192 16384] [--volume [Z Y X]] [--memory 2GiB] [--save classes|labels]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from biounet.config import ModelConfig
from biounet.core.boxes import Box
from biounet.core.memory import parse_bytes
from biounet.data.normalize import Normalization
from biounet.io import create
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

WIDTH = {2: 16, 3: 4}  # narrow, so that a volume takes minutes
VOLUME = (256, 1024, 1024)
PREDICT = "import sys; from biounet.cli import main; sys.argv[0] = 'biounet'; main()"


def write_model(path, dims, save):
    """Save an untrained network: what it computes costs the same."""
    width, depth = WIDTH[dims], {2: 4, 3: 3}[dims]
    config = ModelConfig(dims=dims, width=width, max_width=16 * width, depth=depth, padding="same", norm="batch")
    target = "foreground" if save == "labels" else "classes"
    save_network(path, build(config), ModelCard(model=config, normalization=Normalization(), target=target))
    return path


def write_noise(path, shape):
    """Write an 8-bit OME-Zarr of noise, strip by strip."""
    rng = np.random.default_rng(0)
    strip = 32 if len(shape) == 3 else 256
    with create(path, shape=shape, dtype="uint8", axes="ZYX"[-len(shape) :]) as output:
        for top in range(0, shape[0], strip):
            bottom = min(top + strip, shape[0])
            pixels = rng.integers(0, 256, (bottom - top, *shape[1:]), dtype=np.uint8)
            output.write(Box((top, *[0] * len(shape[1:])), (bottom, *shape[1:])), pixels)
    return path


def predict(model, image, out, memory, save):
    """Run the command; return what it planned, how long it took and the most memory that it held."""
    arguments = ["predict", str(model), str(image), "--out", str(out), "--memory", memory, "--save", save]
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", PREDICT, *arguments], stderr=subprocess.PIPE, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(said)
    (tiles, redundancy, planned) = re.search(
        r": (\d+) tiles?.*redundancy ([\d.]+)\).*at most ([\d.]+ \wiB)", said
    ).groups()
    return {
        "tiles": int(tiles),
        "redundancy": float(redundancy),
        "planned_bytes": parse_bytes(planned),
        "peak_bytes": usage.ru_maxrss * 1024,
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="*", default=[1024, 2048, 4096])
    parser.add_argument("--memory", default="2GiB")
    parser.add_argument("--save", choices=["classes", "labels"], default="classes", help="labels: numbered objects")
    parser.add_argument("--volume", type=int, nargs="*", help="through a 3D network as well; 256 1024 1024 if not said")
    given = parser.parse_args()
    shapes = [(size, size) for size in given.sizes]
    if given.volume is not None:
        shapes.append(tuple(given.volume) or VOLUME)
    rows = []
    for shape in shapes:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            model = write_model(place / "model.safetensors", len(shape), given.save)
            image = write_noise(place / "image.zarr", shape)
            row = predict(model, image, place / "out.zarr", given.memory, given.save)
        pixels = int(np.prod(shape))
        rows.append(
            {
                "shape": shape,
                "width": WIDTH[len(shape)],
                **row,
                "processor_seconds_per_megapixel": row["processor_seconds"] / pixels * 1e6,
            }
        )
    budget = parse_bytes(given.memory)
    result = {
        "benchmark": "memory",
        "save": given.save,
        "threads": torch.get_num_threads(),
        "budget_bytes": budget,
        "inside_budget": all(row["peak_bytes"] <= budget for row in rows),
        "rows": rows,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
