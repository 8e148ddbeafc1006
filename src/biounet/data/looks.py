"""The look of an image in a few numbers, and whether it is like that of the images that a model learnt from."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box, two_parts

__all__ = ["FEATURES", "UNLIKE", "differences", "distance", "look_of", "look_windows", "spread_out"]


Look = tuple[float, ...]
"""A number for each of `FEATURES`."""

FEATURES = MappingProxyType(
    {
        "darkest": ("brightness", 1.0),
        "middle": ("brightness", 0.5),
        "brightest": ("brightness", 2.0),
        "noise": ("noise", 1.0),
        "1 px": ("sharpness", 0.7),
        "2 px": ("sharpness", 0.7),
        "4 px": ("texture", 0.7),
        "8 px": ("texture", 0.7),
        "16 px": ("texture", 0.7),
        "32 px": ("texture", 0.7),
        "colour": ("colour", 0.2),
    }
)
"""Feature -> what it is called for a person, and a difference that is considerable. In this order: percentiles 1, 50
and 99 of the normalised intensity, mean of the channels; log2 of the standard deviation of noise (Immerkaer 1996, with
a median); log2 of the standard deviation of the means of squares of so many pixels, within squares of twice the side,
and at last between squares of 32 px; mean standard deviation between channels."""

UNLIKE = 0.65
"""Distance to the nearest image learnt from, beyond which an image is unlike all of them; measured, see
docs/prediction.md."""

WHOLE, PART = 512, 256
"""An axis up to `WHOLE` pixels long is looked at as a whole, of a longer one two parts of `PART` pixels are."""

LEAST, COARSEST = 64, 32
"""Shorter sides are mirrored up to this many pixels; side of the largest squares."""

FAINTEST = 2.0**-8
"""Standard deviations below this, in units of the normalised intensity, are taken for it."""


def look_windows(shape: Sequence[int]) -> Iterator[Box]:
    """Boxes of an image that a look is taken of; of a volume, in its middle section.

    Parameters
    ----------
    shape : pixels per spatial axis, (Y, X) or (Z, Y, X)

    Examples
    --------
    >>> [box.start for box in look_windows((300, 1000))]
    [(0, 122), (0, 622)]
    """
    *sections, height, width = shape
    middle = [(size // 2, size // 2 + 1) for size in sections]
    for ends in product(_parts(height), _parts(width)):
        yield Box(*zip(*middle, *ends, strict=True))


def _parts(size: int) -> list[tuple[int, int]]:
    """First and last pixels, exclusive, of the parts of an axis."""
    if size <= WHOLE:
        return [(0, size)]
    return [(start, start + PART) for start in two_parts(size, PART)]


def look_of(shape: Sequence[int], read: Callable[[Box], NDArray[np.float32]]) -> Look:
    """The look of an image.

    Parameters
    ----------
    shape : pixels per spatial axis, (Y, X) or (Z, Y, X)
    read : box of the spatial axes -> (C, *spatial), normalised as the network takes it

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(1, 256, 256)).astype(np.float32)
    >>> look = look_of((256, 256), lambda box: noise[(slice(None), *box.slices)])
    >>> round(dict(zip(FEATURES, look))["noise"], 1)                          # log2 of 1
    0.0
    """
    parts = [_framed(read(box).reshape(-1, *box.shape[-2:])) for box in look_windows(shape)]
    colour = np.mean([part.std(axis=0).mean() for part in parts])
    levels = [part.mean(axis=0, dtype=np.float32) for part in parts]
    quantiles = np.quantile(_pixels(levels), (0.01, 0.5, 0.99))
    noise = np.median(np.abs(_pixels([_second_difference(level) for level in levels]))) / (6 * 0.6745)
    bands, side = [], 1
    while side < COARSEST:
        above = [_halved(level) for level in levels]
        bands.append(math.sqrt(max(0.0, _power(levels) - _power(above))))
        levels, side = above, 2 * side
    deviations = (noise, *bands, _pixels(levels).std())
    numbers = (*quantiles, *(math.log2(max(float(each), FAINTEST)) for each in deviations), colour)
    return tuple(round(float(number), 2) + 0.0 for number in numbers)


def _framed(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels (C, Y, X) whose sides are multiples of the largest squares: cut, or mirrored where they are few."""
    for axis in (1, 2):
        size = pixels.shape[axis]
        if size < LEAST:
            pixels = np.pad(pixels, [(0, LEAST - size if each == axis else 0) for each in range(3)], mode="symmetric")
        else:
            pixels = pixels[(slice(None),) * axis + (slice(size // COARSEST * COARSEST),)]
    return pixels


def _second_difference(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Difference along Y of the difference along X, each the second one; of noise 1 it has a deviation of 6."""
    rows = 2 * level[1:-1] - level[:-2] - level[2:]
    difference: NDArray[np.float32] = 2 * rows[:, 1:-1] - rows[:, :-2] - rows[:, 2:]
    return difference


def _halved(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of squares of 2 x 2."""
    rows = level[::2] + level[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) * np.float32(0.25)


def _pixels(levels: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate([level.ravel() for level in levels])


def _power(levels: Sequence[NDArray[np.float32]]) -> float:
    """Mean square."""
    return float(np.mean(np.square(_pixels(levels), dtype=np.float64)))


def differences(look: Look, others: Sequence[Look]) -> NDArray[np.float64]:
    """Differences of a look to others, (others, features), in units of what is considerable."""
    units = np.array([unit for _, unit in FEATURES.values()])
    apart: NDArray[np.float64] = (np.asarray(look) - np.asarray(others).reshape(len(others), len(units))) / units
    return apart


def distance(look: Look, others: Sequence[Look]) -> NDArray[np.float64]:
    """Distance of a look to others: the root of the mean square of the `differences`."""
    apart: NDArray[np.float64] = np.sqrt(np.square(differences(look, others)).mean(axis=1))
    return apart


def spread_out(looks: Sequence[Look], *, most: int, least: float = 0.05) -> list[Look]:
    """Looks that stand for all: each further one is the farthest from those taken before.

    Parameters
    ----------
    looks : in any number
    most : looks that are taken
    least : distance from those taken before that a further one has

    Examples
    --------
    >>> bright, same, dark = ((level,) + (0.0,) * 10 for level in (3.0, 3.01, -3.0))
    >>> spread_out([bright, same, dark], most=3) == [bright, dark]
    True
    """
    if not looks:
        return []
    taken, nearest = [looks[0]], distance(looks[0], looks)
    while len(taken) < most and nearest.max() > least:
        taken.append(looks[int(nearest.argmax())])
        nearest = np.minimum(nearest, distance(taken[-1], looks))
    return taken
