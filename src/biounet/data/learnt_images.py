"""What a model remembers of the images that it learnt from: the size of their objects, and their looks."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from biounet.config import Settings
from biounet.data.looks import FEATURES, UNLIKE, differences, distance

__all__ = ["ALWAYS_BORNE", "LearntImages"]


Length = Annotated[float, Field(gt=0, le=1e6)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]

ALWAYS_BORNE = 1.2
"""Differences in size up to this factor are borne by any network."""

WORST = 2
"""So many things in which an image is unlike are named."""


class LearntImages(Settings):
    """Size of the objects, and looks, of the images that a model learnt from.

    Examples
    --------
    >>> LearntImages(diameter=20, diameters=(15, 60), magnified=2).known
    (10.0, 60.0)
    """

    diameter: Length | None = None
    """Median diameter of the objects, in pixels along X: of the circle, or ball, with as many pixels."""
    diameters: tuple[Length, Length] | None = None
    """Medians of the images, but for the 5 % with the smallest and the 5 % with the largest."""
    magnified: Annotated[float, Field(ge=1, le=100)] = 1.0
    """Factor by which training magnified images at most, or made them smaller."""
    looks: tuple[tuple[Number, ...], ...] = ()
    """Looks that stand for those of all images, see `biounet.data.looks`."""

    @field_validator("looks")
    @classmethod
    def _with_all_features(cls, given: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
        if any(len(look) != len(FEATURES) for look in given):
            raise ValueError(f"a look has {len(FEATURES)} numbers, got {sorted({len(look) for look in given})}")
        return given

    @property
    def borne(self) -> float:
        """Factor by which objects, or pixels, may be larger or smaller than those learnt from."""
        return max(self.magnified, ALWAYS_BORNE)

    @property
    def known(self) -> tuple[float, float] | None:
        """Least and largest diameter of objects that the network knows, in pixels.

        It learnt from images with such objects, or from the median image, magnified or made smaller.
        """
        if self.diameter is None or self.diameters is None:
            return None
        least, most = self.diameters
        return min(least, self.diameter / self.borne), max(most, self.diameter * self.borne)

    def beyond(self, diameter: float | None) -> float | None:
        """How many times as large objects are as the largest that the network knows, or as the smallest; 1 in between.

        None where the model, or the image, has no objects.

        >>> learnt = LearntImages(diameter=20, diameters=(15, 60))
        >>> learnt.beyond(40), learnt.beyond(90), learnt.beyond(5), LearntImages().beyond(40)
        (1.0, 1.5, 0.3333333333333333, None)
        """
        if self.known is None or diameter is None:
            return None
        least, most = self.known
        return diameter / min(max(diameter, least), most)

    def unlike(self, look: tuple[float, ...]) -> str:
        """Differences of an image from all images that were learnt from, in words; empty where it is like one of them.

        Parameters
        ----------
        look : of `biounet.data.looks.look_of`

        Examples
        --------
        >>> still = (-1.0, 0.0, 3.0, -4.0, *(-2.0,) * 6, 0.0)
        >>> LearntImages(looks=(still,)).unlike((-1.0, 0.0, 3.0, -1.0, *(-2.0,) * 6, 0.0))
        'more noise'
        """
        if not self.looks:
            return ""
        apart = distance(look, self.looks)
        nearest = int(apart.argmin())
        return "" if apart[nearest] <= UNLIKE else _in_words(differences(look, self.looks)[nearest])


def _in_words(apart: NDArray[np.float64]) -> str:
    """The kinds of features that make most of a difference."""
    kinds: dict[str, list[float]] = {}
    for (kind, _), value in zip(FEATURES.values(), apart.tolist(), strict=True):
        kinds.setdefault(kind, []).append(value)
    worst = sorted(kinds, key=lambda kind: -max(map(abs, kinds[kind])))[:WORST]
    worst = [kind for kind in worst if max(map(abs, kinds[kind])) >= 1]
    return " and ".join(_way(kind, kinds[kind]) for kind in worst)


def _way(kind: str, values: Sequence[float]) -> str:
    """A kind of features, and in which way it differs where all of them differ in one."""
    if kind == "brightness":
        return "other brightness"
    much = sum(values)
    return f"{'more' if much > 0 else 'less'} {kind}"
