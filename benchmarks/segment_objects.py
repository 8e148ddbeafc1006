"""Objects of a large image of touching cells, in memory and region by region: time, memory, and that both agree.

python benchmarks/segment_objects.py [--sizes 1024 2048 4096] [--whole 8192] [--memory 1GiB]

Each row is measured in a process of its own, whose peak of memory is taken from outside. Times are processor times.
With `--whole 0` the comparison on the largest image is left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from biounet.config.object_rules import ObjectRules
from biounet.core.array_store import ArrayFolder
from biounet.core.boxes import ArrayReader, ArrayWriter
from biounet.segmentation import label_elevation, label_out_of_core, region_size

PITCH = 29
"""Pixels from cell to cell: 20,000 cells in 4096 x 4096 pixels."""

RULES = ObjectRules(target="distance", least_pixels=20)
UNITS = {"MiB": 2**20, "GiB": 2**30}


def draw_elevation(path, size):
    """Write the elevation map of cells on a jittered lattice, most of which touch others, strip by strip."""
    elevation = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(size, size))
    x = np.arange(size)
    for row in range(-(-size // PITCH)):
        y = np.arange(row * PITCH, min((row + 1) * PITCH, size))
        depth = np.zeros((len(y), size), np.float32)
        for other in (row - 1, row, row + 1):  # cells of the rows above and below reach into this one
            rng = np.random.default_rng(other + 1)
            columns = np.arange(size // PITCH + 1)
            middle_y = (other + 0.5) * PITCH + rng.uniform(-3, 3, len(columns))
            middle_x = (columns + 0.5) * PITCH + rng.uniform(-3, 3, len(columns))
            radius = rng.uniform(0.4, 0.58, len(columns)) * PITCH
            for shift in (-1, 0, 1):
                cell = np.clip(x // PITCH + shift, 0, len(columns) - 1)
                away = np.hypot(y[:, None] - middle_y[cell], x - middle_x[cell])
                np.maximum(depth, 1 - away / radius[cell], out=depth)
        noise = np.random.default_rng(10**6 + row).normal(0, 0.02, depth.shape)
        elevation[y] = np.where(depth > 0, 1 + 254 * np.clip(depth + noise, 0, 1), 0)
    elevation.flush()


class FileReader:
    """A region of an array in a file, read without mapping the file into memory."""

    def __init__(self, path):
        self._path = path
        self.shape = np.load(path, mmap_mode="r").shape

    def read(self, box):
        """Return a copy of a region."""
        return np.array(np.load(self._path, mmap_mode="r")[box.slices])


class FileWriter:
    """The same to write."""

    def __init__(self, path, shape):
        self._path = path
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint32, shape=shape).flush()

    def write(self, box, array):
        """Store a region."""
        np.load(self._path, mmap_mode="r+")[box.slices] = array


def label_whole(elevation, labels):
    np.save(labels, label_elevation(np.load(elevation), RULES))


def label_regions(elevation, labels, memory):
    reader = FileReader(elevation)
    region = region_size(reader.shape, memory // 2, multiple=(256, 256))
    with tempfile.TemporaryDirectory(dir=labels.parent) as folder:
        label_out_of_core(
            reader, FileWriter(labels, reader.shape), RULES, region=region, keep=ArrayFolder(Path(folder))
        )


def work(kind, elevation, labels, memory):
    """What a child does: once on a corner, to compile; then timed."""
    corner = np.load(elevation, mmap_mode="r")[:64, :64].copy()
    label_out_of_core(ArrayReader(corner), ArrayWriter(np.zeros((64, 64), np.uint32)), RULES, region=(32, 32))
    label_elevation(corner, RULES)
    start = time.process_time()
    label_whole(elevation, labels) if kind == "whole" else label_regions(elevation, labels, memory)
    print(time.process_time() - start)


def measure(kind, elevation, labels, memory):
    """Run a child; return its processor seconds and the most memory that it held."""
    command = [sys.executable, __file__, "--child", kind, str(elevation), str(labels), str(memory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{kind} failed")
    return {"seconds": round(float(said), 2), "peak_bytes": usage.ru_maxrss * 1024}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="*", default=[1024, 2048, 4096])
    parser.add_argument("--whole", type=int, default=8192, help="size of the image that is labelled both ways")
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--child", nargs=4)
    given = parser.parse_args()
    if given.child:
        kind, elevation, labels, memory = given.child
        work(kind, Path(elevation), Path(labels), int(memory))
        return
    budget = int(given.memory[:-3]) * UNITS[given.memory[-3:]]
    report = {"benchmark": "segment_objects", "budget_bytes": budget, "rows": []}
    with tempfile.TemporaryDirectory() as folder:
        elevation, one, other = (Path(folder, f"{name}.npy") for name in ("elevation", "whole", "regions"))
        for size in given.sizes:
            draw_elevation(elevation, size)
            row = measure("whole", elevation, one, budget)
            row["objects"] = int(np.load(one, mmap_mode="r").max())
            report["rows"].append({"size": size, **row, "seconds_per_megapixel": row["seconds"] / size**2 * 1e6})
        if given.whole:
            report["out_of_core"] = compare(elevation, one, other, given.whole, budget)
    print(json.dumps(report))


def compare(elevation, one, other, size, budget):
    """Label an image both ways."""
    draw_elevation(elevation, size)
    whole, regions = measure("whole", elevation, one, budget), measure("regions", elevation, other, budget)
    same = all(
        np.array_equal(a, b) for a, b in zip(np.load(one, mmap_mode="r"), np.load(other, mmap_mode="r"), strict=True)
    )
    return {
        "size": size,
        "whole": whole,
        "regions": regions,
        "same_labels": same,
        "inside_budget": regions["peak_bytes"] <= budget,
        "times_slower": round(regions["seconds"] / whole["seconds"], 2),
    }


if __name__ == "__main__":
    main()
