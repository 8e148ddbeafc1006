"""Annotated images, in memory or in files: read, normalised, with the target that a network learns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from biounet.core.labels import IGNORE
from biounet.data.dataset import Dataset, Pair
from biounet.data.normalize import Normalization
from biounet.data.out_of_core import StripSizes, measure_whole, read_strips, strip_rows
from biounet.data.statistics import ImageStatistics
from biounet.data.targets import OF_WHOLE_OBJECTS, TARGETS

__all__ = ["AnnotatedFile", "AnnotatedImage", "AnnotatedImageReader", "AnnotatedSource", "OnDemandImages"]


class AnnotatedSource(Protocol):
    """An annotated image, wherever it lies: `AnnotatedImage` in memory, `AnnotatedFile` in files."""

    @property
    def name(self) -> str:
        """Name of the image file, and of the section in a stack."""

    @property
    def in_memory(self) -> bool:
        """Whether reading the image costs nothing."""

    @property
    def statistics(self) -> ImageStatistics:
        """Size, hashes and class counts of the image; computed once."""

    def read(self) -> "AnnotatedImage":
        """Return the whole image."""

    def strips(self) -> Iterator[tuple["AnnotatedImage", slice]]:
        """Return the image in strips from top to bottom.

        A strip comes with rows around it. The slice tells which of its rows are its own: joined along Y, the own rows
        of all strips are the image.
        """

    def within(self, memory: float) -> "AnnotatedSource":
        """Return the same image in strips that take no more memory, in bytes."""


@dataclass(frozen=True)
class AnnotatedImage:
    """One annotated image in memory, or a strip of one.

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

    @property
    def in_memory(self) -> bool:
        """Always true."""
        return True

    @cached_property
    def statistics(self) -> ImageStatistics:
        """Size, hashes and class counts of the image."""
        return ImageStatistics.of(self.name, self.image, self.labels, self.target)

    def read(self) -> "AnnotatedImage":
        """Return the image itself."""
        return self

    def strips(self) -> Iterator[tuple["AnnotatedImage", slice]]:
        """Return the image as a single strip."""
        yield self, slice(None)

    def within(self, memory: float) -> "AnnotatedImage":
        """Return the image itself."""
        return self

    def cropped(self, rows: slice) -> "AnnotatedImage":
        """Return some rows of the image."""
        part = (..., rows, slice(None))
        return replace(self, image=self.image[part], labels=self.labels[part], target=self.target[part])


@dataclass(frozen=True, eq=False)
class AnnotatedFile:
    """One annotated image in files: it is read whenever it is asked for, and not kept.

    Parameters
    ----------
    reader : AnnotatedImageReader
    dataset : Dataset
    pair : Pair
        The image and its labels.
    rows : along Y
        How many rows a strip has, the rows around it included. None: the whole image is one strip.
    """

    reader: "AnnotatedImageReader"
    dataset: Dataset
    pair: Pair
    rows: int | None = None

    @property
    def name(self) -> str:
        """Name of the image file, and of the section in a stack."""
        return self.pair.name

    @property
    def in_memory(self) -> bool:
        """Always false."""
        return False

    @cached_property
    def statistics(self) -> ImageStatistics:
        """Size, hashes and class counts of the image, which is read for them once."""
        own = (strip.cropped(rows) for strip, rows in self.strips())
        return ImageStatistics.joined(self.name, ((part.image, part.labels, part.target) for part in own))

    def read(self) -> AnnotatedImage:
        """Read the whole image."""
        return self.reader.read(self.dataset, self.pair)

    def strips(self) -> Iterator[tuple[AnnotatedImage, slice]]:
        """Read the image in strips from top to bottom, each with the rows around it; the slice tells its own rows."""
        if self.rows is None:
            yield self.read(), slice(None)
        else:
            yield from self.reader.strips(self.dataset, self.pair, self.rows)

    def within(self, memory: float) -> "AnnotatedFile":
        """Return the same image in strips that take no more memory, in bytes; the image itself if it has such."""
        rows = strip_rows(self.pair, memory=memory, sizes=self.reader.sizes)
        return self if rows == self.rows else replace(self, rows=rows)


class OnDemandImages(Sequence[AnnotatedImage]):
    """Annotated images by number, each read whenever it is asked for.

    Examples
    --------
    >>> labels = np.array([[0, 1]])
    >>> images = OnDemandImages([AnnotatedImage(name, labels[None], labels, labels) for name in "abc"])
    >>> images[-1].name, [image.name for image in images[1:]]
    ('c', ['b', 'c'])
    """

    def __init__(self, sources: Sequence[AnnotatedSource]) -> None:
        self._sources = sources

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> AnnotatedImage: ...

    @overload
    def __getitem__(self, index: slice) -> "OnDemandImages": ...

    def __getitem__(self, index: int | slice) -> "AnnotatedImage | OnDemandImages":
        """Read one image; or choose some, which reads none."""
        if isinstance(index, slice):
            return OnDemandImages(self._sources[index])
        return self._sources[index].read()


class AnnotatedImageReader:
    """Reads annotated images; the intensity statistics of an image that is read in parts are measured once.

    Parameters
    ----------
    normalization : Normalization
    target : str
        One of `biounet.data.targets.TARGETS`, computed from numbered objects; or ``classes``: labels are the target.
    sizes : StripSizes
        How images that are read in strips are divided.
    """

    def __init__(self, normalization: Normalization, target: str, *, sizes: StripSizes) -> None:
        self._normalization, self._target, self.sizes = normalization, target, sizes
        self._measured: dict[tuple[Path, int | None, int], Normalization] = {}

    def read(self, dataset: Dataset, pair: Pair) -> AnnotatedImage:
        """Read one image, or some rows of one, normalised by the statistics of the whole image."""
        normalization = self._normalization if pair.rows is None else self._measure(pair)
        return self._annotated(pair, *dataset.load(pair), normalization)

    def strips(self, dataset: Dataset, pair: Pair, rows: int) -> Iterator[tuple[AnnotatedImage, slice]]:
        """Read one image in strips of so many rows, the rows around a strip included.

        The target of an object that reaches beyond these rows is unknown, if it depends on the whole object.
        """
        whole_objects = self._target in OF_WHOLE_OBJECTS
        for strip in read_strips(dataset.load, pair, rows, whole_objects=whole_objects, sizes=self.sizes):
            annotated = self._annotated(pair, strip.image, strip.labels, self._measure(pair))
            if strip.cut.size:
                annotated.target[np.isin(annotated.labels, strip.cut)] = IGNORE
            yield annotated, strip.own

    def _measure(self, pair: Pair) -> Normalization:
        """Measure the statistics of the whole image that a pair is some rows of."""
        image = pair.image, pair.section, pair.channels
        if image not in self._measured:
            self._measured[image] = measure_whole(pair, self._normalization)
        return self._measured[image]

    def _annotated(
        self, pair: Pair, image: NDArray[Any], labels: NDArray[Any], normalization: Normalization
    ) -> AnnotatedImage:
        """Normalise an image, and compute the target from its labels."""
        classes = np.maximum(TARGETS[self._target](labels) if self._target in TARGETS else labels, IGNORE)
        normalised = normalization.measured(image).apply(image)
        return AnnotatedImage(pair.name, normalised, labels, classes.astype(np.int64), pair.spacing)
