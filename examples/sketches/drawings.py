"""Line drawings of cells, and the same cells painted as a stain shows them."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

STAINS: Mapping[str, tuple[tuple[float, float, float], ...]] = MappingProxyType(
    {
        "haematoxylin and eosin": ((0.96, 0.94, 0.96), (0.93, 0.60, 0.74), (0.36, 0.20, 0.56)),
        "Giemsa": ((0.98, 0.96, 0.92), (0.72, 0.74, 0.90), (0.45, 0.10, 0.50)),
        "DAPI": ((0.02, 0.02, 0.05), (0.05, 0.06, 0.16), (0.25, 0.40, 1.00)),
        "DAPI and phalloidin": ((0.02, 0.03, 0.02), (0.10, 0.65, 0.20), (0.25, 0.40, 1.00)),
        "acridine orange": ((0.03, 0.02, 0.00), (0.85, 0.30, 0.10), (0.45, 0.90, 0.20)),
        "DAB": ((0.95, 0.93, 0.90), (0.80, 0.66, 0.48), (0.40, 0.22, 0.10)),
        "trichrome": ((0.93, 0.95, 0.98), (0.85, 0.25, 0.30), (0.20, 0.12, 0.25)),
        "silver": ((0.90, 0.85, 0.70), (0.70, 0.60, 0.40), (0.10, 0.08, 0.05)),
    }
)
"""Name of a stain -> red, green and blue of the background, of cells and of nuclei, roughly as they look."""


def draw_cells(
    rng: np.random.Generator, stains: NDArray[np.int64], *, size: int = 48
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw line drawings (N, 1, Y, X) and paintings (N, 3, Y, X), both in [0, 1], one for each number of a stain."""
    palettes = np.array(list(STAINS.values()), np.float32)
    lines, paintings = [], []
    for stain in stains:
        parts, depth = _cells(rng, size)
        colours = palettes[stain] + rng.normal(0, 0.02, (3, 3)).astype(np.float32)
        light = 1 - 0.25 * depth + 0.05 * ndimage.gaussian_filter(rng.standard_normal((size, size)), 1) / 0.28
        painting = np.moveaxis(colours[parts], -1, 0) * np.where(parts > 0, light, 1)
        edges = (parts != ndimage.minimum_filter(parts, 3)).astype(np.float32)
        paintings.append(ndimage.gaussian_filter(painting, (0, 0.6, 0.6)).clip(0, 1).astype(np.float32))
        lines.append(1 - edges[None])
    return np.stack(lines), np.stack(paintings)


def _cells(rng: np.random.Generator, size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Parts of each pixel (0 background, 1 cell, 2 nucleus), and how near it is to the rim of its part, in [0, 1]."""
    parts, depth = np.zeros((size, size), int), np.zeros((size, size))
    grid = np.stack(np.meshgrid(*[np.arange(size)] * 2, indexing="ij"))
    placed: list[tuple[np.ndarray, float]] = []
    for _ in range(12):
        radius = rng.uniform(0.15, 0.22) * size
        centre = rng.uniform(0.6 * radius, size - 0.6 * radius, 2)
        if any(np.linalg.norm(centre - other) < radius + theirs for other, theirs in placed):
            continue
        placed.append((centre, radius))
        angle, stretch = rng.uniform(0, np.pi), rng.uniform(1, 1.25)
        nucleus = centre + rng.uniform(-0.2, 0.2, 2) * radius
        for number, middle, reach in ((1, centre, radius), (2, nucleus, radius * rng.uniform(0.35, 0.5))):
            y, x = grid - middle[:, None, None]
            along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
            distance = np.hypot(along / stretch, across * stretch) / reach
            parts[distance < 1], depth[distance < 1] = number, distance[distance < 1] ** 2
    return parts, depth
