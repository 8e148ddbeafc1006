"""Calibrated probabilities: one temperature, fitted on held-out images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ConfigError, DatasetError, ImageError, LabelError, ShapeError

__all__ = [
    "Calibration",
    "apply_temperature",
    "calibrate",
    "calibration_error",
    "fit_temperature",
    "known_pixels",
    "lowest_log_loss",
    "move_threshold",
    "stride",
]


COLDEST, HOTTEST = 1 / 2, 20.0
"""Range of temperatures: a few images without a mistake are no proof that there will never be one."""

LEAST = np.finfo(np.float32).tiny
"""Least probability, so that every probability has a logarithm."""

MOST_PIXELS = 2**18
"""Pixels from which a temperature is fitted; of more, every n-th is taken."""

BINS = 15
"""Bins of confidence, as in Guo et al. 2017."""


@dataclass(frozen=True)
class Calibration:
    """Temperature, and calibration error of probabilities before and after it is applied.

    Attributes
    ----------
    temperature : positive; 1 changes nothing
    before, after : `calibration_error`, in [0, 1]
        On the images that the temperature was fitted on.
    smoothing : passes in which logits were smoothed before, see `biounet.inference.smoothing`

    Examples
    --------
    >>> print(Calibration(2.0, 0.15, 0.0))
    temperature 2 makes the expected calibration error 0.0000, it was 0.1500
    >>> print(Calibration(1.0, 0.01, 0.01))
    probabilities stay as they are, with an expected calibration error of 0.0100
    """

    temperature: float
    before: float
    after: float
    smoothing: int = 0

    def __str__(self) -> str:
        smoothed = f"logits are smoothed {self.smoothing} times; " if self.smoothing else ""
        if self.temperature == 1:
            return f"{smoothed}probabilities stay as they are, with an expected calibration error of {self.before:.4f}"
        return (
            f"{smoothed}temperature {self.temperature:.3g} makes the expected calibration error {self.after:.4f}, "
            f"it was {self.before:.4f}"
        )


def calibrate(probabilities: Sequence[NDArray[Any]], classes: Sequence[NDArray[Any]]) -> Calibration:
    """Temperature that fits probabilities to annotated classes, and the calibration error before and after.

    The temperature is 1 where another does not lower the error, or no pixel is known.

    Parameters
    ----------
    probabilities, classes : as for `fit_temperature`

    Notes
    -----
    Likelihood and calibration error need not agree: a few pixels of high probability and a wrong class may give a
    temperature at which all other probabilities are too low. A temperature that makes the error greater is not applied.

    Examples
    --------
    >>> sure = np.array([[0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.9, 0.9]])
    >>> found = calibrate([sure], [np.array([1, 1, 1, 0])])
    >>> round(found.temperature, 3), round(found.before, 3), round(found.after, 3)
    (2.0, 0.15, 0.0)
    """
    if not any((truth >= 0).any() for truth in classes):
        return Calibration(1.0, 0.0, 0.0)
    temperature = fit_temperature(probabilities, classes)
    before, after = _errors(probabilities, classes, (1.0, temperature))
    return Calibration(temperature, before, after) if after < before else Calibration(1.0, before, before)


def fit_temperature(probabilities: Sequence[NDArray[Any]], classes: Sequence[NDArray[Any]]) -> float:
    """Temperature at which probabilities fit the annotated classes.

    Parameters
    ----------
    probabilities : (classes, *spatial) each, floating point in [0, 1]
        Of images that the network was not trained on.
    classes : (*spatial) integers each
        The class of each pixel; negative is IGNORE.

    Returns
    -------
    float, in 1/2..20
        Above 1 the probabilities of the network were too high, below 1 too low; 1 if they were neither.

    Raises
    ------
    ShapeError, LabelError, ImageError
        If these are no probabilities and classes that fit.
    DatasetError
        If no pixel is known.

    Notes
    -----
    Source: Guo et al. 2017, section 4.2: the one number T that minimises the negative log-likelihood of the
    soft-max of ``logits / T``. The logarithms of probabilities serve as logits, from which they differ by a
    constant at each pixel only.

    Examples
    --------
    A network that always says 0.9, and is right in three of four cases: ln 9 / ln 3 = 2.

    >>> sure = np.array([[0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.9, 0.9]])
    >>> round(fit_temperature([sure], [np.array([1, 1, 1, 0])]), 3)
    2.0
    """
    for one, truth in zip(probabilities, classes, strict=True):
        _check(one, truth)
    every = stride(classes, MOST_PIXELS)
    if not every:
        raise DatasetError("a temperature is fitted on annotated pixels, and there are none; hold out annotated images")
    pairs = [known_pixels(one, truth, every=every) for one, truth in zip(probabilities, classes, strict=True)]
    logs = np.log(np.maximum(np.concatenate([one for one, _ in pairs], axis=1), LEAST), dtype=np.float64)
    return lowest_log_loss(logs, np.concatenate([truth for _, truth in pairs]))[0]


def lowest_log_loss(logs: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[float, float]:
    """Temperature at which logarithms of probabilities fit the annotated classes, and the log loss there.

    Parameters
    ----------
    logs : (classes, pixels)
    truth : (pixels)

    Returns
    -------
    temperature : float, in 1/2..20
    log_loss : float
        Mean negative log-likelihood at this temperature, in nats.

    Examples
    --------
    >>> [round(found, 3) for found in lowest_log_loss(np.log([[0.1] * 4, [0.9] * 4]), np.array([1, 1, 1, 0]))]
    [2.0, 0.562]
    """
    from scipy.optimize import minimize_scalar  # slow to import, and only training needs it

    def loss(log_temperature: float) -> float:
        logits = logs / np.exp(log_temperature)
        logits -= logits.max(axis=0)
        right = np.take_along_axis(logits, truth[np.newaxis], axis=0)[0]
        return float((np.log(np.exp(logits).sum(axis=0)) - right).mean())

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x)), float(found.fun)


def apply_temperature(probabilities: NDArray[Any], temperature: float) -> NDArray[np.float32]:
    """Probabilities at another temperature; the most probable class stays the same.

    Parameters
    ----------
    probabilities : (classes, *spatial), floating point in [0, 1]
        Of two classes the foreground alone may be given; then it alone is returned.
    temperature : positive
        From `fit_temperature`; 1 changes nothing.

    Returns
    -------
    float32 of the shape of `probabilities`
        To rounding, the soft-max of ``logits / temperature``.

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
    powers: NDArray[np.float32] = np.maximum(probabilities, LEAST, dtype=np.float32)
    powers /= powers.max(axis=0)  # the most probable class becomes 1, so that none of the powers is too small
    np.power(powers, np.float32(1 / temperature), out=powers)
    total = powers[0].copy()
    for power in powers[1:]:  # in one order, so that tiles agree to the bit
        total += power
    powers /= total
    return powers


def move_threshold(threshold: float, temperature: float) -> float:
    """Threshold that divides calibrated probabilities of two classes as `threshold` divided them before.

    Parameters
    ----------
    threshold : probability in (0, 1)
    temperature : positive

    Examples
    --------
    >>> round(move_threshold(0.9, 2.0), 6)                              # 9 : 1 becomes 3 : 1
    0.75
    """
    odds = float((threshold / (1 - threshold)) ** (1 / temperature))
    return odds / (1 + odds)


def calibration_error(probabilities: Iterable[NDArray[Any]], classes: Iterable[NDArray[Any]]) -> float:
    """Expected calibration error: mean difference between the confidence of pixels and how often they are right.

    Parameters
    ----------
    probabilities, classes : as for `fit_temperature`

    Returns
    -------
    float, in [0, 1]
        0 is perfect.

    Raises
    ------
    ShapeError, LabelError, ImageError
        If these are no probabilities and classes that fit.
    DatasetError
        If no pixel is known.

    Notes
    -----
    Source: Guo et al. 2017, equation 3, with their 15 bins of equal width: the mean over all pixels of the
    difference, in the bin of the pixel, between mean probability of the most probable class and share of
    pixels where that class is true.

    Examples
    --------
    >>> sure = np.array([[0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.9, 0.9]])
    >>> round(calibration_error([sure], [np.array([1, 1, 1, 0])]), 3)   # 0.9 sure, 0.75 right
    0.15
    """
    return _errors(probabilities, classes, (1.0,))[0]


def _errors(
    probabilities: Iterable[NDArray[Any]], classes: Iterable[NDArray[Any]], temperatures: Sequence[float]
) -> list[float]:
    """Calibration error at each temperature, part by part, since copies of large images would take much memory."""
    sums = np.zeros((len(temperatures), 3, BINS))  # pixels, their confidence, how many are right
    for one, truth in zip(probabilities, classes, strict=True):
        _check(one, truth)
        flat, numbers = one.reshape(len(one), -1), truth.ravel()
        for start in range(0, numbers.size, MOST_PIXELS):
            part = slice(start, start + MOST_PIXELS)
            known, number = known_pixels(flat[:, part], numbers[part])
            for at, temperature in zip(sums, temperatures, strict=True):
                calibrated = apply_temperature(known, temperature)
                sure, right = calibrated.max(axis=0), calibrated.argmax(axis=0) == number
                place = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
                at += [np.bincount(place, weights, BINS) for weights in (np.ones(len(sure)), sure, right)]
    if not sums[0, 0].sum():
        raise DatasetError("calibration is measured on annotated pixels, and there are none; give annotated images")
    return [float(np.abs(sure - right).sum() / pixels.sum()) for pixels, sure, right in sums]


def stride(classes: Iterable[NDArray[Any]], most: int) -> int:
    """Number n such that every n-th known pixel of these images makes `most` pixels at most; 0 without known pixels.

    >>> stride([np.array([0, 1, -1]), np.array([1, 1])], 2)
    2
    """
    return -(-sum(int(np.count_nonzero(truth >= 0)) for truth in classes) // most)


def known_pixels(
    probabilities: NDArray[Any], classes: NDArray[Any], *, every: int = 1
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Probabilities (classes, pixels) and class of all known pixels of an image, or of every n-th.

    >>> known_pixels(np.array([[0.5, 0.2, 0.1], [0.5, 0.8, 0.9]]), np.array([1, -1, 0]))
    (array([[0.5, 0.1],
           [0.5, 0.9]]), array([1, 0]))
    """
    known = np.flatnonzero(classes >= 0)[::every]
    return probabilities.reshape(len(probabilities), -1)[:, known], classes.ravel()[known].astype(np.int64)


def _check(probabilities: NDArray[Any], classes: NDArray[Any]) -> None:
    """Check that these are probabilities and classes of one image."""
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
