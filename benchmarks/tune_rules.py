"""Rules of objects tuned on a large image of touching cells, whole and in parts: time, and how good they are.

python benchmarks/tune_rules.py [--size 4096] [--quick]

Seconds are those of the processor. The score of both is that of the objects of the whole image. One JSON line.
"""

import argparse
import json
import time

import numpy as np
from scipy.ndimage import gaussian_filter

from biounet.config.object_rules import ObjectRules
from biounet.data.synthetic import draw_cells
from biounet.data.targets import interior_border
from biounet.metrics import match_objects
from biounet.segmentation import score_objects, segment_objects, tune_rules
from biounet.training.validation import TUNING_PIXELS

BLOCK, CELLS, DIAMETER = 512, 312, 29
"""Cells are drawn in blocks: 64 of them, with 20,000 cells, are 4096 x 4096 pixels."""


def draw(size):
    """Numbered cells, and what a network might say of background, interior and border."""
    rng = np.random.default_rng(0)
    drawn = [draw_cells(rng, size=(BLOCK, BLOCK), cells=CELLS, diameter=DIAMETER)[1] for _ in range(4)]
    cells, number = np.zeros((size, size), np.int32), 0
    for index, (y, x) in enumerate(np.ndindex(size // BLOCK, size // BLOCK)):
        block = drawn[(index + y) % len(drawn)]
        place = np.s_[y * BLOCK : (y + 1) * BLOCK, x * BLOCK : (x + 1) * BLOCK]
        cells[place] = np.where(block > 0, block + number, 0)
        number += int(block.max())
    target = interior_border(cells)
    said = np.stack([gaussian_filter((target == part).astype(np.float32), 1.5) for part in range(3)])
    said += rng.normal(0, 0.05, said.shape).astype(np.float32)
    said = said.clip(0.001, None)
    return cells, said / said.sum(axis=0)


def tuned(cells, probabilities, pixels, *, quick):
    """Processor seconds of the search, and the score of its rules on the whole image."""
    begin = time.process_time()
    rules, _ = tune_rules([probabilities], [cells], ObjectRules(target="border"), pixels=pixels, quick=quick)
    seconds = time.process_time() - begin
    matching = match_objects(cells, segment_objects(probabilities, rules))
    return {"seconds": round(seconds, 1), "score": round(score_objects([matching], metric="ap"), 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--quick", action="store_true", help="the choice between five rules, as at every report")
    given = parser.parse_args()
    cells, probabilities = draw(given.size)
    corner = np.s_[:BLOCK, :BLOCK]
    tuned(cells[corner], probabilities[:, *corner], np.inf, quick=True)  # compiles
    pixels = min(TUNING_PIXELS, cells.size // 4)
    parts = tuned(cells, probabilities, pixels, quick=given.quick)
    whole = tuned(cells, probabilities, np.inf, quick=given.quick)
    report = {"benchmark": "tune_rules", "size": given.size, "cells": int(cells.max()), "pixels_of_parts": pixels}
    report |= {"whole": whole, "parts": parts, "times_faster": round(whole["seconds"] / parts["seconds"], 1)}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
