"""Overlay: an image with the contours and numbers of its objects."""

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

from biounet.core.errors import ShapeError
from biounet.measurement.region_properties import Table, measure_objects

__all__ = ["draw_objects"]


COLOURS = np.array(
    [(255, 215, 0), (0, 229, 255), (255, 64, 129), (118, 255, 3), (255, 145, 0), (179, 136, 255)], np.uint8
)
"""Colours that objects get in turn, so that objects that touch differ."""

LARGEST = 4096
"""Pixels per side beyond which an image is not enlarged; beyond twice as many it is shown smaller."""

FONT = 12
"""Height of digits in pixels of the picture."""

ROOM = 40
"""Median width of objects in the picture, for their numbers to have room."""


def draw_objects(image: np.ndarray | None, labels: np.ndarray, *, numbers: bool = True) -> NDArray[np.uint8]:
    """Picture of an image with the contours and numbers of its objects.

    Parameters
    ----------
    image : (Y, X) or (C, Y, X), or None for a black one
        Three channels of 8 bits are colours. Else the first channel is shown, from its 0.5th to its 99.5th percentile.
    labels : (Y, X), integers
        Objects are numbered from 1; IGNORE (negative) is shown paler.
    numbers : bool
        Whether numbers are written, on objects that are large enough.

    Returns
    -------
    (Y * k, X * k, 3), uint8
        Enlarged k times where objects are small, so that numbers have room; what is larger than 8192 pixels is shown
        smaller. Outlines run inside of objects, one pixel wide.

    Raises
    ------
    ShapeError
        If the two are of different size.

    Examples
    --------
    >>> draw_objects(None, np.ones((50, 60), int)).shape
    (50, 60, 3)
    """
    if labels.ndim != 2 or (image is not None and image.shape[-2:] != labels.shape):
        raise ShapeError(f"labels (Y, X) and an image of their size are needed, got {labels.shape}")
    ground = _as_colours(np.zeros(labels.shape, np.uint8) if image is None else image)
    table = measure_objects(labels)
    zoom = _zoom(table["equivalent_diameter_px"], max(labels.shape))
    step = -(-max(labels.shape) // (2 * LARGEST))  # of an image that is too large, every step-th pixel is shown
    ground, labels = (array[::step, ::step].repeat(zoom, axis=0).repeat(zoom, axis=1) for array in (ground, labels))
    picture = np.where(_inner_edges(labels)[..., None], COLOURS[labels % len(COLOURS)], ground)
    picture[labels < 0] = picture[labels < 0] // 2 + 48
    return _write_numbers(picture, table, zoom / step) if numbers else picture


def _write_numbers(picture: NDArray[np.uint8], table: Table, scale: float) -> NDArray[np.uint8]:
    """The picture with the numbers of objects that are large enough; numbers stay inside the picture."""
    canvas = PIL.Image.fromarray(picture)
    pen, font = PIL.ImageDraw.Draw(canvas), PIL.ImageFont.load_default(FONT)
    columns = ("label", "centroid_x", "centroid_y", "equivalent_diameter_px")
    for label, x, y, width in zip(*(table[name].tolist() for name in columns), strict=True):
        text = str(label)
        half = 0.3 * FONT * len(text)
        if 2 * half < width * scale:
            place = (
                min(max((x + 0.5) * scale, half), canvas.width - half),
                min(max((y + 0.5) * scale, FONT / 2), canvas.height - FONT / 2),
            )
            pen.text(place, text, (255, 255, 255), font, "mm", stroke_width=1, stroke_fill=(0, 0, 0))
    return np.asarray(canvas)


def _as_colours(image: np.ndarray) -> NDArray[np.uint8]:
    """The image as colours, (Y, X, 3), 8 bits."""
    if image.ndim == 3 and len(image) == 3 and image.dtype == np.uint8:
        return np.moveaxis(image, 0, -1)
    grey = (image[0] if image.ndim == 3 else image).astype(np.float32)
    low, high = np.percentile(grey, (0.5, 99.5)) if grey.size else (0, 0)
    shown = ((grey - low) / max(high - low, 1e-9) * 255).clip(0, 255).astype(np.uint8)
    return np.repeat(shown[..., None], 3, axis=2)


def _zoom(widths: NDArray[np.float64], side: int) -> int:
    """Factor by which an image is enlarged."""
    wanted = np.ceil(ROOM / np.median(widths)) if widths.size else 1
    return int(np.clip(wanted, 1, max(1, LARGEST // side)))


def _inner_edges(labels: np.ndarray) -> NDArray[np.bool_]:
    """Mask of the pixels of objects with a neighbour of another label."""
    edges = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        changes = np.diff(labels, axis=axis) != 0
        first, second = (np.moveaxis(edges, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        first |= np.moveaxis(changes, axis, 0)
        second |= np.moveaxis(changes, axis, 0)
    return edges & (labels > 0)
