"""Label images: IGNORE, what a label image must be, and pixels of a class."""

import numpy as np

from biounet.core.errors import LabelError, ShapeError

__all__ = ["IGNORE", "check_labels"]


IGNORE = -1
"""The label of pixels nobody knows: never trained on, never scored. Any negative label means the same."""


def check_labels(labels: np.ndarray) -> None:
    """Refuse what is no label image of one frame.

    Raises
    ------
    LabelError
        If the numbers are not integers, or do not fit 63 bits.
    ShapeError
        If the axes are not YX or ZYX.
    """
    if labels.dtype.kind not in "iub":
        raise LabelError(f"labels must be integers, got {labels.dtype}; number the objects first")
    if labels.dtype == np.uint64 and labels.max(initial=0) > np.iinfo(np.int64).max:
        raise LabelError(f"label {labels.max()} does not fit 63 bits; renumber the labels from 1")
    if labels.ndim not in (2, 3):
        raise ShapeError(f"labels must have axes YX or ZYX, got shape {labels.shape}; measure frame by frame")
