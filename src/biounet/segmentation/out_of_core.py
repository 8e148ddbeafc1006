"""Objects of an image that is never whole in memory: the same labels as those of the whole image."""

from collections.abc import Callable, MutableMapping, Sequence

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import Box, Reader, Writer
from biounet.core.errors import ShapeError
from biounet.segmentation.region_labels import RegionLabels
from biounet.segmentation.regions import Index, Regions
from biounet.segmentation.steps import STEPS

__all__ = ["label_out_of_core"]


def label_out_of_core(
    elevation: Reader,
    writer: Writer,
    rules: ObjectRules,
    *,
    region: Sequence[int],
    keep: MutableMapping[Index, NDArray[np.uint32]] | None = None,
    done: Callable[[Box], bool] = lambda box: False,
) -> int:
    """Instance segmentation of an elevation map that is read, and of labels that are written, region by region.

    Parameters
    ----------
    elevation : Reader, axes (Z)YX, uint8
        See `biounet.segmentation.make_elevation`. Read several times.
    writer : Writer, axes (Z)YX
        Gets uint32 labels, each region once.
    rules : ObjectRules
    region : pixels per axis
        Size of the regions; see `region_size`. The result does not depend on it.
    keep : a mapping that takes an array of 4 bytes per pixel for each region, or None
        Grown seeds are stored there, which halves the time: a `biounet.core.array_store.ArrayFolder`, or a dict where
        there is memory. It must be empty at the beginning.
    done : function of a box
        Whether an earlier run has written this region.

    Returns
    -------
    int
        Number of objects.

    Notes
    -----
    The result is that of `label_elevation` on the whole image, to the label: both run the steps of
    `biounet.segmentation.STEPS`, each of which decides by sums over regions.
    Memory: `BYTES_PER_PIXEL` of `biounet.segmentation.regions` for a region; 16 bytes for every pixel of faces
    between regions, and about 100 for each object, seed and hole.

    Examples
    --------
    >>> from biounet.core.boxes import ArrayReader, ArrayWriter
    >>> labels = np.zeros((1, 6), np.uint32)
    >>> row = np.array([[200, 150, 9, 10, 200, 0]], np.uint8)
    >>> label_out_of_core(ArrayReader(row), ArrayWriter(labels), ObjectRules(), region=(1, 2))
    2
    >>> labels
    array([[1, 1, 1, 2, 2, 0]], dtype=uint32)
    """
    if len(region) != len(elevation.shape) or min(region) < 1:
        raise ShapeError(f"region needs {len(elevation.shape)} sizes of at least 1 pixel, got {tuple(region)}")
    if 0 in elevation.shape:
        return 0
    image = RegionLabels(elevation, Regions(elevation.shape, tuple(region)), keep=keep)
    for step in STEPS.values():
        step(image, rules)
    for index in image.regions:
        box = image.regions.box(index)
        if not done(box):
            writer.write(box, image.labels(index))
    return int(image.numbers.max(initial=0))
