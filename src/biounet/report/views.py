"""Flat views of images with truth and probabilities, small enough for a page."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import LabelError, ShapeError
from biounet.report.log import lower_is_better

__all__ = ["LARGEST", "Picture", "View", "badness", "view"]


LARGEST = 768  # pixels per side; larger images are shown smaller


@dataclass(frozen=True)
class Picture:
    """An image with its truth, its probabilities, and the labels made of them.

    Attributes
    ----------
    name : str
    image : (C, Y, X) or (Y, X); of a volume (C, Z, Y, X) or (Z, Y, X)
        Any numbers; shown between their 0.5th and 99.5th percentile.
    truth : (Y, X) or (Z, Y, X), integers, or None
        Classes, or numbered objects; negative is IGNORE.
    probabilities : (classes, Y, X) or (classes, Z, Y, X), float32 in [0, 1]
    scores : Mapping
        Numbers written beside the picture; NaN is a score that has no value, integers are counts.
    labels : the shape of `truth`, integers, or None
        The result, where it is not the most probable class, such as objects.
    objects : bool
        Whether `truth` and `labels` number objects rather than classes.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    LabelError
        If the truth has numbers beyond the classes, and `objects` is not set.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray | None
    probabilities: np.ndarray
    scores: Mapping[str, float]
    labels: np.ndarray | None = None
    objects: bool = False

    def __post_init__(self) -> None:
        size = self.probabilities.shape[1:]
        if len(size) not in (2, 3):
            raise ShapeError(
                f"{self.name}: probabilities must be (classes, Y, X) or (classes, Z, Y, X), "
                f"got {self.probabilities.shape}"
            )
        spatial = self.image.shape[-len(size) :] if self.image.ndim <= len(size) + 1 else self.image.shape
        shapes = {"image": spatial}
        shapes |= {} if self.truth is None else {"truth": self.truth.shape}
        shapes |= {} if self.labels is None else {"labels": self.labels.shape}
        for what, shape in shapes.items():
            if shape != size:
                raise ShapeError(f"{self.name}: {what} must have the size {size} of the probabilities, got {shape}")
        highest = 0 if self.truth is None or self.objects else int(self.truth.max(initial=0))
        if highest >= len(self.probabilities):
            raise LabelError(
                f"{self.name}: the truth has class {highest}, but there are {len(self.probabilities)} classes; "
                "give objects=True if it numbers objects"
            )

    @property
    def classes(self) -> bool:
        """Whether truth and result are both classes, and can be compared by number."""
        return not self.objects and (self.labels is None or bool(self.labels.max(initial=0) < len(self.probabilities)))


def badness(picture: Picture) -> float:
    """How bad a result is, by its entry ``score``, else by its first score; a result without scores is least bad.

    Examples
    --------
    >>> empty = np.zeros((1, 1, 1))
    >>> badness(Picture("a", empty, None, empty, {"rand_error": 0.2}))
    0.2
    >>> badness(Picture("b", empty, None, empty, {"dice": 0.9}))
    -0.9
    """
    name = "score" if "score" in picture.scores else next(iter(picture.scores), "")
    value = picture.scores.get(name, math.nan)
    if math.isnan(value):
        return -math.inf
    return value if lower_is_better(name) else -value


@dataclass(frozen=True)
class View:
    """The part of a picture that a page shows.

    Attributes
    ----------
    image : (1, Y, X) or (3, Y, X), float32
        Grey, or red, green and blue.
    truth : (Y, X), integers, or None
    foreground : (Y, X), float32 in [0, 1]
        Probability of anything but background.
    result : (Y, X), integers
    notes : how the view differs from the picture, in words
    """

    image: NDArray[np.float32]
    truth: NDArray[np.integer] | None
    foreground: NDArray[np.float32]
    result: NDArray[np.integer]
    notes: list[str]


def view(picture: Picture) -> View:
    """A view of a picture: the middle slice of a volume, one channel of many, and large images at a fraction.

    Examples
    --------
    >>> shown = view(Picture("a", np.zeros((5, 4, 4)), None, np.zeros((2, 5, 4, 4), np.float32), {}))
    >>> shown.image.shape, shown.notes
    ((1, 4, 4), ['slice 3 of 5'])
    """
    notes = []
    image, probabilities, truth, labels = picture.image, picture.probabilities, picture.truth, picture.labels
    if image.ndim == probabilities.ndim - 1:
        image = image[None]
    if probabilities.ndim == 4:
        depth = probabilities.shape[1]
        notes.append(f"slice {depth // 2 + 1} of {depth}")
        image, probabilities = image[:, depth // 2], probabilities[:, depth // 2]
        truth, labels = (None if array is None else array[depth // 2] for array in (truth, labels))
    if len(image) not in (1, 3):
        notes.append(f"channel 1 of {len(image)}")
        image = image[:1]
    factor = -(-max(probabilities.shape[1:]) // LARGEST)
    if factor > 1:
        notes.append(f"shown at 1/{factor} of its size")
    result = _thin(probabilities, factor).argmax(0) if labels is None else _thin(labels, factor)
    return View(
        image=_average(image, factor),
        truth=None if truth is None else _thin(truth, factor),
        foreground=1 - _average(probabilities[:1], factor)[0],
        result=result,
        notes=notes,
    )


def _thin(labels: np.ndarray, factor: int) -> np.ndarray:
    """Keep one pixel of every `factor` along Y and X: labels are never blended."""
    return labels[..., factor // 2 :: factor, factor // 2 :: factor]


def _average(values: np.ndarray, factor: int) -> NDArray[np.float32]:
    """Mean of blocks of `factor` pixels along Y and X, as many as `_thin` keeps; the last ones are mirrored."""
    rows, columns = (len(range(factor // 2, size, factor)) for size in values.shape[-2:])
    missing = [(0, max(0, want * factor - size)) for want, size in zip((rows, columns), values.shape[-2:], strict=True)]
    whole = np.pad(values.astype(np.float32), [(0, 0), *missing], mode="symmetric")
    whole = whole[:, : rows * factor, : columns * factor]
    blocks: NDArray[np.float32] = whole.reshape(len(values), rows, factor, columns, factor).mean((2, 4))
    return blocks
