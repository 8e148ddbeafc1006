"""What all programs of the comparison share: images to learn from, processor time, label images and a line of facts.

A program is called as `python train_NAME.py FOLDER --seconds S`, in an environment of its own. FOLDER has `images/` and
`masks/` of the same names to learn from, and `test/` to find objects in. Label images are written to `FOLDER/results/`.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import tifffile
from skimage.io import imread


def processor_seconds():
    """Processor time so far, of this process and of its children that ended."""
    return sum(os.times()[:4])


def training_pairs(folder):
    """Images to learn from and their label images, two lists of (Y, X) arrays."""
    images = sorted((folder / "images").iterdir())
    return [imread(path) for path in images], [imread(folder / "masks" / f"{path.stem}.tif") for path in images]


def run(train):
    """Train by `train(folder, seconds) -> segment, facts`, find objects by `segment(image) -> labels`, print the facts.

    The first image is segmented twice: some programs compile meanwhile, which is no part of the time taken.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=600, help="of processor time, for the updates")
    given = parser.parse_args()
    began, clock = processor_seconds(), time.perf_counter()
    segment, facts = train(given.folder, given.seconds)
    facts |= {"training_seconds": processor_seconds() - began, "wall_seconds": time.perf_counter() - clock}
    paths = sorted((given.folder / "test").iterdir())
    images = [imread(path) for path in paths]
    segment(images[0])
    began = processor_seconds()
    found = [segment(image) for image in images]
    pixels = sum(image.size for image in images)
    facts["seconds_per_megapixel"] = 1e6 * (processor_seconds() - began) / pixels
    results = given.folder / "results"
    results.mkdir()
    for path, labels in zip(paths, found, strict=True):
        tifffile.imwrite(results / f"{path.stem}.tif", labels.astype(np.uint16))
    print(json.dumps(facts))
