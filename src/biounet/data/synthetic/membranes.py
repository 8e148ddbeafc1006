"""Synthetic sections of neural tissue in electron microscopy."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from biounet.data.synthetic.brushes import (
    Floats,
    Labels,
    Rng,
    ellipsoid,
    grain,
    orientation,
    smooth_noise,
    squash,
    to_bytes,
)

__all__ = ["draw_membranes"]


def draw_membranes(
    rng: Rng, *, size: tuple[int, int] = (512, 512), cell: float = 34.0, membrane: tuple[float, float] = (2.0, 4.0)
) -> tuple[NDArray[np.uint8], Labels]:
    """Draw a section of neural tissue as an electron microscope shows it.

    Parameters
    ----------
    rng : numpy generator
    size : pixels along Y and X
    cell : pixels
        Diameter of a cell of mean area. Some are several times larger.
    membrane : pixels
        Least and greatest width of a membrane; it varies along the membrane.

    Returns
    -------
    image : (Y, X), uint8
        Dark membranes, mitochondria and vesicles in bright cells, with noise.
    labels : (Y, X), int32
        Every cell profile has its own positive number, membranes are 0.

    Notes
    -----
    Profiles are the cells of a power diagram (a Voronoi diagram whose cells differ in size) in bent
    coordinates. As in real sections some membranes are faint where the knife met them obliquely.

    Examples
    --------
    >>> image, labels = draw_membranes(np.random.default_rng(0), size=(64, 80))
    >>> image.shape, bool(image[labels == 0].mean() < image[labels > 0].mean())
    ((64, 80), True)
    """
    distance = _distance_to_borders(rng, size, cell)
    low, high = membrane
    width = low + (high - low) * squash(smooth_noise(rng, size, 60.0))
    labels = _number_pieces(distance > width / 2, smallest=int(cell))

    inside = ndimage.distance_transform_edt(labels > 0).astype(np.float32)
    # Slivers that got no number are drawn as the membrane that they are labelled as.
    distance = np.where((labels == 0) & (distance > width / 2), 0, distance)
    image = 152 + rng.normal(0, 8, labels.max() + 1).astype(np.float32)[labels]
    image += 7 * smooth_noise(rng, size, 25.0) + 14 * smooth_noise(rng, size, 2.8)
    image += _vesicles(rng, inside, size)
    for _ in range(round(math.prod(size) / 100**2 * rng.uniform(0.2, 0.5))):
        _add_mitochondrion(rng, image, inside)
    contrast = 0.45 + 0.55 * squash(1.3 + 1.3 * smooth_noise(rng, size, 35.0))
    image -= 115 * contrast * np.exp(-((distance / (0.4 + 0.5 * width)) ** 2))
    image = ndimage.gaussian_filter(image, 0.7)
    image += 6 * smooth_noise(rng, size, 200.0) + grain(rng, size, 12.0)
    return to_bytes(image), labels


def _distance_to_borders(rng: Rng, size: tuple[int, int], cell: float) -> Floats:
    """Distance of every pixel to the nearest border of a bent power diagram, in pixels."""
    margin = 3 * cell
    count = max(3, round(1.5 * math.prod(n + 2 * margin for n in size) / cell**2))
    sites = rng.uniform(-margin, np.add(size, margin), (count, 2))
    radii = 0.42 * cell * rng.lognormal(0, 0.62, count).clip(0, 3.2)
    # Squared distance minus squared radius is a plain distance to sites that are lifted off the plane.
    lifted = np.column_stack([sites, np.sqrt(radii.max() ** 2 - radii**2)])
    bent = [
        position
        + 20 * smooth_noise(rng, size, 130.0)
        + 6 * smooth_noise(rng, size, 28.0)
        + 1.8 * smooth_noise(rng, size, 9.0)
        for position in np.indices(size, np.float32)
    ]
    points = np.stack([*bent, np.zeros(size)], -1).reshape(-1, 3)
    distance, nearest = cKDTree(lifted).query(points, k=2)
    apart = np.linalg.norm(sites[nearest[:, 0]] - sites[nearest[:, 1]], axis=1)
    borders = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * apart)
    return np.asarray(borders.reshape(size), np.float32)


def _number_pieces(mask: NDArray[np.bool_], smallest: int) -> Labels:
    """Number the connected components of a mask from 1, without those of fewer pixels than `smallest`."""
    pieces, _ = ndimage.label(mask)
    keep = np.bincount(pieces.ravel()) >= smallest
    keep[0] = False
    return np.asarray((np.cumsum(keep) * keep)[pieces], np.int32)


def _vesicles(rng: Rng, inside: Floats, size: tuple[int, int]) -> Floats:
    """Small dark rings and dots, in swarms."""
    swarm = 0.012 * squash(smooth_noise(rng, size, 40.0)) ** 2 + 0.001
    centres = ((rng.random(size) < swarm) & (inside > 4)).astype(np.float32)
    wide, narrow = (ndimage.gaussian_filter(centres, sigma) for sigma in (1.9, 1.0))
    return np.asarray(-1800 * wide + 470 * narrow, np.float32)


def _add_mitochondrion(rng: Rng, image: Floats, inside: Floats) -> None:
    """Draw a dark oval with the folds of its inner membrane where there is room for one."""
    room = np.argwhere(inside > 11)
    if not len(room):
        return
    centre = room[rng.integers(len(room))]
    radius = min(0.95 * inside[tuple(centre)], rng.uniform(13, 26))
    box, measure = ellipsoid(image.shape, centre.astype(float), orientation(rng, np.array([radius, radius])))
    shape = measure.shape
    measure = measure + 0.06 * smooth_noise(rng, shape, 8.0)
    angle = rng.uniform(0, math.pi)
    y, x = np.indices(shape, np.float32)
    folds = np.sin(
        2 * math.pi / 5.5 * (y * math.sin(angle) + x * math.cos(angle) + 2.2 * smooth_noise(rng, shape, 10.0))
    )
    body = 1 / (1 + np.exp((measure - 1) * radius))
    rim = np.exp(-(((measure - 0.97) * radius / 1.6) ** 2))
    here = inside[box] > 1.5
    image[box] += here * (body * (-58 + 24 * folds) - 45 * rim)
