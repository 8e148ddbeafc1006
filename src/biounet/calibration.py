"""Probabilities that mean what they say: one temperature, fitted on validation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from biounet.errors import ConfigError, DatasetError, ImageError, LabelError, ShapeError

__all__ = ["apply_temperature", "fit_temperature"]

COLDEST, HOTTEST = 1 / 20, 20.0
"""Temperatures that are tried."""

LEAST = np.float32(1e-7)
"""Probabilities are not taken to be smaller, so that they have a logarithm."""

MOST_PIXELS = 2**20
"""Pixels of a class map from which a temperature is fitted; of more, every n-th is taken."""


def fit_temperature(probabilities: Sequence[NDArray[Any]], classes: Sequence[NDArray[Any]]) -> float:
    """Find the temperature at which probabilities fit what is true.

    Parameters
    ----------
    probabilities : (classes, *spatial) each, floating point in [0, 1]
        Of images that the network was not trained on.
    classes : (*spatial) integers each
        The class of each pixel; negative is IGNORE.

    Returns
    -------
    float, in 1/20..20
        Above 1 the network was too sure, below 1 not sure enough; 1 if it was neither.

    Raises
    ------
    ShapeError, LabelError, ImageError
        If these are no probabilities and classes that fit.
    DatasetError
        If no pixel is known.

    Notes
    -----
    Source: Guo et al. 2017, section 4.2: the one number T that minimises the negative log-likelihood of the
    soft-max of ``scores / T``. The logarithms of probabilities serve as scores, from which they differ by a
    constant at each pixel only.

    Examples
    --------
    A network that always says 0.9, and is right in three of four cases: ln 9 / ln 3 = 2.

    >>> sure = np.array([[0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.9, 0.9]])
    >>> round(fit_temperature([sure], [np.array([1, 1, 1, 0])]), 3)
    2.0
    """
    pairs = [_known(one, truth) for one, truth in zip(probabilities, classes, strict=True)]
    if not sum(len(truth) for _, truth in pairs):
        raise DatasetError("a temperature is fitted on annotated pixels, and there are none; hold out annotated images")
    logs = np.concatenate([one for one, _ in pairs], axis=1)
    truth = np.concatenate([truth for _, truth in pairs])
    step = -(-len(truth) // MOST_PIXELS)
    logs, truth = logs[:, ::step].astype(np.float64), truth[np.newaxis, ::step]

    def loss(log_temperature: float) -> float:
        scores = logs / np.exp(log_temperature)
        scores -= scores.max(axis=0)
        right = np.take_along_axis(scores, truth, axis=0)[0]
        return float((np.log(np.exp(scores).sum(axis=0)) - right).mean())

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def apply_temperature(probabilities: NDArray[Any], temperature: float) -> NDArray[np.float32]:
    """Make probabilities as sure as they should be; the most probable class stays.

    Parameters
    ----------
    probabilities : (classes, *spatial), floating point in [0, 1]
        Of two classes the foreground alone may be given; then it alone comes back.
    temperature : positive
        From `fit_temperature`; 1 changes nothing.

    Returns
    -------
    float32 of the shape of `probabilities`

    Examples
    --------
    >>> apply_temperature(np.array([[0.1], [0.9]]), 2.0)                # 1 : 9 becomes 1 : 3
    array([[0.25],
           [0.75]], dtype=float32)
    """
    if not temperature > 0:
        raise ConfigError(f"a temperature must be positive, got {temperature}; 1 changes nothing")
    if temperature == 1:
        return probabilities.astype(np.float32)
    if len(probabilities) == 1:
        return apply_temperature(np.concatenate([1 - probabilities, probabilities]), temperature)[1:]
    powers: NDArray[np.float32] = np.power(
        np.maximum(probabilities, LEAST), np.float32(1 / temperature), dtype=np.float32
    )
    total = powers[0].copy()
    for power in powers[1:]:  # in one order, so that tiles agree to the bit
        total += power
    powers /= total
    return powers


def _known(probabilities: NDArray[Any], classes: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logarithms (classes, pixels) and class of all known pixels of an image."""
    if probabilities.shape[1:] != classes.shape:
        raise ShapeError(
            f"probabilities of {probabilities.shape[1:]} pixels came with classes of {classes.shape}; pair them anew"
        )
    if probabilities.dtype.kind != "f":
        raise ImageError(f"probabilities must be floating point in 0..1, got {probabilities.dtype}; divide them first")
    if classes.dtype.kind not in "iu":
        raise LabelError(f"classes must be integers, got {classes.dtype}; number them from 0")
    if classes.max(initial=0) >= len(probabilities):
        raise LabelError(f"class numbers must be below {len(probabilities)}, got {classes.max()}; number them from 0")
    known = classes >= 0
    logs = np.log(np.maximum(probabilities[:, known], LEAST), dtype=np.float32)
    return logs, classes[known].astype(np.int64)
