"""Logits smoothed in the plane, since the logits of a network are noisier than the truth from pixel to pixel."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from biounet.inference.calibration import LEAST, known_pixels, lowest_log_loss, stride

__all__ = ["fit_smoothing", "smooth", "smooth_probabilities", "smooth_whole"]


if TYPE_CHECKING:
    import torch


MOST = 6
"""Most passes that are tried."""

PIXELS = 2**16
"""Pixels on which passes are compared; of more, every n-th."""

GAIN = 10.0
"""Least gain of log-likelihood over all these pixels, in nats, for smoothing to be applied; less may be chance."""

Array = TypeVar("Array", NDArray[Any], "torch.Tensor")


def smooth(logits: Array, *, passes: int) -> Array:
    """Logits averaged with their neighbours, with weights 1/4, 1/2, 1/4 along Y and along X, in each pass.

    Parameters
    ----------
    logits : (..., Y, X), float32, array or tensor
        Before the soft-max. Sections of a volume are not mixed.
    passes : 0 or more
        Together they approximate a Gaussian of standard deviation sqrt(passes / 2) px.

    Returns
    -------
    (..., Y - 2 passes, X - 2 passes)
        Pixels that have all their neighbours. Each is computed in the same order, so that tiles agree to the bit.

    Examples
    --------
    >>> smooth(np.array([[0, 0, 0], [0, 16, 0], [0, 0, 32]], np.float32), passes=1)     # 16 / 4 + 32 / 16
    array([[6.]], dtype=float32)
    """
    for _ in range(passes):
        logits = (logits[..., :-2, :] + logits[..., 2:, :]) / 4 + logits[..., 1:-1, :] / 2
        logits = (logits[..., :-2] + logits[..., 2:]) / 4 + logits[..., 1:-1] / 2
    return logits


def smooth_whole(logits: NDArray[np.float32], *, passes: int) -> NDArray[np.float32]:
    """Smoothed logits of a whole image, which is mirrored at its edges; the size stays.

    >>> smooth_whole(np.array([[0, 8, 0]], np.float32), passes=1)
    array([[4., 4., 4.]], dtype=float32)
    """
    around = [(0, 0)] * (logits.ndim - 2) + [(passes, passes)] * 2
    return smooth(np.pad(logits, around, mode="reflect"), passes=passes) if passes else logits


def fit_smoothing(probabilities: Sequence[NDArray[Any]], classes: Sequence[NDArray[Any]]) -> int:
    """Passes of smoothing at which probabilities fit the annotated classes best, each at its best temperature.

    Parameters
    ----------
    probabilities, classes : as for `fit_temperature`

    Returns
    -------
    int, in 0..6
        Passes of `biounet.inference.smoothing.smooth`; 0 where none helps, or too few pixels are known.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 2, (32, 64))
    >>> truth = np.repeat([[0, 1]], 32, axis=1).repeat(32, axis=0)      # the right half is foreground
    >>> odds = np.exp(4 * truth - 2 + noise)
    >>> fit_smoothing([np.stack([1 / (1 + odds), odds / (1 + odds)])], [truth])
    4
    """
    every = stride(classes, PIXELS)
    if not every:
        return 0
    logs: list[list[NDArray[np.float64]]] = [[] for _ in range(MOST + 1)]
    truths: list[NDArray[np.int64]] = []
    for one, truth in zip(probabilities, classes, strict=True):
        logits = _logs(one)
        for passes, found in enumerate(logs):
            logits = smooth_whole(logits, passes=1) if passes else logits
            pixels, numbers = known_pixels(logits, truth, every=every)
            found.append(pixels.astype(np.float64))
        truths.append(numbers)
    known = np.concatenate(truths)
    log_loss = [len(known) * lowest_log_loss(np.concatenate(found, axis=1), known)[1] for found in logs]
    return int(np.argmin(log_loss)) if min(log_loss) < log_loss[0] - GAIN else 0


def smooth_probabilities(probabilities: NDArray[Any], passes: int) -> NDArray[np.float32]:
    """Probabilities of smoothed logits, from probabilities of the logits before.

    Parameters
    ----------
    probabilities : (classes, *spatial), floating point in [0, 1]
    passes : as for `biounet.inference.smoothing.smooth`
        0 changes nothing.

    Returns
    -------
    float32 of the shape of `probabilities`
        To rounding, the soft-max of smoothed logits. At edges of the image, these are mirrored.

    Examples
    --------
    >>> smooth_probabilities(np.array([[[0.5, 0.1]], [[0.5, 0.9]]]), 1)         # odds of 1 and 9 become 3 and 3
    array([[[0.25, 0.25]],
    <BLANKLINE>
           [[0.75, 0.75]]], dtype=float32)
    """
    if not passes:
        return probabilities.astype(np.float32)
    logits = smooth_whole(_logs(probabilities), passes=passes)
    powers: NDArray[np.float32] = np.exp(logits - logits.max(axis=0))
    powers /= powers.sum(axis=0)
    return powers


def _logs(probabilities: NDArray[Any]) -> NDArray[np.float32]:
    """Logarithms, which differ from the logits of a network by a constant at each pixel only."""
    logs: NDArray[np.float32] = np.log(np.maximum(probabilities, LEAST, dtype=np.float32))
    return logs
