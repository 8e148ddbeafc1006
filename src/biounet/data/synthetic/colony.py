"""Touching cells before they are drawn: their labels and their depth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from biounet.data.synthetic.brushes import Floats, Labels, Rng, ellipsoid, orientation, smooth_noise

__all__ = ["Colony", "grow", "in_one_piece"]


@dataclass(frozen=True)
class Colony:
    """Touching cells before rendering: labels, and the depth of each pixel within its cell."""

    labels: Labels
    depth: Floats  # 0 on the rim, 1 in the centre


def grow(
    rng: Rng,
    size: Sequence[int],
    cells: int,
    diameters: Sequence[float],
    *,
    spread: float = 1.0,
    elongation: float = 1.7,
    bends: Sequence[tuple[float, float]] = ((0.11, 0.4),),
) -> Colony:
    """Place ellipsoids next to each other, deform them, and divide the space between them.

    Parameters
    ----------
    rng : numpy generator
    size : pixels per axis
    cells : how many to place; fewer where there is no room
    diameters : pixels per axis, of a cell of mean size
    spread : no unit
        Factor of the radii after cells were placed; the larger, the more of their outlines touch.
    elongation : no unit
        Greatest ratio of length and width in the plane YX.
    bends : pairs of an amount, as a share of the radius, and a scale in diameters
        Waves of the outline.
    """
    labels, reach = np.zeros(size, np.int32), np.ones(size, np.float32)
    waves = (amount * smooth_noise(rng, size, scale * diameters[-1]) for amount, scale in bends)
    bend = np.clip(sum(waves, np.ones(size, np.float32)), 0.7, 1.4)
    for number, (centre, matrix) in enumerate(_place(rng, size, cells, np.array(diameters) / 2, elongation), 1):
        box, measure = ellipsoid(size, centre, matrix / spread)
        measure = measure * bend[box]
        nearer = measure < reach[box]
        reach[box][nearer] = measure[nearer]
        labels[box][nearer] = number
    labels = in_one_piece(labels)
    return Colony(labels, np.where(labels > 0, 1 - reach, 0).astype(np.float32))


def _place(
    rng: Rng, size: Sequence[int], cells: int, radii: NDArray[np.float64], elongation: float
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Choose centres, most of them beside another cell, and the matrix that makes each cell a unit ball."""
    placed: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    centres, scales = np.zeros((cells, len(size))), np.zeros(cells)
    for _ in range(60 * cells):
        count = len(placed)
        if count == cells:
            break
        scale = float(np.clip(rng.lognormal(0, 0.2), 0.6, 1.6))
        centre = rng.uniform(0, size)
        if placed and rng.random() < 0.75:
            other = rng.integers(count)
            direction = rng.normal(size=len(size))
            direction /= np.linalg.norm(direction)
            centre = centres[other] + direction * radii * (scale + scales[other]) * rng.uniform(0.8, 0.95)
        apart = np.linalg.norm((centre - centres[:count]) / radii, axis=1) / (scale + scales[:count])
        if (centre < 0).any() or (centre >= size).any() or apart.min(initial=1.0) < 0.78:
            continue
        centres[count], scales[count] = centre, scale
        placed.append((centre, orientation(rng, radii * scale, elongation=elongation)))
    return placed


def in_one_piece(labels: Labels) -> Labels:
    """Keep the largest connected component of every label, and renumber the labels from 1."""
    result = np.zeros_like(labels)
    number = 0
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        pieces, count = ndimage.label(labels[box] == label)
        largest = pieces == 1 if count == 1 else pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
        number += 1
        result[box][largest] = number
    return result
