"""Parts of synthetic images: smooth noise, detector noise, ellipsoids."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Floats", "Labels", "Rng", "ellipsoid", "grain", "orientation", "smooth_noise", "squash", "to_bytes"]


Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Rng = np.random.Generator


def smooth_noise(rng: Rng, size: Sequence[int], scale: float) -> Floats:
    """Normal noise that varies over `scale` pixels: mean 0 and standard deviation 1 at every pixel."""
    weights = [_spline_weights(length, scale) for length in size]
    noise = rng.standard_normal([w.shape[1] for w in weights], np.float32)
    for w in weights:  # each turn replaces the first axis and moves it to the end
        noise = np.moveaxis(np.tensordot(w, noise, (1, 0)), 0, -1)
    return np.ascontiguousarray(noise)


def _spline_weights(length: int, scale: float) -> Floats:
    """Weights of coarse grid points for each pixel: cubic B-splines, scaled to keep the variance."""
    grid = np.arange(math.ceil(length / scale) + 4)
    t = np.abs(np.arange(length)[:, None] / scale + 1.5 - grid)
    spline = np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.maximum(2 - t, 0) ** 3 / 6)
    return np.asarray(spline / np.linalg.norm(spline, axis=1, keepdims=True), np.float32)


def grain(rng: Rng, size: Sequence[int], deviation: float) -> Floats:
    """Noise of a detector, nearly uncorrelated between pixels."""
    noise = ndimage.gaussian_filter(rng.standard_normal(size, np.float32), 0.5)
    return np.asarray(noise * deviation / noise.std(), np.float32)


def squash(values: Floats) -> Floats:
    """Map standard normal values to (0, 1) by a logistic function."""
    return np.asarray(1 / (1 + np.exp(-1.7 * values)), np.float32)


def to_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Round to 8 bits."""
    return image.clip(0, 255).round().astype(np.uint8)


def orientation(rng: Rng, radii: NDArray[np.float64], *, elongation: float = 1.7) -> NDArray[np.float64]:
    """Draw the matrix from pixels to the unit ball: an ellipse in the plane YX, turned at random."""
    stretch, angle = math.sqrt(rng.uniform(1.0, elongation)), rng.uniform(0, math.pi)
    matrix = np.diag(1 / radii)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix[-2:, -2:] = np.diag([stretch, 1 / stretch]) @ turn @ matrix[-2:, -2:]
    return matrix


def ellipsoid(
    size: Sequence[int], centre: NDArray[np.float64], matrix: NDArray[np.float64]
) -> tuple[tuple[slice, ...], Floats]:
    """Distance from the centre of an ellipsoid in units of its radius, in the box where it may be below 1.5."""
    reach = 1.5 * np.linalg.norm(np.linalg.inv(matrix), axis=1)
    box = tuple(
        slice(max(0, math.floor(c - r)), min(n, math.ceil(c + r) + 1))
        for c, r, n in zip(centre, reach, size, strict=True)
    )
    offsets = np.stack(
        np.meshgrid(*(np.arange(s.start, s.stop) - c for s, c in zip(box, centre, strict=True)), indexing="ij")
    )
    return box, np.linalg.norm(np.tensordot(matrix, offsets, 1), axis=0).astype(np.float32)
