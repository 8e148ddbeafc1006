"""Distances between the surfaces of two masks, in the unit of the pixel spacing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from biounet.core.errors import ShapeError
from biounet.metrics.checks import check_pair, known_pixels

__all__ = ["hausdorff95", "mean_surface_distance", "surface_distances"]


def hausdorff95(truth: np.ndarray, result: np.ndarray, *, spacing: float | Sequence[float] = 1.0) -> float:
    """Hausdorff distance of two masks without the farthest 5 % of each surface; 0 is perfect.

    Parameters
    ----------
    truth, result, spacing
        As in `surface_distances`.

    Returns
    -------
    float, in the unit of `spacing`
        No foreground in either: 0. In one of them only: infinity.

    Raises
    ------
    ShapeError, LabelError
        If the two are no masks of one shape, or `spacing` does not fit their axes.

    Notes
    -----
    Source: Huttenlocher et al. 1993, equation 5, as customary: the larger of the two 95th percentiles
    (linear interpolation) of the distances from each surface to the other.

    Examples
    --------
    >>> hausdorff95(np.array([1, 0, 0, 0]), np.array([0, 0, 0, 1]), spacing=0.5)    # 3 pixels of half a micrometre
    1.5
    """
    sides = surface_distances(truth, result, spacing=spacing)
    return max(_percentile_95(side) for side in sides)


def mean_surface_distance(truth: np.ndarray, result: np.ndarray, *, spacing: float | Sequence[float] = 1.0) -> float:
    """Mean distance between the surfaces of two masks, in both directions; 0 is perfect.

    Parameters
    ----------
    truth, result, spacing
        As in `surface_distances`.

    Returns
    -------
    float, in the unit of `spacing`
        No foreground in either: 0. In one of them only: infinity.

    Raises
    ------
    ShapeError, LabelError
        If the two are no masks of one shape, or `spacing` does not fit their axes.

    Notes
    -----
    Source: Heimann et al. 2009, average symmetric surface distance: the mean over the pixels of both
    surfaces of the distance to the other one.

    Examples
    --------
    >>> mean_surface_distance(np.array([1, 1, 0, 0]), np.array([1, 1, 1, 1]))       # (0 + 1 + 0 + 2) / 4
    0.75
    """
    distances = np.concatenate(surface_distances(truth, result, spacing=spacing))
    return float(distances.mean()) if distances.size else 0.0


def surface_distances(
    truth: np.ndarray, result: np.ndarray, *, spacing: float | Sequence[float] = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances from each surface pixel of one mask to the nearest surface pixel of the other.

    Parameters
    ----------
    truth : (Y, X) or (Z, Y, X) or any, bool or integers
        Positive is foreground. Negative is IGNORE: background to both masks, so that nothing there counts.
    result : the shape of `truth`, bool or integers
    spacing : micrometres per pixel, one number or one per axis of `truth`
        1 gives distances in pixels.

    Returns
    -------
    from the truth to the result, from the result to the truth : (pixels of the surface,), float64
        Infinite if the other mask is empty.

    Raises
    ------
    ShapeError, LabelError
        If the two are no masks of one shape, or `spacing` does not fit their axes.

    Notes
    -----
    The surface is what an erosion by the direct neighbours removes: pixels with a neighbour outside of
    the mask, the outside of the image included. Distances run between pixel centres.

    Examples
    --------
    >>> surface_distances(np.array([1, 1, 0, 0]), np.array([0, 0, 0, 1]))
    (array([3., 2.]), array([2.]))
    """
    check_pair(truth, result)
    steps = np.atleast_1d(np.asarray(spacing, float))
    if steps.size not in (1, truth.ndim) or not (steps > 0).all():
        raise ShapeError(f"spacing must be one positive number or one per axis of {truth.shape}, got {spacing}")
    masks = (truth > 0, (result > 0) & known_pixels(truth))
    of_truth, of_result = (mask & ~binary_erosion(mask) for mask in masks)
    return _distance_to(of_result, steps)[of_truth], _distance_to(of_truth, steps)[of_result]


def _distance_to(surface: NDArray[np.bool_], steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of every pixel to a surface; infinite if it is empty."""
    if not surface.any():
        return np.full(surface.shape, np.inf)
    distances: NDArray[np.float64] = distance_transform_edt(~surface, sampling=np.broadcast_to(steps, surface.ndim))
    return distances


def _percentile_95(distances: NDArray[np.float64]) -> float:
    """95th percentile; 0 without distances, and infinite where they are, which NumPy cannot interpolate."""
    if not distances.size:
        return 0.0
    return float(np.percentile(distances, 95)) if np.isfinite(distances).all() else np.inf
