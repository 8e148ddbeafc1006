"""The factor by which images are scaled, so that objects get the size that a network learnt."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import ConfigError
from biounet.core.labels import equivalent_diameters
from biounet.data.learnt_images import LearntImages
from biounet.models.model_file import ModelCard

__all__ = ["Sizes", "known_sizes", "median_diameter"]


LARGEST = 16.0
"""Images are enlarged, or made smaller, by no more than this."""

LEAST_OBJECTS = 5
"""Of fewer objects no size is judged."""


@dataclass(frozen=True)
class Sizes:
    """What a person says about the size of the objects, or of the pixels, of her images.

    Parameters
    ----------
    diameter : pixels
        Of a typical object; None if it is not said.
    pixel_size : micrometres
        None if it is not said.

    Raises
    ------
    ConfigError
        If both are said, or one is not a positive number.
    """

    diameter: float | None = None
    pixel_size: float | None = None

    def __post_init__(self) -> None:
        if self.diameter is not None and self.pixel_size is not None:
            raise ConfigError("give either --diameter or --pixel-size (diameter, pixel_size), not both")
        for name, value, unit in (
            ("--diameter", self.diameter, "pixels"),
            ("--pixel-size", self.pixel_size, "micrometres"),
        ):
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} must be a positive number of {unit}, got {value:g}")

    def factor(self, card: ModelCard) -> tuple[float, str]:
        """The factor by which images are scaled for a network, and a sentence about it, empty if nothing was said.

        Images stay as they are where their objects, or pixels, differ by no more than the network learnt to bear.

        Raises
        ------
        ConfigError
            If the network does not know the size of the objects, or of the pixels, that it learnt from, or images would
            become more than 16 times as large or as small.

        Examples
        --------
        >>> from biounet.config import ModelConfig
        >>> from biounet.data.learnt_images import LearntImages
        >>> from biounet.data.normalize import Normalization
        >>> learnt = LearntImages(diameter=20, diameters=(15, 25))
        >>> card = ModelCard(model=ModelConfig(), normalization=Normalization(), learnt=learnt)
        >>> Sizes(diameter=40).factor(card)
        (0.5, 'images are scaled by 0.5: objects of 40 px become as large as those learnt from, 20 px')
        >>> Sizes(diameter=24).factor(card)
        (1.0, 'images are not scaled: the network knows objects of 15 to 25 px')
        """
        factor, said = 1.0, ""
        if self.diameter is not None:
            factor, said = _by_objects(self.diameter, card)
        elif self.pixel_size is not None:
            factor, said = _by_pixels(self.pixel_size, card)
        if not 1 / LARGEST <= factor <= LARGEST:
            raise ConfigError(
                f"{said}; that is more than {LARGEST:g} times: give --diameter in pixels, --pixel-size in micrometres"
            )
        return factor, said


def known_sizes(card: ModelCard) -> tuple[float, float, float]:
    """Median diameter of the objects that a network learnt from, and the least and largest that it knows, in pixels.

    Raises
    ------
    ConfigError
        If the network does not know them.
    """
    learnt = card.learnt
    if learnt is None or learnt.diameter is None or learnt.known is None:
        raise ConfigError(
            "the model does not know how large the objects were that it learnt from (it learnt classes, or was trained "
            "by an older biounet); leave --diameter out, or train again on numbered objects"
        )
    return learnt.diameter, *learnt.known


def median_diameter(labels: NDArray[Any], *, steps: Sequence[float]) -> float | None:
    """Median diameter of numbered objects, in pixels along X: of the circle, or ball, with as many pixels.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X), integers
    steps : pixel size along each axis, divided by that along X

    Returns
    -------
    float, or None of fewer than five objects

    Examples
    --------
    >>> median_diameter(np.arange(12).reshape(3, 4), steps=(1, 1)), median_diameter(np.ones((3, 4), int), steps=(1, 1))
    (1.1283791670955126, None)
    """
    counts = np.unique(labels[labels > 0], return_counts=True)[1]
    if len(counts) < LEAST_OBJECTS:
        return None
    return float(np.median(equivalent_diameters(counts * np.prod(steps), dims=labels.ndim)))


def _by_objects(diameter: float, card: ModelCard) -> tuple[float, str]:
    """Factor for objects of a diameter in pixels, and why."""
    learnt, least, most = known_sizes(card)
    if least <= diameter <= most:
        return 1.0, f"images are not scaled: the network knows objects of {least:.3g} to {most:.3g} px"
    factor = learnt / diameter
    return factor, (
        f"images are scaled by {factor:.3g}: objects of {diameter:.3g} px become as large as those learnt from, "
        f"{learnt:.3g} px"
    )


def _by_pixels(size: float, card: ModelCard) -> tuple[float, str]:
    """Factor for pixels of a size in micrometres, and why."""
    if card.spacing is None:
        raise ConfigError(
            "the model does not know the pixel size of the images that it learnt from; give --diameter, the size of a "
            "typical object in pixels, or leave --pixel-size out"
        )
    known, borne = card.spacing[-1], (card.learnt or LearntImages()).borne
    factor = size / known
    if 1 / borne <= factor <= borne:
        return 1.0, f"images are not scaled: the network knows pixels of {known / borne:.3g} to {known * borne:.3g} um"
    return factor, f"images are scaled by {factor:.3g}: pixels of {size:.3g} um become {known:.3g} um, as learnt from"
