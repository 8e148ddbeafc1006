"""The elevation map of an image: one byte per pixel, how far inside an object it lies.

Each pixel of the map follows from the probabilities of that pixel alone. So tiles give the map of the whole image.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.core.errors import ImageError, ShapeError

__all__ = ["HIGHEST", "foreground_and_heights", "make_elevation", "seed_level"]


HIGHEST = 255
"""The elevation of pixels that are surely inside of an object; the foreground has 1 and more."""


def make_elevation(probabilities: NDArray[Any], rules: ObjectRules) -> NDArray[np.uint8]:
    """Elevation map: a byte per pixel that tells how far inside an object the pixel lies.

    Parameters
    ----------
    probabilities : (classes, Y, X) or (classes, Z, Y, X), floating point in [0, 1]
        Of two classes the foreground alone may be given, as it is stored.
    rules : ObjectRules
        Its `target` names the classes, its `foreground` is the threshold of the foreground.

    Returns
    -------
    uint8 of the spatial shape
        0 is background. Else 1 + 254 times the probability of the foreground, or of the interior, or the mean
        level of distance divided by the highest, whichever the target has.

    Raises
    ------
    ShapeError
        If the number of classes is not that of the target.
    ImageError
        If probabilities are integers.

    Examples
    --------
    >>> row = np.array([[[0.0, 0.2, 0.9]], [[0.1, 0.7, 0.1]], [[0.9, 0.1, 0.0]]])    # background, interior, border
    >>> make_elevation(1 - row[:1], ObjectRules())                     # 1 + 254 * 0.8
    array([[255, 204,   0]], dtype=uint8)
    >>> make_elevation(row, ObjectRules(target="border"))              # 1 + 254 * 0.7
    array([[ 26, 179,   0]], dtype=uint8)
    >>> make_elevation(row, ObjectRules(target="distance"))            # 1 + 254 * (0.1 * 1 + 0.9 * 2) / 2
    array([[242, 115,   0]], dtype=uint8)
    """
    foreground, heights = foreground_and_heights(probabilities, rules)
    return np.where(foreground > rules.foreground, heights, 0).astype(np.uint8)


def foreground_and_heights(
    probabilities: NDArray[Any], rules: ObjectRules
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Probability of the foreground, and the elevation that each pixel has where it is foreground.

    >>> foreground_and_heights(np.array([[[0.5]], [[0.5]], [[0.0]]]), ObjectRules(target="distance"))   # 1 + 254 / 4
    (array([[0.5]], dtype=float32), array([[65]], dtype=uint8))
    """
    _check(probabilities, rules)
    if len(probabilities) <= 2:
        inside = foreground = probabilities[-1].astype(np.float32)
    else:
        foreground = np.float32(1) - probabilities[0].astype(np.float32)
        inside = probabilities[1] if rules.target == "border" else _mean_level(probabilities[1:])
    return foreground, (1 + _steps(inside)).astype(np.uint8)


def seed_level(seed: float) -> int:
    """Least elevation of a seed, at least that of the foreground.

    >>> seed_level(0.5), seed_level(0.0)
    (128, 1)
    """
    return 1 + int(_steps(np.float32(seed)))


def _mean_level(levels: NDArray[Any]) -> NDArray[np.float32]:
    """Mean of the levels 1..K, divided by K, added up in one order so that tiles agree to the bit."""
    mean = np.zeros(levels.shape[1:], np.float32)
    for number, probability in enumerate(levels, start=1):
        mean += probability.astype(np.float32) * np.float32(number / len(levels))
    return mean


def _steps(inside: Any) -> Any:
    """Values in 0..1 as 254 steps."""
    return np.rint(np.clip(inside, 0, 1) * np.float32(HIGHEST - 1))


def _check(probabilities: NDArray[Any], rules: ObjectRules) -> None:
    """Refuse arrays that are no probabilities of the classes of the target."""
    if probabilities.ndim not in (3, 4):
        raise ShapeError(f"probabilities must have axes C(Z)YX, got {probabilities.ndim} axes; add the axis of classes")
    if probabilities.dtype.kind != "f":
        raise ImageError(f"probabilities must be floating point in 0..1, got {probabilities.dtype}; divide them first")
    wanted = {"border": (3,), "distance": range(3, 256)}.get(rules.target, (1, 2))
    if len(probabilities) not in wanted:
        number = "3 or more" if rules.target == "distance" else " or ".join(map(str, wanted))
        raise ShapeError(
            f"the target {rules.target} has {number} classes, got {len(probabilities)}; name the target of the training"
        )
