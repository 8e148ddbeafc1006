"""Peak memory of `biounet train`, seen from outside, with images in memory and in files, or in bands.

python benchmarks/larger_than_memory.py [--images 12] [--size 1024] [--steps 8]
python benchmarks/larger_than_memory.py --one 6000 --gib 0.5 --steps 3          one image, of which bands are in memory

The first shows that a set in files takes less memory than one in memory and gives the same weights. The second shows
that an image much larger than `train.memory` adds no more than that to what a process takes in any case, which a small
image tells: both are validated on the same third image, since what is validated on lies in memory. `results` holds
what the second one printed.
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

from biounet.core.boxes import Box
from biounet.core.memory import machine_bytes
from biounet.data import Pair
from biounet.data.out_of_core import bytes_to_prepare
from biounet.io import Image, create, write
from biounet.models.model_file import load_network

TRAIN = "import sys; from biounet.cli import main; sys.argv[0] = 'biounet'; main()"
CELL = 32  # pixels from one cell of the large image to the next
STRIP = 1024  # rows of it that are written at a time
SMALL, HELD_OUT = 2048, 512  # pixels along each side of an image that is not divided, and of that which is held out
SETTINGS = ["model.width=4", "model.depth=2", "train.patch=128", "train.border_weight=5", "train.class_balance=true"]


def write_set(folder, images, size):
    """Write images of noise with square cells."""
    rng = np.random.default_rng(0)
    for number in range(images):
        cells = np.kron(rng.integers(0, 2, (size // 16, size // 16)), np.ones((16, 16), int)).astype(np.uint8)
        write(folder / "images" / f"{number:03}.tif", Image(rng.integers(0, 255, cells.shape).astype(np.uint8), "YX"))
        write(folder / "labels" / f"{number:03}.tif", Image(cells, "YX"))
    return folder


def write_one(folder, size):
    """Write one image in chunks, of noise with square cells that are numbered."""
    rng, shape = np.random.default_rng(0), (size, size)
    across = -(-size // CELL)
    inside = np.tile(np.arange(CELL) < CELL - 4, across)[:size]
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    images = create(folder / "images" / "a.zarr", shape=shape, dtype="uint8", axes="YX")
    labels = create(folder / "labels" / "a.zarr", shape=shape, dtype="uint32", axes="YX")
    with images, labels:
        for top in range(0, size, STRIP):
            rows = np.arange(top, min(top + STRIP, size))
            box = Box((top, 0), (int(rows[-1]) + 1, size))
            number = 1 + rows[:, None] // CELL * across + np.arange(size) // CELL
            cells = (rows % CELL < CELL - 4)[:, None] & inside
            labels.write(box, np.where(cells, number, 0).astype(np.uint32))
            images.write(box, (rng.integers(0, 156, box.shape) + 100 * cells).astype(np.uint8))
    return folder


def train(dataset, out, steps, settings):
    """Run the command; return the most memory that it held, how long it took, and how long steps waited."""
    arguments = ["train", str(dataset), "--out", str(out), "--steps", str(steps), "--device", "cpu"]
    for setting in [*SETTINGS, "train.reports=1", *settings]:
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


def among(images, memory):
    """Settings of a run that holds out one of so many images."""
    return [f"train.validation={1 / images}", f"train.memory={memory}"]


def many_images(place, given):
    """Compare a set in memory with the same in files."""
    few = write_set(place / "few", 2, given.size)
    many = write_set(place / "many", given.images, given.size)
    rows = {
        "two_in_memory": train(few, place / "a", given.steps, among(2, 1)),
        "in_memory": train(many, place / "b", given.steps, among(given.images, 1)),
        "in_files": train(many, place / "c", given.steps, among(given.images, 0)),
    }
    weights = {name: row.pop("weights") for name, row in rows.items()}
    same = all(torch.equal(value, weights["in_files"][name]) for name, value in weights["in_memory"].items())
    beyond = {
        name: rows[name]["peak_bytes"] - rows["two_in_memory"]["peak_bytes"] for name in ("in_memory", "in_files")
    }
    return {
        "images": given.images,
        "size": given.size,
        "set_bytes": given.images * given.size**2 * 20,
        **rows,
        "beyond_two_images_bytes": beyond,
        "same_weights": same,
    }


def one_image(place, given):
    """Train on one image of which memory holds bands; a small one tells what a process takes in any case."""
    held_out = write_one(place / "held-out", HELD_OUT)
    limit = ["train.target=distance", f"train.validation={held_out}", "model.norm=none"]
    limit.append(f"train.memory={given.gib * 2**30 / machine_bytes()}")
    rows = {}
    for name, size in (("small", SMALL), ("large", given.one)):
        rows[name] = train(write_one(place / name, size), place / f"run-{name}", given.steps, limit)
        rows[name].pop("weights")
    return {
        "size": given.one,
        "pixels": given.one**2,
        "whole_bytes": bytes_to_prepare(Pair("a", Path(), (), "a", shape=(1, given.one, given.one))),
        "allowed_bytes": int(given.gib * 2**30),
        **rows,
        "beyond_small_bytes": rows["large"]["peak_bytes"] - rows["small"]["peak_bytes"],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--one", type=int)
    parser.add_argument("--gib", type=float, default=1.5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = one_image(Path(folder), given) if given.one else many_images(Path(folder), given)
    print(json.dumps({"benchmark": "larger_than_memory", **measured}))


if __name__ == "__main__":
    main()
