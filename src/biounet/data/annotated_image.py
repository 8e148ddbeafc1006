"""One annotated image in memory, or a band of it: read, normalised, with what is to be predicted of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.labels import IGNORE
from biounet.data.dataset import Dataset, Pair
from biounet.data.normalize import Normalization
from biounet.data.out_of_core import LazySequence, measure_whole, read_bands
from biounet.data.statistics import ImageStatistics
from biounet.data.targets import TARGETS

__all__ = ["AnnotatedImage", "AnnotatedImageReader", "statistics_of"]


OF_WHOLE_OBJECTS = frozenset({"border", "distance"})
"""Targets of which a part of an object does not tell what they are there."""


@dataclass(frozen=True)
class AnnotatedImage:
    """One annotated image in memory.

    name : of its file, and of its section in a stack
    image : (C, *spatial) float32, normalised
    labels : (*spatial) integers as annotated: classes, or numbered objects; negative = IGNORE
        Or the image to draw, (C, *spatial), in its own units.
    target : (*spatial) int64, the class to predict; negative = IGNORE
        0 everywhere where an image is to be drawn.
    spacing : micrometres per pixel and spatial axis, where the file tells
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[Any]
    target: NDArray[np.int64]
    spacing: tuple[float, ...] | None = None

    @cached_property
    def statistics(self) -> ImageStatistics:
        """What is to be known of it when it is not in memory any more."""
        return ImageStatistics.of(self.name, self.image, self.labels, self.target)

    def cropped(self, rows: slice) -> "AnnotatedImage":
        """The same of some of its rows."""
        part = (..., rows, slice(None))
        return replace(self, image=self.image[part], labels=self.labels[part], target=self.target[part])


def statistics_of(name: str, bands: Iterator[tuple[AnnotatedImage, slice]]) -> ImageStatistics:
    """What there is to know of an image that comes in bands."""
    own = (item.cropped(rows) for item, rows in bands)
    return ImageStatistics.joined(name, ((part.image, part.labels, part.target) for part in own))


class AnnotatedImageReader:
    """Reads annotated images; where they are read in parts, the statistics of each whole image are taken once.

    Parameters
    ----------
    normalization : Normalization
    target : one of `biounet.data.targets.TARGETS`, which objects become; or classes, which labels are
    """

    def __init__(self, normalization: Normalization, target: str) -> None:
        self._normalization, self._target = normalization, target
        self._of_whole: dict[tuple[Path, int | None, int], Normalization] = {}

    def read(self, dataset: Dataset, pair: Pair) -> AnnotatedImage:
        """Read one image, with the statistics of all of it if it is but some rows."""
        normalization = self._normalization if pair.rows is None else self._measured(pair)
        return self._made(pair, *dataset.load(pair), normalization)

    def on_demand(
        self, dataset: Dataset, pairs: Sequence[Pair], rows: Sequence[int | None]
    ) -> LazySequence[AnnotatedImage]:
        """Images that are read when they are asked for, in bands of which so many rows are in memory at a time.

        What is made of an object that is cut by them, and by what is read around them, is unknown: there it would be
        wrong.
        """

        def bands(number: int) -> Iterator[tuple[AnnotatedImage, slice]]:
            pair, together = pairs[number], rows[number]
            if together is None:
                yield self.read(dataset, pair), slice(None)
                return
            for band in read_bands(dataset.load, pair, together, whole_objects=self._target in OF_WHOLE_OBJECTS):
                item = self._made(pair, band.image, band.labels, self._measured(pair))
                if band.cut.size:
                    item.target[np.isin(item.labels, band.cut)] = IGNORE
                yield item, band.own

        return LazySequence(
            [pair.name for pair in pairs], lambda number: self.read(dataset, pairs[number]), bands=bands
        )

    def _measured(self, pair: Pair) -> Normalization:
        """Statistics of the whole image that a pair is of."""
        image = pair.image, pair.section, pair.channels
        if image not in self._of_whole:
            self._of_whole[image] = measure_whole(pair, self._normalization)
        return self._of_whole[image]

    def _made(
        self, pair: Pair, image: NDArray[Any], labels: NDArray[Any], normalization: Normalization
    ) -> AnnotatedImage:
        """Normalise an image. Objects become the classes of a target."""
        classes = np.maximum(TARGETS[self._target](labels) if self._target in TARGETS else labels, IGNORE)
        normalised = normalization.measured(image).apply(image)
        return AnnotatedImage(pair.name, normalised, labels, classes.astype(np.int64), pair.spacing)
