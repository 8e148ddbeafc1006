"""Sizes of images that no dataset has: damaged files promise them."""

from math import prod

from biounet.core.errors import ShapeError
from biounet.data.dataset import Pair
from biounet.data.label_files import spatial_shape
from biounet.io import LazyImage

__all__ = ["check_extent"]

MOST_FRAMES, MOST_PIXELS = 2**20, 2**40
"""Time points, and pixels of an image, of which damaged files promise more, and no dataset has so many."""


def check_extent(file: LazyImage, pair: Pair) -> None:
    """Refuse an image that promises more than anybody can learn from, as damaged files do.

    Raises
    ------
    ShapeError
    """
    sizes = dict(zip(file.axes, file.shape, strict=True))
    shape = " x ".join(map(str, file.shape))
    if sizes.get("T", 1) > MOST_FRAMES:
        raise ShapeError(f"{pair.image}: {sizes['T']} time points ({shape}) are too many to learn from; crop it")
    if prod(spatial_shape(file, pair.section)) > MOST_PIXELS:
        raise ShapeError(f"{pair.image}: {shape} pixels are too many to learn from; crop it")
