"""Objects of an image in memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.core.boxes import ArrayReader
from biounet.segmentation.elevation import make_elevation
from biounet.segmentation.region_labels import RegionLabels
from biounet.segmentation.regions import Regions
from biounet.segmentation.steps import STEPS

__all__ = ["label_elevation", "segment_objects"]


def segment_objects(probabilities: NDArray[Any], rules: ObjectRules) -> NDArray[np.uint32]:
    """Instance segmentation: numbered objects from the probabilities of a network.

    Parameters
    ----------
    probabilities : (classes, Y, X) or (classes, Z, Y, X), floating point in [0, 1]
    rules : ObjectRules

    Returns
    -------
    uint32 of the spatial shape
        0 is background; objects are numbered 1..N in the order of their first pixels. Each is connected by the sides
        of its pixels.

    Raises
    ------
    ShapeError, ImageError
        If the array holds no probabilities of the classes that `rules` name.

    Notes
    -----
    The steps are those of `biounet.segmentation.STEPS`, in their order.
    Cost: linear in pixels, whatever the number of objects.

    Examples
    --------
    Two cells that touch; the network sees less of the interior where they do.

    >>> interior = np.array([[0.1, 0.8, 0.9, 0.4, 0.8, 0.7]])
    >>> segment_objects(np.stack([1 - interior, interior]), ObjectRules(foreground=0.2, seed=0.6))
    array([[0, 1, 1, 1, 2, 2]], dtype=uint32)
    """
    return label_elevation(make_elevation(probabilities, rules), rules)


def label_elevation(elevation: NDArray[np.uint8], rules: ObjectRules) -> NDArray[np.uint32]:
    """Instance segmentation of an elevation map; see `segment_objects` and `make_elevation`.

    >>> label_elevation(np.array([[1, 200, 9, 10, 200]], np.uint8), ObjectRules())
    array([[1, 1, 1, 2, 2]], dtype=uint32)
    """
    if not elevation.size:
        return np.zeros(elevation.shape, np.uint32)
    image = RegionLabels(ArrayReader(elevation), Regions(elevation.shape, elevation.shape), keep={})
    for step in STEPS.values():
        step(image, rules)
    return image.labels((0,) * elevation.ndim)
