"""Synthetic touching cells of light microscopy, as images and as stacks."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from biounet.data.synthetic.brushes import Floats, Labels, Rng, grain, smooth_noise, to_bytes
from biounet.data.synthetic.colony import Colony, grow

__all__ = ["draw_cells", "draw_volume"]


def draw_cells(
    rng: Rng,
    *,
    size: tuple[int, int] = (256, 256),
    cells: int = 24,
    diameter: float = 38.0,
    look: Literal["fluorescence", "interference"] = "fluorescence",
) -> tuple[NDArray[np.uint8], Labels]:
    """Draw cells in a dish, many of which touch.

    Parameters
    ----------
    rng : numpy generator
    size : pixels along Y and X
    cells : int
        How many to place; fewer where there is no room.
    diameter : pixels
        Of a cell of mean size.
    look : fluorescence or interference
        Bright nuclei on a dark background, or the shading of differential interference contrast.

    Returns
    -------
    image : (Y, X), uint8
    labels : (Y, X), int32
        Every cell has its own positive number, in one piece; 0 is background. Cells that touch have
        no background between them.

    Examples
    --------
    >>> image, labels = draw_cells(np.random.default_rng(0), size=(64, 64), cells=4)
    >>> image.shape, int(labels.max())
    ((64, 64), 4)
    """
    colony = grow(rng, size, cells, (diameter, diameter))
    render = {"fluorescence": _fluorescence, "interference": _interference}[look]
    return to_bytes(render(rng, colony, (1.0, 1.0))), colony.labels


def draw_volume(
    rng: Rng,
    *,
    size: tuple[int, int, int] = (32, 128, 128),
    cells: int = 30,
    diameter: float = 30.0,
    anisotropy: float = 2.0,
) -> tuple[NDArray[np.uint8], Labels]:
    """Draw a stack of fluorescent nuclei, many of which touch.

    Parameters
    ----------
    rng : numpy generator
    size : pixels along Z, Y and X
    cells : int
        How many to place; fewer where there is no room.
    diameter : pixels along Y and X
        Of a nucleus of mean size.
    anisotropy : no unit
        Distance of sections in pixels of the plane.

    Returns
    -------
    image : (Z, Y, X), uint8
        Blurred more along Z, as in a microscope.
    labels : (Z, Y, X), int32
        As in `draw_cells`.

    Examples
    --------
    >>> image, labels = draw_volume(np.random.default_rng(0), size=(12, 40, 40), cells=3)
    >>> image.shape, int(labels.max())
    ((12, 40, 40), 3)
    """
    colony = grow(rng, size, cells, (diameter / anisotropy, diameter, diameter))
    return to_bytes(_fluorescence(rng, colony, (1.6 / anisotropy + 0.6, 1.0, 1.0))), colony.labels


def _fluorescence(rng: Rng, colony: Colony, blur: Sequence[float]) -> Floats:
    """Bright nuclei with texture, a halo of light out of focus, photon noise."""
    labels, size = colony.labels, colony.labels.shape
    brightness = rng.uniform(55, 150, labels.max() + 1).astype(np.float32)
    brightness[0] = 0
    texture = 1 + 0.16 * smooth_noise(rng, size, 3.0) + 0.12 * smooth_noise(rng, size, 8.0)
    seams = 1 - 0.3 * ndimage.gaussian_filter(_seams(labels), 0.7)
    signal = brightness[labels] * seams * np.clip(colony.depth * 3.5, 0, 1) ** 0.4 * texture
    sharp = ndimage.gaussian_filter(signal, blur)
    halo = ndimage.gaussian_filter(signal, [9 * sigma for sigma in blur])
    light = np.maximum(10 + 0.85 * sharp + 0.18 * halo + 2 * smooth_noise(rng, size, 80.0), 1)
    gain = 1.6  # grey values per photon
    return np.asarray(gain * rng.poisson(light / gain) + rng.normal(0, 1.5, size), np.float32)


def _interference(rng: Rng, colony: Colony, blur: Sequence[float]) -> Floats:
    """Cells in differential interference contrast: a surface lit from one side, where only slopes show."""
    size = colony.labels.shape
    height = 16 * np.clip(colony.depth * 2.2, 0, 1) ** 0.6
    inside = np.minimum(1, 4 * colony.depth)
    height += inside * (1.1 * smooth_noise(rng, size, 2.2) + 1.8 * smooth_noise(rng, size, 6.0))
    height += 2.0 * np.exp(-(((colony.depth - 0.55) / 0.05) ** 2))  # the rim of the nucleus
    height -= 10 * ndimage.gaussian_filter(_seams(colony.labels), 1.2)
    grains = (rng.random(size) < 0.006) & (colony.depth > 0.12) & (colony.depth < 0.55)
    height += 45 * ndimage.gaussian_filter(grains.astype(np.float32), 1.1)
    height = ndimage.gaussian_filter(height, [0.9 * sigma for sigma in blur])
    elevation = ndimage.sobel(height, -1) + ndimage.sobel(height, -2)
    return np.asarray(118 + 1.7 * elevation + 5 * smooth_noise(rng, size, 150.0) + grain(rng, size, 4.0), np.float32)


def _seams(labels: Labels) -> Floats:
    """Mask of the seams: 1 where two cells touch, 0 elsewhere."""
    highest = ndimage.maximum_filter(labels, 3)
    lowest = ndimage.minimum_filter(np.where(labels > 0, labels, labels.max() + 1), 3)
    return np.asarray((labels > 0) & (highest != lowest), np.float32)
