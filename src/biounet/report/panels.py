"""Panels of a picture, in colours that the colour-blind tell apart, as PNG in a data address."""

import base64
import io
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biounet.report.views import View

__all__ = [
    "BOTH",
    "CLASS_COLORS",
    "CONFUSED",
    "RESULT",
    "TRUTH",
    "UNKNOWN",
    "VIRIDIS",
    "draw_image",
    "draw_overlay",
    "draw_probability",
    "draw_truth",
]


# Colours for classes in this order: Okabe and Ito 2008, behind a dark background.
CLASS_COLORS = np.array(
    [
        *((47, 52, 60), (86, 180, 233), (230, 159, 0), (0, 158, 115)),
        *((213, 94, 0), (204, 121, 167), (240, 228, 66), (0, 114, 178)),
    ],
    np.uint8,
)
TRUTH, RESULT, BOTH, CONFUSED = (86, 180, 233), (255, 146, 0), (255, 255, 255), (214, 108, 170)
# The colour map viridis (van der Walt and Smith 2015, public domain) at nine points.
VIRIDIS = np.array(
    [
        *((68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141)),
        *((39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37)),
    ]
)
UNKNOWN = ((158, 158, 158), (112, 112, 112))  # stripes where the truth is unknown
STRIPES = 254  # index of their first colour in the palette of the truth
GREYS = 60  # levels of grey under each of the four tints of the overlay; outlines follow in its palette
SHADE = 0.68  # brightness of the grey, so that outlines stand out


def draw_image(shown: View) -> str:
    """The image, contrast stretched between percentiles."""
    pixels = _stretch(shown.image)
    return _address(Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(np.moveaxis(pixels, 0, 2))))


def draw_truth(truth: NDArray[np.integer]) -> str:
    """True classes in their colours."""
    index = np.where(truth > 0, 1 + (truth - 1) % (len(CLASS_COLORS) - 1), 0)
    rows, columns = np.nonzero(truth < 0)
    index[rows, columns] = STRIPES + (rows + columns) // 4 % 2
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(CLASS_COLORS)] = CLASS_COLORS
    palette[STRIPES:] = UNKNOWN
    return _address(_indexed(index, palette))


def draw_probability(probability: NDArray[np.float32]) -> str:
    """Probabilities from 0, dark blue, to 1, yellow."""
    at, points = np.linspace(0, 1, 256), np.linspace(0, 1, len(VIRIDIS))
    palette = np.stack([np.interp(at, points, channel) for channel in VIRIDIS.T], axis=1)
    return _address(_indexed(np.clip(np.nan_to_num(probability) * 255 + 0.5, 0, 255), palette))


def draw_overlay(shown: View, *, classes: bool, stripes: bool = False) -> str:
    """Outlines of truth and result on the image in grey, with wrong pixels tinted.

    Parameters
    ----------
    shown : View
    classes : whether a pixel given another foreground class than the true one is wrong
        Not so for objects, whose numbers mean nothing.
    stripes : whether stripes are drawn where the truth is unknown
    """
    found, tint = shown.result > 0, np.zeros(shown.result.shape, np.uint8)
    line = 2 * _outline(shown.result).astype(np.uint8)
    if shown.truth is not None:
        tint[(shown.truth > 0) & ~found] = 1
        tint[(shown.truth == 0) & found] = 2
        if classes:
            tint[(shown.truth > 0) & found & (shown.truth != shown.result)] = 3
        line += _outline(shown.truth)
    grey = _stretch(shown.image.mean(0, keepdims=True))[0]
    index = tint * GREYS + (grey * (SHADE * GREYS / 256)).astype(np.uint8)
    if stripes and shown.truth is not None:
        rows, columns = np.nonzero(shown.truth < 0)
        index[rows, columns] = np.where((rows + columns) % 8, index[rows, columns], 4 * GREYS + 3)
    return _address(_indexed(np.where(line > 0, 4 * GREYS - 1 + line, index), _overlay_palette()))


def _overlay_palette() -> np.ndarray:
    """Greys plain, tinted as missed, as added and as another class, then lines of truth, result, both, and stripes."""
    grey = np.linspace(0, 255, GREYS)[:, None] * np.ones(3)
    tints = [grey] + [0.15 * grey + 0.85 * np.array(color) for color in (TRUTH, RESULT, CONFUSED)]
    return np.concatenate([*tints, np.array([TRUTH, RESULT, BOTH, UNKNOWN[1]])])


def _outline(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Pixels whose neighbour above or to the left has another label; the edge of the unknown is no outline."""
    edge = np.zeros(labels.shape, bool)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        edge[here] |= (labels[here] != labels[there]) & (labels[here] >= 0) & (labels[there] >= 0)
    return edge


def _stretch(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Bring the 0.5th to 99.5th percentile of an image to 0..255; a constant image is grey."""
    known = image[:, ::2, ::2]  # a quarter of the pixels says as much
    known = known[np.isfinite(known)]
    low, high = np.percentile(known, (0.5, 99.5)) if known.size else (0.0, 0.0)
    if low == high and known.size:
        low, high = known.min(), known.max()
    if low == high:
        return np.full(image.shape, 128, np.uint8)
    return (np.clip(np.nan_to_num((image - low) / (high - low)), 0, 1) * 255 + 0.5).astype(np.uint8)


def _indexed(index: np.ndarray, palette: np.ndarray) -> Image.Image:
    """Make a picture of one byte per pixel."""
    picture = Image.fromarray(index.astype(np.uint8))
    picture.putpalette(palette.astype(np.uint8).tobytes())
    return picture


def _address(picture: Image.Image) -> str:
    """Write a picture as PNG into a ``data:`` address."""
    buffer = io.BytesIO()
    picture.save(buffer, "png", compress_type=zlib.Z_RLE)  # noise has nothing but runs to find: half the time
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
