"""Smaller and smaller copies of an image, so that viewers of large images stay quick."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["halve", "level_factors", "level_shape"]


SMALL = 256
"""Pixels along an axis that need no smaller copy."""


def level_factors(shape: Sequence[int], axes: str, *, levels: int | None = None) -> list[dict[str, int]]:
    """By how much the spatial axes of each level are smaller than those of the image.

    Parameters
    ----------
    shape : pixels per axis
    axes : letters of ``TCZYX``
    levels : int
        How many there shall be; by default as many as leave no spatial axis longer than `SMALL`.

    Returns
    -------
    list of factors by axis, the first all 1
        From level to level the axes are halved that are still longer than `SMALL`; if more levels are
        asked for, Y and X.

    Examples
    --------
    >>> level_factors((40, 1000, 600), "ZYX")[1:]
    [{'Z': 1, 'Y': 2, 'X': 2}, {'Z': 1, 'Y': 4, 'X': 4}]
    """
    sizes = {axis: size for axis, size in zip(axes, shape, strict=True) if axis in "ZYX"}
    factors = [dict.fromkeys(sizes, 1)]
    while len(factors) < (levels or 99):
        last = factors[-1]
        long = {axis for axis, size in sizes.items() if -(-size // last[axis]) > SMALL}
        if not long and levels is None:
            break
        long = long or {"Y", "X"}
        factors.append({axis: last[axis] * (2 if axis in long else 1) for axis in sizes})
    return factors


def level_shape(shape: Sequence[int], axes: str, factors: Mapping[str, int]) -> tuple[int, ...]:
    """Pixels per axis of a level; what is left over at the end is a pixel of its own.

    >>> level_shape((3, 5, 9), "CYX", {"Y": 2, "X": 4})
    (3, 3, 3)
    """
    return tuple(-(-size // factors.get(axis, 1)) for size, axis in zip(shape, axes, strict=True))


def halve(array: NDArray[Any], steps: Sequence[int], *, labels: bool) -> NDArray[Any]:
    """Make an array smaller.

    Parameters
    ----------
    array : of any shape and type
    steps : 1 or 2 for each axis
    labels : bool
        Take one pixel of every block, so that no label arises that is not there; otherwise the mean.

    Returns
    -------
    of the type of `array`; odd sizes are rounded up

    Examples
    --------
    >>> halve(np.array([[1, 3, 8]]), (1, 2), labels=False)
    array([[2, 8]])
    """
    if labels:
        return array[tuple(slice(None, None, step) for step in steps)]
    odd = [(0, -size % step) for size, step in zip(array.shape, steps, strict=True)]
    blocks: NDArray[Any] = np.pad(array, odd, mode="edge").astype(
        np.float64 if array.dtype.itemsize > 2 else np.float32
    )
    for axis, step in enumerate(steps):
        if step == 2:
            pairs = np.moveaxis(blocks, axis, 0)
            blocks = np.moveaxis((pairs[::2] + pairs[1::2]) / 2, 0, axis)
    return (blocks if array.dtype.kind == "f" else blocks.round()).astype(array.dtype)
