"""Pictures of results, and planes of them that are small enough for a page: sections, and cuts through stacks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import LabelError, ShapeError
from biounet.report.log import lower_is_better

__all__ = ["LARGEST", "Kind", "Picture", "Plane", "badness", "planes"]


LARGEST = 768
"""Pixels per side of a flat image; larger images are shown smaller."""

LARGEST_OF_STACK, MOST_OF_STACK = 320, 2**20
"""Pixels per side of a section, and of all sections of a stack that are shown along Z."""

SECTIONS, CUTS = 24, 8
"""Sections along Z, and cuts along Y and X, that are shown at most."""

Kind = Literal["objects", "classes", "image"]


@dataclass(frozen=True)
class Picture:
    """An image with what an expert drew and what a network made of it.

    Attributes
    ----------
    name : str
    image : (C, Y, X) or (Y, X); of a volume (C, Z, Y, X) or (Z, Y, X)
        Any numbers; shown between their 0.5th and 99.5th percentile.
    truth : as `result`, or None
        Negative labels are IGNORE.
    result : (Y, X) or (Z, Y, X) integers; images: (C, Y, X) or (C, Z, Y, X)
    kind : objects, classes or image
        Whether truth and result number objects, give classes, or are images themselves.
    scores : Mapping
        Numbers written beside the picture; NaN is a score that has no value, integers are counts.
    probability : (Y, X) or (Z, Y, X), float32 in [0, 1], or None
        Of the foreground, where there are two classes.
    anisotropy : size of a pixel along each spatial axis, in that along X; none: 1 everywhere
    classes : number of classes; 0 for other kinds

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    LabelError
        If the truth has numbers beyond the classes.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray | None
    result: np.ndarray
    kind: Kind
    scores: Mapping[str, float]
    probability: np.ndarray | None = None
    anisotropy: Sequence[float] = ()
    classes: int = 0

    def __post_init__(self) -> None:
        size = self.size
        if len(size) not in (2, 3):
            raise ShapeError(f"{self.name}: a result must have the axes YX or ZYX, got {self.result.shape}")
        of_image = self.image.shape[-len(size) :] if self.image.ndim <= len(size) + 1 else self.image.shape
        shapes = {"image": of_image}
        shapes |= {} if self.truth is None else {"truth": self.truth.shape[-len(size) :]}
        shapes |= {} if self.probability is None else {"probability": self.probability.shape}
        for what, shape in shapes.items():
            if shape != size:
                raise ShapeError(f"{self.name}: {what} must have the size {size} of the result, got {shape}")
        highest = 0 if self.truth is None or self.kind != "classes" else int(self.truth.max(initial=0))
        if self.kind == "classes" and highest >= self.classes:
            raise LabelError(
                f"{self.name}: the truth has class {highest}, but there are {self.classes} classes; "
                "give kind='objects' if it numbers objects"
            )

    @property
    def size(self) -> tuple[int, ...]:
        """Pixels along each spatial axis."""
        return self.result.shape[1:] if self.kind == "image" else self.result.shape

    @property
    def channels(self) -> np.ndarray:
        """The image with an axis of channels, (C, *spatial)."""
        return self.image if self.image.ndim > len(self.size) else self.image[None]


def badness(picture: Picture) -> float:
    """How bad a result is, by its entry ``score``, else by its first score; a result without scores is least bad.

    Examples
    --------
    >>> empty = np.zeros((1, 1), int)
    >>> badness(Picture("a", empty, None, empty, "objects", {"rand_error": 0.2}))
    0.2
    >>> badness(Picture("b", empty, None, empty, "objects", {"dice": 0.9}))
    -0.9
    """
    name = "score" if "score" in picture.scores else next(iter(picture.scores), "")
    value = picture.scores.get(name, math.nan)
    if math.isnan(value):
        return -math.inf
    return value if lower_is_better(name) else -value


@dataclass(frozen=True)
class Plane:
    """Parallel sections of a picture, as a page shows them.

    Attributes
    ----------
    axis : Z, Y or X, along which the sections follow each other; empty for a flat image
    sections : their numbers, counted from 0
    of : number of sections that the picture has
    image : (S, C, height, width) float32, with 1 or 3 channels
    truth : (S, height, width) integers, or (S, C, height, width) float32 for images; or None
    result : as `truth`
    probability : (S, height, width) float32, or None
    ratio : width of the plane by its height, with the size of pixels
    notes : how the plane differs from the picture, in words
    """

    axis: str
    sections: tuple[int, ...]
    of: int
    image: NDArray[np.float32]
    truth: np.ndarray | None
    result: np.ndarray
    probability: NDArray[np.float32] | None
    ratio: float
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> int:
        """Place of the section that is shown first: the middle one."""
        return len(self.sections) // 2


def planes(picture: Picture) -> list[Plane]:
    """Planes of a picture: the image; of a volume sections along Z, and cuts along Y and X, all at the same scale.

    Examples
    --------
    >>> volume = np.zeros((5, 4, 4), int)
    >>> [(plane.axis, plane.sections) for plane in planes(Picture("a", volume, None, volume, "objects", {}))]
    [('Z', (0, 1, 2, 3, 4)), ('Y', (0, 1, 2, 3)), ('X', (0, 1, 2, 3))]
    """
    flat, most = len(picture.size) == 2, max(picture.size[-2:])
    if flat:
        return [_plane(picture, None, (0,), -(-most // LARGEST))]
    factor = -(-most // LARGEST_OF_STACK)
    pixels = math.prod(-(-size // factor) for size in picture.size[-2:])
    counts = (min(SECTIONS, max(1, MOST_OF_STACK // pixels)), CUTS, CUTS)
    chosen = [_spread(size, count) for size, count in zip(picture.size, counts, strict=True)]
    return [_plane(picture, axis, sections, factor) for axis, sections in enumerate(chosen)]


def _spread(size: int, count: int) -> tuple[int, ...]:
    """Evenly spread numbers below a size: the middles of as many equal parts.

    >>> _spread(10, 2), _spread(3, 8)
    ((2, 7), (0, 1, 2))
    """
    ends = np.linspace(0, size, min(size, count) + 1)
    return tuple(int((low + high) / 2) for low, high in pairwise(ends))


def _plane(picture: Picture, axis: int | None, sections: tuple[int, ...], factor: int) -> Plane:
    """Sections of a picture across an axis, thinned along Y and X by a factor."""
    thin = {None: (factor, factor), 0: (factor, factor), 1: (1, factor), 2: (factor, 1)}[axis]
    image, notes = picture.channels, []
    if len(image) not in (1, 3):
        notes.append(f"channel 1 of {len(image)}")
        image = image[:1]
    if factor > 1:
        notes.append(f"shown at 1/{factor} of its size")
    labels = picture.kind != "image"

    def cut(array: np.ndarray | None, *, blend: bool) -> np.ndarray | None:
        if array is None:
            return None
        parts = [_cut(array, axis, number) for number in sections]
        return np.stack([_average(part, thin) if blend else _thin(part, thin) for part in parts])

    pixel = dict(enumerate(picture.anisotropy or (1.0,) * len(picture.size)))
    down, across = {None: (0, 1), 0: (1, 2), 1: (0, 2), 2: (1, 0)}[axis]
    ratio = picture.size[across] * pixel[across] / (picture.size[down] * pixel[down])
    shown, result = cut(image, blend=True), cut(picture.result, blend=not labels)
    assert shown is not None
    assert result is not None
    return Plane(
        axis="" if axis is None else "ZYX"[axis],
        sections=sections,
        of=1 if axis is None else picture.size[axis],
        image=shown,
        truth=cut(picture.truth, blend=not labels),
        result=result,
        probability=cut(picture.probability, blend=True),
        ratio=ratio,
        notes=tuple(notes),
    )


def _cut(array: np.ndarray, axis: int | None, number: int) -> np.ndarray:
    """A section of an array whose last axes are spatial; across X it is turned, so that Y runs down and Z across."""
    if axis is None:
        return array
    cut = np.take(array, number, axis=axis - 3)
    return np.swapaxes(cut, -1, -2) if axis == 2 else cut


def _thin(labels: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """Keep one pixel of every block of so many rows and columns: labels are never blended."""
    down, across = factors
    return labels[..., down // 2 :: down, across // 2 :: across]


def _average(values: np.ndarray, factors: tuple[int, int]) -> NDArray[np.float32]:
    """Mean of blocks of so many rows and columns, as many blocks as `_thin` keeps; the last ones are mirrored."""
    sizes = values.shape[-2:]
    counts = [len(range(factor // 2, size, factor)) for size, factor in zip(sizes, factors, strict=True)]
    wanted = [count * factor for count, factor in zip(counts, factors, strict=True)]
    missing = [(0, max(0, want - size)) for want, size in zip(wanted, sizes, strict=True)]
    none = [(0, 0)] * (values.ndim - 2)
    whole = np.pad(values.astype(np.float32), [*none, *missing], mode="symmetric")[..., : wanted[0], : wanted[1]]
    blocks = whole.reshape(*values.shape[:-2], counts[0], factors[0], counts[1], factors[1])
    means: NDArray[np.float32] = blocks.mean((-3, -1))
    return means
