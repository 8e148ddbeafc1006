"""Peak memory and time of a step of `biounet train`, seen from outside, with images in memory and in files.

python benchmarks/larger_than_memory.py [--images 12] [--size 1024] [--steps 8]
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from biounet.images import Image, write
from biounet.modelfile import load_network

TRAIN = "import sys; from biounet.cli import main; sys.argv[0] = 'biounet'; main()"
SETTINGS = ["model.width=4", "model.depth=2", "train.patch=128", "train.border_weight=5", "train.class_balance=true"]


def write_set(folder, images, size):
    """Write images of noise with square cells."""
    rng = np.random.default_rng(0)
    for number in range(images):
        cells = np.kron(rng.integers(0, 2, (size // 16, size // 16)), np.ones((16, 16), int)).astype(np.uint8)
        write(folder / "images" / f"{number:03}.tif", Image(rng.integers(0, 255, cells.shape).astype(np.uint8), "YX"))
        write(folder / "labels" / f"{number:03}.tif", Image(cells, "YX"))
    return folder


def train(dataset, out, steps, images, memory):
    """Run the command; return the most memory that it held, how long it took, and how long steps waited."""
    arguments = ["train", str(dataset), "--out", str(out), "--steps", str(steps), "--device", "cpu"]
    for setting in [*SETTINGS, "train.reports=1", f"train.validation={1 / images}", f"train.memory={memory}"]:
        arguments += ["--set", setting]
    process = subprocess.Popen([sys.executable, "-c", TRAIN, *arguments], stderr=subprocess.PIPE, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(said)
    with (out / "log.csv").open() as stream:
        *_, row = csv.DictReader(stream)
    return {
        "peak_bytes": usage.ru_maxrss * 1024,
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "waiting": float(row["waiting"]),
        "weights": load_network(out)[0].state_dict(),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        few = write_set(place / "few", 2, given.size)
        many = write_set(place / "many", given.images, given.size)
        rows = {
            "two_in_memory": train(few, place / "a", given.steps, 2, 1),
            "in_memory": train(many, place / "b", given.steps, given.images, 1),
            "in_files": train(many, place / "c", given.steps, given.images, 0),
        }
    weights = {name: row.pop("weights") for name, row in rows.items()}
    same = all(torch.equal(value, weights["in_files"][name]) for name, value in weights["in_memory"].items())
    beyond = {
        name: rows[name]["peak_bytes"] - rows["two_in_memory"]["peak_bytes"] for name in ("in_memory", "in_files")
    }
    result = {
        "benchmark": "larger_than_memory",
        "images": given.images,
        "size": given.size,
        "set_bytes": given.images * given.size**2 * 20,
        **rows,
        "beyond_two_images_bytes": beyond,
        "same_weights": same,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
