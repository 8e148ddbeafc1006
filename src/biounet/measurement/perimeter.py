"""Perimeter and surface of objects by the formula of Crofton."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["boundary_sizes", "directions"]


def directions(dims: int) -> NDArray[np.int64]:
    """Steps to half of the neighbours of a pixel; the other half lies opposite.

    Returns
    -------
    (4, 3) of a plane, (13, 3) of a volume, int64
        Z, Y, X.

    Examples
    --------
    >>> directions(2)[:, 1:].tolist()
    [[0, 1], [1, -1], [1, 0], [1, 1]]
    """
    steps = [step for step in product((-1, 0, 1), repeat=dims) if step > (0,) * dims]
    return np.array([(0,) * (3 - dims) + step for step in steps])


def boundary_sizes(crossings: np.ndarray, spacing: Sequence[float]) -> NDArray[np.float64]:
    """Perimeters of objects in a plane, or surfaces of objects in a volume.

    Parameters
    ----------
    crossings : (N, K), integers
        Pairs of neighbours along each of `directions` of which one is in the object and the other not.
    spacing : length per pixel, of YX or ZYX

    Returns
    -------
    (N,), float64
        In the unit of `spacing`, or its square.

    Notes
    -----
    Source: the formula of Crofton, with the share that each direction has of the circle or sphere as weight
    (Legland, Kieu and Devaux 2007, Image Analysis and Stereology 26:83). With equal spacing perimeters are those of
    ``skimage.measure.perimeter_crofton(directions=4)``. The error for a disc is
    below 3 %.

    Examples
    --------
    A single pixel: each of four directions crosses its outline twice.

    >>> boundary_sizes(np.array([[2, 2, 2, 2]]), (1.0, 1.0)).round(4)      # pi / 2 (1 + sqrt(1 / 2))
    array([2.6815])
    """
    dims = len(spacing)
    steps = directions(dims)[:, 3 - dims :] * np.asarray(spacing)
    lengths = np.linalg.norm(steps, axis=1)
    shares = _shares_of_circle(steps) if dims == 2 else _shares_of_sphere(steps / lengths[:, None])
    whole = np.pi / 2 if dims == 2 else 2.0  # perimeter over mean width, surface over mean shadow; two crossings each
    sizes: NDArray[np.float64] = whole * np.prod(spacing) * (crossings @ (shares / lengths))
    return sizes


def _shares_of_circle(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of all directions that are nearest to each step."""
    angles = np.arctan2(steps[:, 0], steps[:, 1]) % np.pi
    order = np.argsort(angles)
    gaps = np.diff(angles[order], append=angles[order[0]] + np.pi)
    shares = np.empty(len(steps))
    shares[order] = (gaps + np.roll(gaps, 1)) / (2 * np.pi)
    return shares


def _shares_of_sphere(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of all directions in space that are nearest to each step of length 1."""
    from scipy.spatial import SphericalVoronoi  # slow to import, and only volumes need it

    areas = SphericalVoronoi(np.concatenate([steps, -steps])).calculate_areas()
    return np.asarray(areas[: len(steps)] / (2 * np.pi))
