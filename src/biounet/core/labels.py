"""Label images: the label of unknown pixels, the check that an array is a label image, and diameters of objects."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from biounet.core.errors import LabelError, ShapeError

__all__ = ["IGNORE", "check_labels", "equivalent_diameters"]


IGNORE = -1
"""The label of unknown pixels, which are never trained on and never scored. Any negative label means the same."""


def check_labels(
    labels: np.ndarray, *, name: str = "labels", masks: bool = False, axes: Sequence[str] | None = None
) -> None:
    """Check of a label image: an error if an array is none.

    Parameters
    ----------
    labels : any shape
    name : str
        What the message calls the array.
    masks : bool
        Whether truth values will do, too.
    axes : for example ``("YX", "ZYX")``, or None
        The axes that the array may have; None: any.

    Raises
    ------
    LabelError
        If the labels are not integers, or do not fit 63 bits.
    ShapeError
        If the array has another number of axes.

    Examples
    --------
    >>> check_labels(np.array([0.5]))
    Traceback (most recent call last):
    biounet.core.errors.LabelError: labels must be integers, got float64; threshold or number the objects first
    """
    if labels.dtype.kind not in ("iub" if masks else "iu"):
        raise LabelError(f"{name} must be integers, got {labels.dtype}; threshold or number the objects first")
    if labels.dtype == np.uint64 and labels.max(initial=0) > np.iinfo(np.int64).max:
        raise LabelError(f"label {labels.max()} does not fit 63 bits; renumber the labels from 1")
    if axes is not None and labels.ndim not in map(len, axes):
        raise ShapeError(f"{name} must have axes {' or '.join(axes)}, got shape {labels.shape}; take frame by frame")


def equivalent_diameters(volumes: ArrayLike, *, dims: int) -> NDArray[np.float64]:
    """Diameter of the circle, or of the ball, that is as large as an object.

    Parameters
    ----------
    volumes : pixels, or in the unit of a length to the power of `dims`
        Area of each object, or volume.
    dims : 2 or 3

    Returns
    -------
    float64, in pixels or in the unit of a length

    Examples
    --------
    >>> [equivalent_diameters(pixels, dims=dims).round(1).tolist() for pixels, dims in (([314, 707], 2), ([4189], 3))]
    [[20.0, 30.0], [20.0]]
    """
    ball = math.pi / (2 * dims)  # of diameter 1: pi / 4 of a plane, pi / 6 of a volume
    diameters: NDArray[np.float64] = (np.asarray(volumes, np.float64) / ball) ** (1 / dims)
    return diameters
