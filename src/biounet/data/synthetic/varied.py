"""Synthetic cells of any size, shape and contrast, to learn what cells have in common under all microscopes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from biounet.data.synthetic.brushes import Floats, Labels, Rng, grain, smooth_noise, to_bytes
from biounet.data.synthetic.colony import grow, in_one_piece

__all__ = ["draw_varied_cells"]


@dataclass(frozen=True)
class _Cells:
    """Cells to be drawn, and where each pixel lies."""

    diameter: float
    labels: Labels
    depth: Floats  # 0 on the rim, 1 in the centre
    to_rim: Floats  # pixels to the nearest rim of a cell
    to_cell: Floats  # pixels to the nearest cell, 0 on cells


def draw_varied_cells(
    rng: Rng, *, size: tuple[int, int] = (384, 384), diameters: tuple[float, float] = (30.0, 150.0)
) -> tuple[NDArray[np.uint8], Labels]:
    """Draw whole cells whose size, shape and contrast differ from image to image.

    Parameters
    ----------
    rng : numpy generator
    size : pixels along Y and X
    diameters : pixels
        Least and greatest mean diameter of the cells of an image.

    Returns
    -------
    image : (Y, X), uint8
        Cells that are brighter or darker than the background or as bright, with texture, nuclei, granules, outlines
        and halos, each present or not, in a mixture of the contrasts of fluorescence, of differential interference
        and of light out of focus.
    labels : (Y, X), int32
        As in `draw_cells`.

    Notes
    -----
    Domain randomisation as in SynthSeg (Billot et al. 2023): no image looks like one of a microscope. A network that
    learnt all of them takes a real image for one more variation.

    Examples
    --------
    >>> image, labels = draw_varied_cells(np.random.default_rng(0), size=(96, 96), diameters=(30, 40))
    >>> image.shape, bool(labels.max() > 1)
    ((96, 96), True)
    """
    cells = _grow(rng, size, float(np.exp(rng.uniform(*np.log(diameters)))))
    return _photograph(rng, _contrast(rng, _thickness(rng, cells))), cells.labels


def _grow(rng: Rng, size: tuple[int, int], diameter: float) -> _Cells:
    """Cells of one shape, sparse or confluent; those at the edge of the image are cut."""
    margin = round(diameter / 2)
    around = size[0] + 2 * margin, size[1] + 2 * margin
    number = max(2, round(rng.uniform(0.25, 1.3) * around[0] * around[1] / diameter**2))
    bends = (rng.uniform(0.05, 0.2), rng.uniform(0.3, 0.6)), (rng.uniform(0, 0.08), rng.uniform(0.06, 0.15))
    spread, elongation = rng.uniform(0.9, 1.2), rng.uniform(1.3, 3.0)
    colony = grow(rng, around, number, (diameter, diameter), spread=spread, elongation=elongation, bends=bends)
    here = slice(margin, margin + size[0]), slice(margin, margin + size[1])
    labels = in_one_piece(colony.labels[here])
    rim = (labels > 0) & (ndimage.maximum_filter(labels, 3) != ndimage.minimum_filter(labels, 3))
    to_rim, to_cell = (ndimage.distance_transform_edt(mask).astype(np.float32) for mask in (~rim, labels == 0))
    return _Cells(diameter, labels, colony.depth[here] * (labels > 0), to_rim, to_cell)


def _thickness(rng: Rng, cells: _Cells) -> Floats:
    """Thickness of the cells, or how much of a dye is in them."""
    return np.asarray(sum(part(rng, cells) for part in (_bodies, _nuclei, _granules, _granules, _outlines)), np.float32)


def _bodies(rng: Rng, cells: _Cells) -> Floats:
    """Cells with textures of two scales, nearly as thick as each other, and a background with less texture."""
    size, d = cells.labels.shape, cells.diameter
    each = rng.lognormal(0, 0.25, cells.labels.max() + 1).astype(np.float32)[cells.labels]
    inside = rng.normal(0, 1.5) * np.clip(cells.depth * rng.uniform(1, 6), 0, 1) ** rng.uniform(0.5, 1.5)
    outside = np.zeros(size, np.float32)
    for scale in (max(1.2, d * rng.uniform(0.015, 0.05)), d * rng.uniform(0.06, 0.2)):
        inside += rng.normal(0, 0.5) * np.clip(4 * cells.depth, 0, 1) * smooth_noise(rng, size, scale)
        outside += rng.normal(0, 0.15) * smooth_noise(rng, size, scale)
    return np.where(cells.labels > 0, each * inside, outside).astype(np.float32)


def _nuclei(rng: Rng, cells: _Cells) -> Floats:
    """A nucleus in the middle of each cell, and its envelope."""
    bent = cells.depth + 0.1 * smooth_noise(rng, cells.labels.shape, 0.4 * cells.diameter)
    edge = bent - rng.uniform(0.4, 0.7)
    nucleus = rng.normal(0, 0.8) / (1 + np.exp(-25 * edge))
    return np.asarray(nucleus + rng.normal(0, 0.5) * np.exp(-((edge / 0.04) ** 2)), np.float32)


def _granules(rng: Rng, cells: _Cells) -> Floats:
    """Spots of one size and brightness in swarms within the cells, and a few on the background."""
    size, radius = cells.labels.shape, max(0.8, cells.diameter * rng.uniform(0.01, 0.035))
    swarm = np.clip(smooth_noise(rng, size, 0.2 * cells.diameter), 0, None) * (cells.depth > 0.1) + 0.01
    spots = (rng.random(size) < rng.uniform(0, 0.06) * swarm / radius**2).astype(np.float32)
    return np.asarray(rng.normal(0, 6) * radius**2 * ndimage.gaussian_filter(spots, radius), np.float32)


def _outlines(rng: Rng, cells: _Cells) -> Floats:
    """Outlines that are faint in places, a halo around cells, and filaments in it."""
    size, d = cells.labels.shape, cells.diameter
    faint = np.clip(1 + rng.uniform(0, 1) * smooth_noise(rng, size, 0.5 * d), 0, 2)
    rims = rng.normal(0, 1) * faint * np.exp(-((cells.to_rim / max(1.2, 0.03 * d)) ** 2))
    halo = np.exp(-cells.to_cell / (d * rng.uniform(0.05, 0.3))) * (cells.labels == 0)
    filaments = np.exp(-((smooth_noise(rng, size, 0.15 * d) / 0.1) ** 2))
    return np.asarray(rims + halo * (rng.normal(0, 0.7) + rng.normal(0, 0.5) * filaments), np.float32)


def _contrast(rng: Rng, thickness: Floats) -> Floats:
    """A mixture of light that is absorbed or emitted, slopes seen from one side, and light out of focus."""
    sharp = rng.uniform(0.7, 1.5)
    angle = rng.uniform(0, 2 * np.pi)
    absorbed = ndimage.gaussian_filter(thickness, sharp)
    slopes = np.cos(angle) * ndimage.sobel(absorbed, 0) + np.sin(angle) * ndimage.sobel(absorbed, 1)
    unfocused = ndimage.gaussian_laplace(thickness, sharp * rng.uniform(1, 2))
    shares = rng.dirichlet((0.5, 0.5, 0.5)) * rng.choice((-1, 1), 3)
    parts = zip(shares, (absorbed, slopes, unfocused), strict=True)
    return np.asarray(sum(share * part / (part.std() + 1e-6) for share, part in parts), np.float32)


def _photograph(rng: Rng, light: Floats) -> NDArray[np.uint8]:
    """Uneven illumination, noise, and grey values."""
    shaded = light / light.std() + rng.uniform(0, 0.5) * smooth_noise(rng, light.shape, 150.0)
    noisy = ndimage.gaussian_filter(shaded, rng.uniform(0, 1)) + grain(rng, light.shape, rng.uniform(0.02, 0.5))
    return to_bytes(rng.uniform(90, 160) + rng.uniform(8, 40) * (noisy - noisy.mean()))
