"""Pixels and labels as they travel: integers, compressed, never pictures."""

import gzip
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.workspace import SIDE, ImagePlanes, Plane, Predictions, ProjectImage

__all__ = ["full_box", "image_tile", "label_tile", "level_box", "packed", "predicted_tile", "to_integers"]


def packed(*arrays: NDArray[np.generic], facts: Mapping[str, str]) -> Response:
    """Answer with arrays, one after the other, compressed; `facts` become headers."""
    raw = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    headers = {"content-encoding": "gzip", "cache-control": "no-store"}
    headers |= {f"x-{name}": value for name, value in facts.items()}
    return Response(gzip.compress(raw, 1), media_type="application/octet-stream", headers=headers)


def level_box(planes: ImagePlanes, level: int, row: int, column: int) -> Box:
    """Region of a tile in pixels of a level.

    Raises
    ------
    ImageError
        If there is no such tile.
    """
    if not 0 <= level < planes.levels:
        raise ImageError(f"there is no level {level}; there are {planes.levels}")
    size = planes.level_size(level)
    start = (row * SIDE, column * SIDE)
    if not (0 <= start[0] < size[0] and 0 <= start[1] < size[1]):
        raise ImageError(f"there is no tile ({row}, {column}) at level {level}")
    return Box(start, (min(start[0] + SIDE, size[0]), min(start[1] + SIDE, size[1])))


def full_box(planes: ImagePlanes, box: Box, level: int) -> Box:
    """Region of the full size that a region of a level shows."""
    (top, left), (bottom, right) = box.start, box.stop
    height, width = planes.size
    return Box((top << level, left << level), (min(bottom << level, height), min(right << level, width)))


def to_integers(pixels: NDArray[np.generic], extent: tuple[float, float]) -> NDArray[np.generic]:
    """Pixels as bytes or 16 bit integers; others are brought from `extent` to the range of 16 bits.

    >>> to_integers(np.array([0.0, 0.5, 1.0]), (0.0, 1.0))
    array([    0, 32768, 65535], dtype=uint16)
    """
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels.astype(pixels.dtype.newbyteorder("<"))
    low, high = extent
    scaled = (pixels.astype(np.float64) - low) * (65535 / (high - low))
    return np.round(scaled).clip(0, 65535).astype("<u2")


def image_tile(image: ProjectImage, plane: Plane, box: Box, level: int) -> Response:
    """Answer with the pixels of a tile, (C, Y, X)."""
    pixels = to_integers(image.planes.read(plane, box, level=level), image.planes.extent)
    shape = "x".join(map(str, pixels.shape))
    return packed(pixels, facts={"shape": shape, "bytes": str(pixels.dtype.itemsize)})


def label_tile(image: ProjectImage, plane: Plane, box: Box, level: int) -> Response:
    """Answer with the labels of a tile, int32 (Y, X), and their version."""
    with image.lock:
        version = image.store.version
        labels = image.store.plane(plane).read(full_box(image.planes, box, level), step=2**level)
    return packed(labels, facts={"shape": "x".join(map(str, labels.shape)), "version": str(version)})


def predicted_tile(image: ProjectImage, predictions: Predictions, box: Box, level: int) -> Response:
    """Answer with the predicted labels of a tile, int32 (Y, X), and after them the foreground, uint8 (Y, X)."""
    whole = full_box(image.planes, box, level)
    labels, foreground = predictions.labels(whole, step=2**level), predictions.foreground(whole, step=2**level)
    facts = {"shape": "x".join(map(str, labels.shape)), "step": str(predictions.step)}
    return packed(labels.astype("<i4"), foreground, facts=facts)
