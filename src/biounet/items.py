"""One annotated image in memory, or a band of it: read, normalised, with what is to be predicted of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.bands import measure_whole, read_bands
from biounet.config import IGNORE
from biounet.folders import Dataset, Pair
from biounet.images import open_lazily
from biounet.normalize import Normalization
from biounet.ondemand import OnDemand
from biounet.survey import Survey
from biounet.targets import TARGETS

__all__ = ["Item", "on_demand", "read_item", "spacing_of", "survey_of"]

OF_WHOLE_OBJECTS = frozenset({"border", "distance"})
"""Targets of which a part of an object does not tell what they are there."""


@dataclass(frozen=True)
class Item:
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
    def survey(self) -> Survey:
        """What is to be known of it when it is not in memory any more."""
        return Survey.of(self.name, self.image, self.labels, self.target)

    def cropped(self, rows: slice) -> "Item":
        """The same of some of its rows."""
        part = (..., rows, slice(None))
        return replace(self, image=self.image[part], labels=self.labels[part], target=self.target[part])


def survey_of(name: str, bands: Iterator[tuple[Item, slice]]) -> Survey:
    """What there is to know of an image that comes in bands."""
    own = (item.cropped(rows) for item, rows in bands)
    return Survey.joined(name, ((part.image, part.labels, part.target) for part in own))


def on_demand(
    dataset: Dataset, pairs: Sequence[Pair], rows: Sequence[int | None], normalization: Normalization, target: str
) -> OnDemand[Item]:
    """Images that are read when they are asked for, in bands those of which so many rows are in memory at a time.

    What is made of an object that is cut by them, and by what is read around them, is unknown: there it would be wrong.
    """
    measured = cache(lambda number: measure_whole(pairs[number], normalization))

    def bands(number: int) -> Iterator[tuple[Item, slice]]:
        pair, together = pairs[number], rows[number]
        if together is None:
            yield whole(number), slice(None)
            return
        for band in read_bands(dataset.load, pair, together, whole_objects=target in OF_WHOLE_OBJECTS):
            item = _made(pair, band.image, band.labels, normalization=measured(number), target=target)
            if band.cut.size:
                item.target[np.isin(item.labels, band.cut)] = IGNORE
            yield item, band.own

    def whole(number: int) -> Item:
        return read_item(dataset, pairs[number], normalization=normalization, target=target)

    return OnDemand([pair.name for pair in pairs], whole, bands=bands)


def read_item(dataset: Dataset, pair: Pair, *, normalization: Normalization, target: str) -> Item:
    """Read one image, with the statistics of all of it if it is but some rows."""
    if pair.rows is not None and normalization.offset is None:
        normalization = measure_whole(pair, normalization)
    return _made(pair, *dataset.load(pair), normalization=normalization, target=target)


def _made(pair: Pair, image: NDArray[Any], labels: NDArray[Any], *, normalization: Normalization, target: str) -> Item:
    """Normalise an image. Objects become the classes of a target."""
    classes = np.maximum(TARGETS[target](labels) if target in TARGETS else labels, IGNORE)
    normalised = normalization.measured(image).apply(image)
    return Item(pair.name, normalised, labels, classes.astype(np.int64), spacing_of(pair, labels.ndim))


def spacing_of(pair: Pair, dims: int) -> tuple[float, ...] | None:
    """Micrometres per pixel and spatial axis, where the file tells."""
    with open_lazily(pair.image) as file:
        return file.spacing and file.spacing[-dims:]
