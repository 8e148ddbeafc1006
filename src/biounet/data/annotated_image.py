"""Annotated images, in memory or read from files on demand: normalised pixels, labels, and the target to learn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from biounet.io.identity import FileIdentity, check_unchanged

__all__ = [
    "AnnotatedFile",
    "AnnotatedImage",
    "AnnotatedImageReader",
    "AnnotatedSource",
    "OnDemandImages",
    "anisotropy",
]


def anisotropy(spacing: Sequence[float] | None, *, axes: int) -> tuple[float, ...]:
    """Pixel size along each axis, divided by that along X, so that distances are in pixels along X.

    >>> anisotropy((0.5, 0.1, 0.1), axes=3), anisotropy(None, axes=2)
    ((5.0, 1.0, 1.0), (1.0, 1.0))
    """
    if spacing is None:
        return (1.0,) * axes
    return tuple(round(float(step / spacing[-1]), 6) for step in spacing)


REMEDY = "train into a new folder"


class AnnotatedSource(Protocol):
    """An annotated image that can be read: `AnnotatedImage`, which is in memory, or `AnnotatedFile`."""

    @property
    def name(self) -> str:
        """Name of the image file, and of the section in a stack."""

    @property
    def in_memory(self) -> bool:
        """Whether `read` returns at once, since no file must be read."""

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """Micrometres per pixel and spatial axis, if the file has them."""

    @property
    def anisotropy(self) -> tuple[float, ...]:
        """Pixel size along each spatial axis, divided by that along X; 1 where the file does not tell it."""

    @property
    def statistics(self) -> ImageStatistics:
        """Size, hashes and class counts of the image; computed once."""

    def read(self) -> "AnnotatedImage":
        """Return the whole image."""

    def strips(self) -> Iterator[tuple["AnnotatedImage", slice]]:
        """Return the image in strips from top to bottom, each with a slice of its rows.

        Strips overlap, since each is read with rows above and below it. The slice selects the rows without overlap:
        joined along Y, these rows of all strips are the image.
        """

    def within(self, memory: float) -> "AnnotatedSource":
        """Return the same image, with strips of which each takes at most `memory` bytes."""


@dataclass(frozen=True)
class AnnotatedImage:
    """One annotated image in memory, or a strip of one.

    Parameters
    ----------
    name : of its file, and of its section in a stack
    image : (C, *spatial) float32, normalised
    labels : (*spatial) integers, as annotated: classes or numbered objects; negative = IGNORE
        For image-to-image tasks, such as denoising: the target image, (C, *spatial), not normalised.
    target : (*spatial) int64, the class that the network learns for each pixel; negative = IGNORE
        For image-to-image tasks: 0 everywhere, and not used.
    spacing : micrometres per pixel and spatial axis, if the file has them
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[Any]
    target: NDArray[np.int64]
    spacing: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls,
        name: str,
        image: NDArray[np.float32],
        labels: NDArray[Any],
        *,
        target: str,
        spacing: tuple[float, ...] | None = None,
    ) -> "AnnotatedImage":
        """Annotated image whose target is computed from its labels; `target` as of `AnnotatedImageReader`."""
        classes = labels
        if target in TARGETS:
            classes = TARGETS[target](labels, spacing=anisotropy(spacing, axes=labels.ndim))
        return cls(name, image, labels, np.maximum(classes, IGNORE).astype(np.int64), spacing)

    @property
    def in_memory(self) -> bool:
        """Always true."""
        return True

    @property
    def anisotropy(self) -> tuple[float, ...]:
        """Pixel size along each spatial axis, divided by that along X; 1 where the file does not tell it."""
        return anisotropy(self.spacing, axes=self.target.ndim)

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
        """Return some rows of the image, with their labels and target."""
        part = (..., rows, slice(None))
        return replace(self, image=self.image[part], labels=self.labels[part], target=self.target[part])


@dataclass(frozen=True, eq=False)
class AnnotatedFile:
    """One annotated image on disk, which each call of `read` or `strips` reads again; no pixels are kept.

    Parameters
    ----------
    reader : AnnotatedImageReader
    dataset : Dataset
    pair : Pair
        The files of the image and its labels.
    rows : number of rows along Y that are read for a strip, overlap included; None: the whole image is one strip
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

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """Micrometres per pixel and spatial axis, if the file has them."""
        return self.pair.spacing

    @property
    def anisotropy(self) -> tuple[float, ...]:
        """Pixel size along each spatial axis, divided by that along X; 1 where the file does not tell it."""
        return anisotropy(self.pair.spacing, axes=len(self.pair.shape) - 1)

    @cached_property
    def statistics(self) -> ImageStatistics:
        """Size, hashes and class counts of the image, for which it is read once."""
        strips = (strip.cropped(rows) for strip, rows in self.strips())
        return ImageStatistics.joined(self.name, ((strip.image, strip.labels, strip.target) for strip in strips))

    def read(self) -> AnnotatedImage:
        """Read the whole image."""
        return self.reader.read(self.dataset, self.pair)

    def strips(self) -> Iterator[tuple[AnnotatedImage, slice]]:
        """Read the image in strips that overlap, each with a slice of its rows; see `AnnotatedSource.strips`."""
        if self.rows is None:
            yield self.read(), slice(None)
        else:
            yield from self.reader.strips(self.dataset, self.pair, self.rows)

    def within(self, memory: float) -> "AnnotatedFile":
        """Return the same image, with strips of which each takes at most `memory` bytes."""
        rows = strip_rows(self.pair, memory=memory, sizes=self.reader.sizes)
        return self if rows == self.rows else replace(self, rows=rows)


class OnDemandImages(Sequence[AnnotatedImage]):
    """A sequence of annotated images, each of which is read whenever it is indexed.

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
        """Read one image; or slice the sequence, which reads no image."""
        if isinstance(index, slice):
            return OnDemandImages(self._sources[index])
        return self._sources[index].read()


class AnnotatedImageReader:
    """Reader of annotated images: normalises the pixels, and computes the target from the labels.

    Intensity statistics are those of a whole image, also where only a strip of it is read; they are measured once.

    Parameters
    ----------
    normalization : Normalization
    target : str
        ``classes``: labels are the target. Otherwise one of `biounet.data.targets.TARGETS`, computed from numbered
        objects.
    sizes : StripSizes
        Which images are divided into strips, and how far strips overlap.
    """

    def __init__(self, normalization: Normalization, target: str, *, sizes: StripSizes) -> None:
        self._normalization, self._target, self.sizes = normalization, target, sizes
        self._measured: dict[tuple[Path, int | None, int], Normalization] = {}
        self._files: dict[Path, FileIdentity] = {}

    def read(self, dataset: Dataset, pair: Pair) -> AnnotatedImage:
        """Read one image, or some rows of one, normalised by the statistics of the whole image."""
        with self._unchanged(pair):
            normalization = self._normalization if pair.rows is None else self._measure(pair)
            return self._annotated(pair, *dataset.load(pair), normalization)

    def strips(self, dataset: Dataset, pair: Pair, rows: int) -> Iterator[tuple[AnnotatedImage, slice]]:
        """Read one image in strips of `rows` rows, overlap included.

        Objects that are cut by the edge of a strip are ignored, if the target depends on whole objects.
        """
        whole_objects = self._target in OF_WHOLE_OBJECTS
        with self._unchanged(pair):
            for strip in read_strips(dataset.load, pair, rows, whole_objects=whole_objects, sizes=self.sizes):
                annotated = self._annotated(pair, strip.image, strip.labels, self._measure(pair))
                if strip.cut.size:
                    annotated.target[np.isin(annotated.labels, strip.cut)] = IGNORE
                yield annotated, strip.own

    @contextmanager
    def _unchanged(self, pair: Pair) -> Iterator[None]:
        """Refuse files that changed since they were read first: hashes, statistics and patches are of one image."""
        files = [pair.image, *pair.labels]
        known = [self._files.setdefault(path, FileIdentity.of_times(path, labels=True)) for path in files]
        yield
        for path, before in zip(files, known, strict=True):
            check_unchanged(path, before, verb="learnt from", remedy=REMEDY, labels=True, quick=True)

    def _measure(self, pair: Pair) -> Normalization:
        """Normalization with the statistics of a whole image, of which a pair may be some rows."""
        key = pair.image, pair.section, pair.channels
        if key not in self._measured:
            self._measured[key] = measure_whole(pair, self._normalization)
        return self._measured[key]

    def _annotated(
        self, pair: Pair, image: NDArray[Any], labels: NDArray[Any], normalization: Normalization
    ) -> AnnotatedImage:
        """Normalise an image, and compute the target from its labels."""
        normalised = normalization.measured(image).apply(image)
        return AnnotatedImage.of(pair.name, normalised, labels, target=self._target, spacing=pair.spacing)
