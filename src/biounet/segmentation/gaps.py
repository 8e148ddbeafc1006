"""Gaps in the borders between objects, closed: a gap joins two cells, however long the membrane is around it.

The probability of the foreground is cut into fragments at its valleys, which are joined as in
`biounet.segmentation.agglomeration`. On the borders between fragments, the foreground becomes as improbable as the
evidence there is on the whole border.
"""

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, generate_binary_structure, maximum_filter

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import ArrayReader, ArrayWriter, Box, Reader, Writer
from biounet.core.errors import ShapeError
from biounet.segmentation.agglomeration import Borders, draw_heights, merge_heights
from biounet.segmentation.elevation import HIGHEST, foreground_and_heights
from biounet.segmentation.region_labels import RegionLabels
from biounet.segmentation.regions import Index, Regions
from biounet.segmentation.steps import grow_seeds, number_seeds

__all__ = ["TABLE_BYTES_PER_PIXEL", "close_gaps", "close_gaps_out_of_core"]


PRIOR = 10
"""Pairs of pixels that a border has more of where it is weakest, see `merge_heights`."""

BLUR = (1, 4, 6, 4, 1)
"""Weights, along Y and along X, of the map whose peaks fragments begin at."""

TABLE_BYTES_PER_PIXEL = 12
"""Memory for the table of borders, for each pixel of an image, where that is a map of membranes."""

PLAIN = ObjectRules()
"""Rules of a watershed over all pixels."""


def close_gaps(foreground: NDArray[Any]) -> NDArray[np.float32]:
    """Probability of the foreground, with the gaps in the borders between its objects closed.

    Parameters
    ----------
    foreground : (Y, X) or (Z, Y, X), floating point in [0, 1]
        Such as the probability of being inside of a cell. Each section of a stack by itself is (Y, X).

    Returns
    -------
    float32 of the shape of `foreground`
        Nowhere higher than before. Objects above a threshold t are regions of fragments: two fragments are in one if
        the mean probability on the border, where they or their regions meet, is above t.

    Raises
    ------
    ShapeError, ImageError
        If this is no such array.

    Notes
    -----
    Fragments are those of a watershed that begins at the peaks of the smoothed probability. The probability on a
    border is the mean over all pairs of pixels that touch across it, and over `PRIOR` more where it is highest: a
    neurite that is narrow somewhere is not cut there. Values are rounded to 1/254 before.
    Cost: linear in pixels, and n log n for n borders; an electron micrograph has one for 20 to 25 pixels.

    Examples
    --------
    A membrane with a gap, where the probability is 0.8. It becomes (9 * 0.5 + 11 * 0.9) / 20, where 0.5
    is the mean of 0 and 1:

    >>> image = np.ones((10, 7), np.float32)
    >>> image[:, 3] = 0
    >>> image[0, 3] = 0.8
    >>> close_gaps(image)[0].round(2)
    array([1.  , 1.  , 1.  , 0.72, 1.  , 1.  , 1.  ], dtype=float32)
    """
    closed = np.empty(foreground.shape, np.float32)
    if foreground.ndim not in (2, 3):
        raise ShapeError(f"the foreground must have axes (Z)YX, got {foreground.ndim} axes; take one channel")
    close_gaps_out_of_core(ArrayReader(foreground), ArrayWriter(closed), region=foreground.shape, keep={})
    return closed


def close_gaps_out_of_core(
    foreground: Reader,
    writer: Writer,
    *,
    region: Sequence[int],
    keep: MutableMapping[Index, NDArray[np.uint32]] | None = None,
    done: Callable[[Box], bool] = lambda box: False,
) -> None:
    """`close_gaps` of an image that is read and written region by region, with the same result.

    Parameters
    ----------
    foreground : Reader, axes (Z)YX, floating point in [0, 1]
        Read several times.
    writer : Writer, axes (Z)YX
        Gets float32, each region once.
    region : pixels per axis
        See `biounet.segmentation.region_size`; the result does not depend on it.
    keep, done : as for `biounet.segmentation.label_out_of_core`

    Examples
    --------
    >>> image = np.ones((10, 7), np.float32)
    >>> image[:, 3] = 0
    >>> image[0, 3] = 0.8
    >>> closed = np.empty_like(image)
    >>> close_gaps_out_of_core(ArrayReader(image), ArrayWriter(closed), region=(4, 2))
    >>> bool((closed == close_gaps(image)).all())
    True
    """
    if 0 in foreground.shape:
        return
    image = RegionLabels(_Elevation(foreground), Regions(foreground.shape, tuple(region)), keep=keep)
    number_seeds(image, image.once(lambda index: _peaks(image, index)))
    grow_seeds(image, PLAIN)
    borders = Borders.joined(Borders.of(*_evidence(image, index)) for index in image.regions)
    heights = merge_heights(borders, prior=PRIOR) / (2 * (HIGHEST - 1))  # in 0..1, as of one pixel
    for index in image.regions:
        box = image.regions.box(index)
        if not done(box):
            borders_here = draw_heights(*_evidence(image, index), borders, heights)
            writer.write(box, np.minimum(foreground.read(box), 1 - borders_here).astype(np.float32))


@dataclass(frozen=True)
class _Elevation:
    """Elevation map of a foreground without a threshold, as a `biounet.core.boxes.Reader`."""

    foreground: Reader

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per spatial axis."""
        return self.foreground.shape

    def read(self, box: Box) -> NDArray[np.uint8]:
        """Elevation map of a box: 1 and more."""
        return foreground_and_heights(self.foreground.read(box)[np.newaxis], PLAIN)[1]


def _peaks(image: RegionLabels, index: Index) -> NDArray[np.bool_]:
    """Pixels of a region that no neighbour exceeds after the elevation map was smoothed in the plane."""
    dims = len(image.regions.shape)
    elevation, inside = image.elevation_around(index, (1,) * (dims - 2) + (1 + len(BLUR) // 2,) * 2)
    smooth = elevation.astype(np.int32)
    for axis in (-2, -1):
        smooth = correlate1d(smooth, BLUR, axis=axis, mode="nearest")
    smooth = (smooth + sum(BLUR) ** 2 // 2) // sum(BLUR) ** 2
    highest = maximum_filter(smooth, footprint=generate_binary_structure(dims, 1), mode="nearest")
    return np.asarray(smooth == highest)[inside.slices]


def _evidence(image: RegionLabels, index: Index) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Evidence for a border, 0..254, and the fragments of a region with one pixel around it."""
    inner = (slice(1, -1),) * len(image.regions.shape)
    evidence = np.asarray(HIGHEST - image.framed_elevation(index)[inner], np.uint8)
    return evidence, image.framed(index, image.seeds(index), outside=0)
