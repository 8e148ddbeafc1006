"""Objects of an image of 4096 x 4096 with 20,000 cells: labels and table; growth with size; against scikit-image.

python benchmarks/objects.py [--size 4096]

Processor seconds beside the time on the clock: other work on the machine disturbs them less. One JSON line.
"""

import argparse
import json
import resource
import time

import numpy as np
from skimage.measure import regionprops_table

from biounet.config.object_rules import ObjectRules
from biounet.measurement import measure_objects
from biounet.segmentation import segment_objects

PITCH = 29
"""Pixels from cell to cell: 20,000 of them in 4096 x 4096."""

THEIRS = ("label", "area", "centroid", "bbox", "perimeter_crofton", "eccentricity", "intensity_mean", "intensity_std")


def draw_cells(size, *, touching):
    """Probabilities of discs of about 25 pixels that do not touch, or labels of squares that all do."""
    place = np.arange(size)
    if touching:
        row = place // PITCH
        return (row[:, None] * (row[-1] + 1) + row + 1).astype(np.uint32)
    away = (place % PITCH - PITCH // 2) ** 2
    return np.where(away[:, None] + away <= 12.5**2, np.float32(0.9), np.float32(0.1))


def clock(run):
    """Seconds on the clock, processor seconds, and the result."""
    began, used = time.perf_counter(), time.process_time()
    result = run()
    return round(time.perf_counter() - began, 2), round(time.process_time() - used, 2), result


def measured(size):
    """Label and measure a drawn image: with intensities and probabilities."""
    probabilities = draw_cells(size, touching=False)
    image = np.random.default_rng(0).integers(0, 60_000, (size, size)).astype(np.uint16)
    both = np.stack([1 - probabilities, probabilities])
    label_time = clock(lambda: segment_objects(both, ObjectRules()))
    labels = label_time[-1]
    table_time = clock(lambda: measure_objects(labels, image=image, probabilities=probabilities))
    return (
        labels,
        image,
        {
            "objects": int(labels.max()),
            "labels_seconds": label_time[:2],
            "table_seconds": table_time[:2],
        },
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    size = parser.parse_args().size
    measured(64)  # compiles
    growth = {side: measured(side)[2]["table_seconds"][1] / (side / 1024) ** 2 for side in (size // 4, size // 2)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    *_, large = measured(size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    growth[size] = large["table_seconds"][1] / (size / 1024) ** 2
    touching = clock(lambda: measure_objects(draw_cells(size, touching=True)))[:2]
    labels, image, ours = measured(size // 4)
    theirs = clock(lambda: regionprops_table(labels, image, properties=THEIRS))[1]
    hulls = clock(lambda: regionprops_table(labels, properties=("solidity",)))[1]
    report = {
        "size": size,
        **large,
        "peak_mebibytes_added": (peak - before) // 1024,
        "touching_table_seconds": touching,
        "table_cpu_seconds_per_megapixel": {side: round(value, 3) for side, value in growth.items()},
        "speed_against_regionprops": round(theirs / ours["table_seconds"][1], 1),
        "speed_against_regionprops_with_solidity": round((theirs + hulls) / ours["table_seconds"][1], 1),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
