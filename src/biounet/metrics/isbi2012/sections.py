"""Sections of a membrane stack, in the order of pixels of the ISBI 2012 challenge."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from biounet.core.components import label_objects
from biounet.core.errors import ShapeError
from biounet.core.labels import check_labels
from biounet.metrics.checks import as_probabilities, check_shapes, known_pixels
from biounet.metrics.contingency import PixelsByLabel, pixels_by_label

__all__ = ["Section", "components", "framed", "sections"]


@dataclass(frozen=True)
class Section:
    """One section of a membrane stack, checked, with x as the first axis.

    The reference program of the ISBI 2012 challenge visits pixels column by column, and some scores
    depend on that order; on the transposed section it is the order of memory.

    Attributes
    ----------
    interior : (X, Y), bool
        Truth: True inside a cell, False on membranes and on IGNORE.
    known : (X, Y), bool
        False on IGNORE.
    probability : (X, Y), float64 in [0, 1]
        Of being inside a cell; 0 on IGNORE, so that nothing there can touch a score.
    """

    interior: NDArray[np.bool_]
    known: NDArray[np.bool_]
    probability: NDArray[np.float64]

    @cached_property
    def cells(self) -> PixelsByLabel:
        """Pixels of the truth cells, the 4-connected components of the interior, and of the membrane."""
        return pixels_by_label(np.where(self.known, components(self.interior), -1))

    @property
    def pixels(self) -> int:
        """Pixels that are not IGNORE."""
        return int(self.known.sum())

    def above(self, threshold: float) -> NDArray[np.bool_]:
        """Interior of the result, (X, Y): strictly above the threshold, compared in double precision."""
        return self.probability > threshold


def sections(truth: np.ndarray, probabilities: np.ndarray) -> Iterator[Section]:
    """Sections of a stack, each a truth with its probabilities.

    Parameters
    ----------
    truth : (N, Y, X) or (Y, X), integers or bool
        Positive inside a cell, 0 on membranes, negative is IGNORE.
    probabilities : the shape of `truth`, in [0, 1]
        Of being inside a cell; see `as_probabilities`.

    Raises
    ------
    ShapeError, LabelError, ImageError
        If the two cannot be compared.

    Examples
    --------
    >>> [section.interior.shape for section in sections(np.zeros((2, 3, 4), bool), np.zeros((2, 3, 4)))]
    [(4, 3), (4, 3)]
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities)
    check_labels(truth, name="the truth", masks=True)
    check_shapes(truth, probabilities)
    if truth.ndim not in (2, 3):
        raise ShapeError(f"sections must have axes YX or NYX, got shape {truth.shape}; pass one channel")
    probabilities = as_probabilities(probabilities)
    plane = (-1, *truth.shape[-2:])
    return map(_section, truth.reshape(plane), probabilities.reshape(plane))


def components(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """4-connected components of a mask, numbered from 1; 0 outside.

    >>> components(np.array([[True, False], [False, True]]))
    array([[1, 0],
           [0, 2]], dtype=int32)
    """
    return label_objects(mask).view(np.int32)


def framed(image: np.ndarray, value: int) -> np.ndarray:
    """A section with a frame of one pixel around it.

    >>> framed(np.array([[5]]), -1).tolist()
    [[-1, -1, -1], [-1, 5, -1], [-1, -1, -1]]
    """
    frame = np.full((image.shape[0] + 2, image.shape[1] + 2), value, image.dtype)
    frame[1:-1, 1:-1] = image
    return frame


def _section(truth: np.ndarray, probability: NDArray[np.float32]) -> Section:
    """One section, (Y, X), with x first; the probability is 0 where the truth is IGNORE."""
    turned = np.ascontiguousarray(truth.T)
    known = known_pixels(turned)
    return Section(turned > 0, known, np.where(known, probability.T, 0.0).astype(np.float64))
