"""Drawn scenes of a few blobs, in colour or in grey as of a microscope."""

import numpy as np
from numpy.typing import NDArray


def draw_scenes(
    rng: np.random.Generator,
    count: int,
    *,
    size: int = 32,
    grey: bool = False,
    most: int = 3,
    soft: bool = False,
    alike: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Draw images (N, C, Y, X) in [0, 1] of two to `most` blobs each, and their labels (N, Y, X), 0 is background.

    Blobs have different colours, of any hues far from each other, or in grey images different brightness; with `alike`
    the blobs of a scene have one. Where two overlap one sees the later. Edges are hard and a blob has one colour, as
    the sprites of Multi-dSprites do. With `soft` a blob is a fifth dimmer at its rim, and a pixel on an edge shows both
    sides, and is labelled as the one that covers more of it.
    """
    grid = np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 2, indexing="ij"))
    channels = 1 if grey else 3
    images = np.empty((count, channels, size, size), np.float32)
    labels = np.zeros((count, size, size), np.int32)
    for image, label in zip(images, labels, strict=True):
        image[:] = rng.uniform(0.02, 0.15, (channels, 1, 1))
        tints = _tints(rng, most, grey)
        for number, (centre, radius) in enumerate(_places(rng, rng.integers(2, most + 1), size), 1):
            turn, stretch = rng.uniform(0, np.pi), rng.uniform(1, 1.4)
            y, x = grid - centre[:, None, None]
            along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
            distance = np.hypot(along / stretch, across * stretch) / radius
            depth = (1 - distance) * radius  # pixels from the edge, below 0 outside
            cover, light = depth > 0, 1.0
            if soft:
                cover, light = np.clip(depth + 0.5, 0, 1), 1 - 0.2 * distance.clip(0, 1) ** 2
            image += cover * (light * tints[0 if alike else number - 1] - image)
            label[depth > 0] = number
    images += rng.normal(0, 0.02, images.shape).astype(np.float32)
    return images.clip(0, 1), labels


def _places(rng: np.random.Generator, blobs: int, size: int) -> list[tuple[np.ndarray, float]]:
    """Centres and radii, no two much nearer to each other than to touch."""
    placed: list[tuple[np.ndarray, float]] = []
    while len(placed) < blobs:
        radius = rng.uniform(0.14, 0.22) * size
        centre = rng.uniform(radius, size - radius, 2).astype(np.float32)
        if all(np.linalg.norm(centre - other) > 0.9 * (radius + theirs) for other, theirs in placed):
            placed.append((centre, radius))
    return placed


def _tints(rng: np.random.Generator, count: int, grey: bool) -> NDArray[np.float32]:
    """Colours of different hues, or grey values of different brightness: (count, C, 1, 1)."""
    if grey:
        values = np.linspace(0.4, 1, count) + rng.uniform(-0.08, 0.08, count)
        return rng.permutation(values).clip(0, 1).astype(np.float32)[:, None, None, None]
    hues = rng.uniform() + np.arange(count) / count + rng.uniform(-0.1, 0.1, count)
    waves = np.cos(2 * np.pi * (hues[:, None] - np.arange(3) / 3))
    return rng.permutation(0.5 + 0.5 * waves).astype(np.float32)[..., None, None]
