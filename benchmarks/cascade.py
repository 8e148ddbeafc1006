"""What the cascade saves where an image is mostly empty: the fine network on boxes against the fine network everywhere.

python benchmarks/cascade.py [--updates 60] [--width 8] [--size 2048] [--nuclei 4]

Trains on the fluorescence images of DSB 2018 (in the folder that BIOUNET_DATA names), puts nuclei of one of them on a
large image of noise like that of its background, and predicts it in both ways, one after the other.
"""

import argparse
import json
import os
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from biounet.config import ModelConfig
from biounet.inference.overlap_tile import predict_array
from biounet.io import read
from biounet.models import build, cascade

CPU = {"device": torch.device("cpu"), "precision": torch.float32}
DARK = 60
"""Mean grey value below which an image of one channel is fluorescence."""
PATCH = 128
BATCH = 2
AROUND = 12
"""Pixels kept around a nucleus."""


def load(folder):
    """Read the fluorescence images, their background 0, and the numbers of their nuclei."""
    for path in sorted((folder / "images").iterdir()):
        image = read(path).array
        if image.ndim == 2 and image.mean() < DARK and min(image.shape) >= PATCH:
            image = image.astype(np.float32)
            labels = read(next((folder / "masks").glob(f"{path.stem}.*")), labels=True).array
            yield (image - np.median(image[labels == 0])) / image.std(), labels


def train(pairs, updates, width):
    """Train on patches, both outputs alike."""
    rng = np.random.default_rng(0)
    net = build(ModelConfig(name="cascade-unet", width=width, padding="same", norm="batch")).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    for _ in range(updates):
        patches = [cut(rng, *pairs[rng.integers(len(pairs))]) for _ in range(BATCH)]
        images, labels = (torch.from_numpy(np.stack(part)) for part in zip(*patches, strict=True))
        scores = net(images[:, None])
        classes = (labels > 0).long()[:, None].expand(-1, scores.shape[2], -1, -1)
        loss = cross_entropy(scores, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


def cut(rng, image, labels):
    """Cut out a patch."""
    top, left = (rng.integers(side - PATCH + 1) for side in image.shape)
    place = slice(top, top + PATCH), slice(left, left + PATCH)
    return image[place], labels[place].astype(np.int32)


def scatter(image, labels, size, nuclei):
    """Put nuclei of an image, with a rim, at places drawn on noise like that of its background."""
    rng = np.random.default_rng(0)
    canvas = rng.normal(0, image[labels == 0].std() / 4, (1, size, size)).astype(np.float32)
    for number in rng.choice(np.unique(labels[labels > 0]), nuclei, replace=False):
        rows, columns = (places + AROUND for places in np.nonzero(labels == number))
        part = np.pad(image, AROUND)[
            rows.min() - AROUND : rows.max() + AROUND, columns.min() - AROUND : columns.max() + AROUND
        ]
        top, left = rng.integers(0, size - 128, 2)
        canvas[0, top : top + part.shape[0], left : left + part.shape[1]] = part[:128, :128]
    return canvas


def clock(net, image):
    """Processor seconds, which other work on the machine disturbs less, probabilities, and pixels that were refined."""
    pixels, refine = [], cascade.CascadeUNet._refine

    def counted(net, crop, small):
        pixels.append(crop.numel())
        return refine(net, crop, small)

    with patch.object(cascade.CascadeUNet, "_refine", counted):
        began = time.process_time()
        found = predict_array(net, image, **CPU)
        return time.process_time() - began, found[1], sum(pixels)


def main():
    parser = argparse.ArgumentParser()
    for name, usual in {"updates": 60, "width": 8, "size": 2048, "nuclei": 4}.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    given = parser.parse_args()
    pairs = list(load(Path(os.environ["BIOUNET_DATA"], "dsb2018")))
    net = train(pairs, given.updates, given.width)
    image, empty = (scatter(*pairs[0], given.size, nuclei) for nuclei in (given.nuclei, 0))
    predict_array(net, empty[:, :256, :256], **CPU)  # libraries warm up
    boxes, found, refined = clock(net, image)
    nothing, _, refined_of_nothing = clock(net, empty)
    with patch.object(cascade, "_is_unknown", lambda trust: True):
        everywhere, expected, pixels = clock(net, image)
    line = {
        **vars(given),
        "foreground_pixels": int((found > 0.5).sum()),
        "refined": round(refined / pixels, 3),
        "refined_of_empty": round(refined_of_nothing / pixels, 3),
        "everywhere_seconds": round(everywhere, 2),
        "boxes_seconds": round(boxes, 2),
        "empty_seconds": round(nothing, 2),
        "largest_difference": float(np.abs(found - expected).max()),
        "threads": torch.get_num_threads(),
        "processor": torch.cpu.get_capabilities().get("cpu_name", ""),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
