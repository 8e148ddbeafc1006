"""Weight maps: the weight of each pixel in the loss."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numba import njit

from biounet.core.components import dense_numbers
from biounet.core.errors import LabelError, ShapeError
from biounet.core.labels import check_labels
from biounet.data.targets import separate_touching, touching

__all__ = ["balance_classes", "border_weights", "class_weights", "separate_touching", "touching", "weight_map"]


# Border weights below this share of w0 are written as 0: there the search for cells ends.
NEGLIGIBLE = 1e-6


def border_weights(
    labels: np.ndarray, *, w0: float = 10.0, sigma: float = 5.0, spacing: float | Sequence[float] = 1.0
) -> np.ndarray:
    """Border weights of the U-Net paper, which make a network learn the thin background between touching cells.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
        0 is background, every cell has its own positive number, IGNORE (negative) is unknown.
    w0 : no unit
        Weight in a gap of no width; the result never exceeds it.
    sigma : in the unit of `spacing`
        How fast the weight falls with the width of the gap. The paper uses about 5 pixels.
    spacing : micrometres per pixel, one number or one per axis of `labels`
        Gives true distances in stacks with thick slices. 1 means that sigma is in pixels.

    Returns
    -------
    float32 of the shape of `labels`, in [0, w0], no unit
        Zero on cells and on IGNORE, and everywhere if there are fewer than two cells.

    Raises
    ------
    LabelError
        If `labels` is not of an integer type.
    ValueError
        If `sigma` is not positive, `w0` negative, or `spacing` does not fit.

    Notes
    -----
    Source: Ronneberger, Fischer and Brox 2015, equation 2, the term
    ``w0 * exp(-(d1 + d2)**2 / (2 * sigma**2))``, with d1 and d2 the distances to the nearest
    and the second nearest cell. Add the class weights w_c(x) for the full map: `weight_map`.
    Differs: the paper writes the term for all pixels, we keep it on background only, and weights
    below ``1e-6 * w0`` are 0. Distances run between pixel centres, so a gap of one pixel has d1 = d2 = 1.
    Method: the two nearest cells and their squared distances are found exactly, one axis after the
    other, as in separable distance transforms: a cell that is third along a line is not second anywhere.
    Cost: per pixel and axis at most 5.3 sigma steps to each side, whatever the number of cells;
    about 50 bytes per pixel. The first call compiles for a second or two, once per installation.

    Examples
    --------
    >>> border_weights(np.array([[1, 1, 0, 2, 2]])).round(2)[0, 2]      # 10 exp(-(1 + 1)**2 / 50)
    np.float32(9.23)
    """
    if not sigma > 0 or not w0 >= 0:
        raise ValueError(f"sigma must be positive and w0 at least 0, got sigma={sigma} and w0={w0}")
    steps = np.full(labels.ndim, spacing) if np.ndim(spacing) == 0 else np.asarray(spacing)
    if len(steps) != labels.ndim or not (steps > 0).all():
        raise ValueError(f"spacing must be positive, one number or one per axis of {labels.shape}, got {spacing}")
    reach = sigma * math.sqrt(2 * math.log(1 / NEGLIGIBLE))
    d1, d2 = _two_nearest(labels, steps.tolist(), reach)
    gap = (labels == 0) & (d2 < reach**2)
    width = np.sqrt(d1[gap]) + np.sqrt(d2[gap])
    weights = np.zeros(labels.shape, np.float32)
    weights[gap] = np.where(width < reach, w0 * np.exp(width**2 / np.float32(-2 * sigma**2)), 0)
    return weights


def class_weights(labels: np.ndarray | Iterable[np.ndarray], *, classes: int | None = None) -> np.ndarray:
    """Class weights w_c of the U-Net paper, with which all classes count the same, however rare.

    Parameters
    ----------
    labels : integers of any shape, or several such arrays (a training set)
        Class numbers from 0; negative is unknown and not counted.
    classes : at least 1, or None
        Number of classes; None: the highest label and those below it.

    Returns
    -------
    float32 (classes,), no unit
        Inversely proportional to the number of pixels; the mean weight of a known pixel is 1. A class
        that is nowhere weighs 1.

    Raises
    ------
    LabelError
        If labels are not integers, or a label is not below `classes`.

    Notes
    -----
    Source: Ronneberger, Fischer and Brox 2015, section 3: w_c "to balance the class frequencies". The
    paper gives no formula; this is the customary one, n / (classes present * n_c).

    Examples
    --------
    >>> class_weights(np.array([0, 0, 0, 1, -1]), classes=2)    # 4 / (2 * 3), 4 / (2 * 1)
    array([0.6666667, 2.       ], dtype=float32)
    """
    counts = np.zeros(classes or 0, dtype=np.int64)
    for array in [labels] if isinstance(labels, np.ndarray) else labels:
        check_labels(array)
        more = np.bincount(array[array >= 0].ravel(), minlength=len(counts))
        if classes is not None and len(more) > classes:
            raise LabelError(f"class numbers must be below {classes}, got {len(more) - 1}; number the classes from 0")
        more[: len(counts)] += counts
        counts = more
    return balance_classes(counts)


def balance_classes(counts: np.ndarray) -> np.ndarray:
    """Class weights from the number of pixels of each class, (classes,) integers; see `class_weights`.

    >>> balance_classes(np.array([3, 1]))
    array([0.6666667, 2.       ], dtype=float32)
    """
    present = counts > 0
    weights = np.ones(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights.astype(np.float32)


def weight_map(
    target: np.ndarray,
    *,
    objects: np.ndarray | None = None,
    balance: np.ndarray | None = None,
    w0: float = 10.0,
    sigma: float = 5.0,
    spacing: float | Sequence[float] = 1.0,
) -> np.ndarray:
    """Weight map of the U-Net paper: class weights plus border weights.

    Parameters
    ----------
    target : (Y, X) or (Z, Y, X), integers
        Class numbers from 0; negative is unknown.
    objects : of the shape of `target`, integers, or None
        Number of the object of each pixel, 0 background; None: no border weights. Background of the
        target, such as the ridge of `separate_touching`, is background here, too.
    balance : (classes,), or None
        Weight of each class; None: `class_weights` of this target. Take those of the training set.
    w0, sigma, spacing : as in `border_weights`

    Returns
    -------
    float32 of the shape of `target`, no unit
        Zero where the target is unknown.

    Raises
    ------
    ShapeError
        If target and objects differ in shape.

    Notes
    -----
    Source: Ronneberger, Fischer and Brox 2015, equation 2.

    Examples
    --------
    >>> cells = np.array([[1, 1, 0, 2, 2]])
    >>> weight_map((cells > 0).astype(int), objects=cells).round(2)     # 5/8, and 5/2 + 9.23
    array([[ 0.62,  0.62, 11.73,  0.62,  0.62]], dtype=float32)
    """
    check_labels(target)
    balance = class_weights(target) if balance is None else np.asarray(balance, dtype=np.float32)
    weights: np.ndarray = np.where(target >= 0, balance[np.maximum(target, 0)], np.float32(0))
    if objects is not None:
        if objects.shape != target.shape:
            raise ShapeError(f"target and objects must have one shape, got {target.shape} and {objects.shape}")
        apart = np.where(target == 0, np.minimum(objects, 0), objects)
        border = border_weights(apart, w0=w0, sigma=sigma, spacing=spacing)
        np.add(weights, border, out=weights, where=target >= 0)
    return weights


def _two_nearest(labels: np.ndarray, steps: Sequence[float], reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances of background pixels to the two nearest cells, at most ``reach**2``."""
    found = [np.full(labels.shape, value, kind) for value, kind in ((0, np.int32), (reach**2, np.float32)) * 2]
    _scan_lines(_lines(dense_numbers(labels)), *map(_lines, found), steps[-1])
    for axis, step in enumerate(steps[:-1]):
        # Later axes read the nearest cells of pixels on cells, too; after the last axis nobody does.
        wanted = np.ones(labels.shape, bool) if axis < labels.ndim - 2 else labels == 0
        found = [np.ascontiguousarray(np.moveaxis(array, axis, -1)) for array in found]
        _search_lines(*map(_lines, found), _lines(np.ascontiguousarray(np.moveaxis(wanted, axis, -1))), step)
        found = [np.moveaxis(array, -1, axis) for array in found]
    return found[1], found[3]


def _lines(array: np.ndarray) -> np.ndarray:
    """The array as (lines, pixels)."""
    return array.reshape(-1, array.shape[-1])


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile to machine code, stored on disk where there is a folder for it."""
    try:
        return njit(nogil=True, cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return njit(nogil=True)(function)  # type: ignore[no-any-return]


@_compiled
def _nearer(
    a: int, square_a: float, b: int, square_b: float, cell: int, square: float
) -> tuple[int, float, int, float]:
    """Put one more cell among the two nearest, given their squared distances."""
    if cell == 0 or square >= square_b:
        return a, square_a, b, square_b
    if cell == a:
        return a, min(square, square_a), b, square_b
    if square < square_a:
        return cell, square, a, square_a
    return a, square_a, cell, square


@_compiled
def _scan_lines(
    cells: np.ndarray, first: np.ndarray, d1: np.ndarray, second: np.ndarray, d2: np.ndarray, step: float
) -> None:
    """Find, along each line, the two cells nearest to each pixel and their squared distances."""
    lines, size = cells.shape
    for line in range(lines):
        for forward in (True, False):
            last, x_last, other, x_other = 0, 0, 0, 0  # the last cell met on the way, and the last one that is another
            for count in range(size):
                x = count if forward else size - 1 - count
                cell = cells[line, x]
                if cell not in (0, last):
                    other, x_other = last, x_last
                if cell != 0:
                    last, x_last = cell, x
                best = (first[line, x], d1[line, x], second[line, x], d2[line, x])
                best = _nearer(*best, last, np.float32(((x - x_last) * step) ** 2))
                best = _nearer(*best, other, np.float32(((x - x_other) * step) ** 2))
                first[line, x], d1[line, x], second[line, x], d2[line, x] = best


@_compiled
def _search_lines(
    first: np.ndarray, d1: np.ndarray, second: np.ndarray, d2: np.ndarray, wanted: np.ndarray, step: float
) -> None:
    """Improve, along each line, the two nearest cells of each pixel by those of the other pixels."""
    lines, size = first.shape
    for line in range(lines):
        cells_1, squares_1 = first[line].copy(), d1[line].copy()
        cells_2, squares_2 = second[line].copy(), d2[line].copy()
        for x in range(size):
            best = (cells_1[x], squares_1[x], cells_2[x], squares_2[x])
            for away in range(1, size):
                far = np.float32((away * step) ** 2)
                if far >= best[3] or not wanted[line, x]:
                    break
                for neighbour in (x - away, x + away):
                    if 0 <= neighbour < size:
                        best = _nearer(*best, cells_1[neighbour], squares_1[neighbour] + far)
                        best = _nearer(*best, cells_2[neighbour], squares_2[neighbour] + far)
            first[line, x], d1[line, x], second[line, x], d2[line, x] = best
