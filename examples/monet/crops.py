"""Crops of grey images of nuclei, as scenes of a few blobs."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biounet.data import find_dataset
from biounet.io import read


def read_nuclei(folder: Path) -> list[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Images (Y, X) in [0, 1] and labels (Y, X) of a dataset, of its fluorescence: grey, and dark between nuclei.

    Pixels are averaged in blocks of 2 x 2, which makes most nuclei of the Data Science Bowl 10 to 15 px wide.
    """
    found = []
    for pair in find_dataset(folder).pairs:
        image, labels = read(pair.image).array.astype(np.float32), read(pair.labels[0]).array
        colours = image.reshape(-1, *labels.shape)[:3]
        if (colours == colours[0]).all() and np.median(colours[0][labels == 0]) < colours[0].max() / 3:
            y, x = (length // 2 for length in labels.shape)
            grey = colours[0, : 2 * y, : 2 * x].reshape(y, 2, x, 2).mean(axis=(1, 3))
            found.append((np.clip(grey / np.percentile(grey, 99.5), 0, 1), labels[: 2 * y : 2, : 2 * x : 2]))
    return found


def draw_crops(
    rng: np.random.Generator,
    nuclei: list[tuple[NDArray[np.float32], NDArray[np.int32]]],
    count: int,
    *,
    size: int = 32,
    most: int = 3,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Draw crops (N, 3, Y, X), grey in three channels, with 2 to `most` nuclei each, and their labels (N, Y, X)."""
    crops: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(1000 * count):
        image, labels = _crop(rng, *nuclei[rng.integers(len(nuclei))], size)
        if 2 <= len(np.unique(labels[labels > 0])) <= most:
            crops.append((np.stack([image] * 3), labels))
        if len(crops) == count:
            images, truths = zip(*crops, strict=True)
            return np.stack(images), np.stack(truths)
    raise ValueError(
        f"found {len(crops)} of {count} crops with 2 to {most} nuclei; take images with more room around them"
    )


def _crop(rng: np.random.Generator, image: np.ndarray, labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A crop of a random place. Pieces of less than 20 px count as background, not as nuclei."""
    y, x = (rng.integers(length - size + 1) for length in labels.shape)
    crop = labels[y : y + size, x : x + size]
    names, pixels = np.unique(crop, return_counts=True)
    return image[y : y + size, x : x + size], np.where(np.isin(crop, names[pixels >= 20]), crop, 0).astype(np.int32)
