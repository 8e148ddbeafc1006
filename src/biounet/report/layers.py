"""Layers of a picture that lie on top of each other: the image, outlines of expert and network, numbers of objects."""

import base64
import io
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biounet.report.views import Plane

__all__ = [
    "BOTH",
    "CLASS_COLORS",
    "CONFUSED",
    "RESULT",
    "TRUTH",
    "UNKNOWN",
    "VIRIDIS",
    "data_address",
    "layers",
    "stretch",
]


CLASS_COLORS = np.array(
    [
        *((47, 52, 60), (86, 180, 233), (230, 159, 0), (0, 158, 115)),
        *((213, 94, 0), (204, 121, 167), (240, 228, 66), (0, 114, 178)),
    ],
    np.uint8,
)
"""Colours for classes in this order: Okabe and Ito 2008, behind a dark background."""

TRUTH, RESULT, BOTH, CONFUSED = (86, 180, 233), (255, 146, 0), (255, 255, 255), (214, 108, 170)
UNKNOWN = (158, 158, 158)

VIRIDIS = np.array(
    [
        *((68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141)),
        *((39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37)),
    ]
)
"""The colour map viridis (van der Walt and Smith 2015, public domain) at nine points."""

TINT, STRONG, FILL = 110, 190, 120
"""Opacity, of 255, of objects that differ, of pixels that differ, and of classes."""

PHOTOGRAPH = 2**16
"""Pixels beyond which an image is written as JPEG, since noise has nothing for PNG to save."""

QUALITY = 88

Colour = tuple[int, int, int]
Mask = NDArray[np.bool_]


def layers(
    plane: Plane, *, kind: str, missed: Mask | None = None, false: Mask | None = None
) -> Iterator[tuple[str, str]]:
    """Name and ``data:`` address of each layer of a plane; its sections stand below each other.

    Parameters
    ----------
    plane : Plane
    kind : objects, classes or image
    missed, false : (S, height, width)
        Pixels of objects of the expert that were not found, and of objects of the network that match none.

    Yields
    ------
    ``image``; ``expert``, ``network`` and ``both`` with transparent ground; ``probability``; of objects and classes
    their numbers as colours, ``expert-numbers`` and ``network-numbers``. Of images ``image``, ``network``, ``expert``
    and ``difference``.
    """
    yield "image", data_address(_sheet(stretch(plane.image)))
    if kind == "image":
        yield from _layers_of_images(plane)
        return
    truth, result = plane.truth, plane.result
    draw = _outlined if kind == "objects" else _filled
    yield "network", draw(result, RESULT)
    yield "network-numbers", _numbers(result)
    if truth is not None:
        yield "expert", draw(truth, TRUTH)
        yield "expert-numbers", _numbers(truth)
        wrong = _differences(truth, result, kind, missed, false)
        yield "both", _compared(truth, result, wrong, outlines=kind == "objects")
    if plane.probability is not None:
        yield "probability", _probability(plane.probability)


def _layers_of_images(plane: Plane) -> Iterator[tuple[str, str]]:
    """Prediction, target and their difference, at the contrast of the target."""
    shown = plane.result if plane.truth is None else plane.truth
    ends = contrast(shown[:, :1] if shown.shape[1] not in (1, 3) else shown)

    def one(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values if values.shape[1] in (1, 3) else values[:, :1]

    yield "network", data_address(_sheet(stretch(one(plane.result), ends)))
    if plane.truth is not None:
        yield "expert", data_address(_sheet(stretch(one(plane.truth), ends)))
        away = np.abs(plane.result - plane.truth).mean(1)
        high = float(np.percentile(away, 99.5)) or 1.0
        yield "difference", _probability(np.clip(away / high, 0, 1))


def _differences(
    truth: np.ndarray, result: np.ndarray, kind: str, missed: Mask | None, false: Mask | None
) -> tuple[Mask, Mask, Mask]:
    """Pixels that are missed, false, and both or of another class."""
    if kind == "objects" and missed is not None and false is not None:
        return missed & ~false, false & ~missed, missed & false
    known = truth >= 0
    return (
        (truth > 0) & (result <= 0),
        known & (truth == 0) & (result > 0),
        (truth > 0) & (result > 0) & (truth != result),
    )


def _outlined(labels: np.ndarray, colour: Colour) -> str:
    """Outlines in one colour, and stripes where nobody looked."""
    index = np.where(_outline(labels), 1, _stripes(labels) * 2).astype(np.uint8)
    return data_address(_indexed(index, [(colour, 255), (UNKNOWN, 150)]))


def _filled(labels: np.ndarray, _: Colour) -> str:
    """Classes in their colours, through which the image is seen; background stays as it is."""
    count = len(CLASS_COLORS) - 1
    index = np.where(labels > 0, 1 + (labels - 1) % count, 0)
    index = np.where(_stripes(labels) > 0, count + 1, index)
    colours = [(_colour(row), FILL) for row in CLASS_COLORS[1:]]
    return data_address(_indexed(index.astype(np.uint8), [*colours, (UNKNOWN, 150)]))


def _compared(truth: np.ndarray, result: np.ndarray, wrong: tuple[Mask, Mask, Mask], *, outlines: bool) -> str:
    """Tints of what is missed, false or different, and outlines of both, white where they are the same."""
    missed, false, differs = wrong
    index = missed * 1 + false * 2 + differs * 3
    index = np.where(_stripes(truth) > 0, 4, index)
    line = _outline(truth) + 2 * _outline(result).astype(np.uint8) if outlines else np.zeros(truth.shape, np.uint8)
    index = np.where(line > 0, 4 + line, index)
    strength = TINT if outlines else STRONG
    tints = [(TRUTH, strength), (RESULT, strength), (CONFUSED, strength), (UNKNOWN, 150)]
    return data_address(_indexed(index.astype(np.uint8), [*tints, (TRUTH, 255), (RESULT, 255), (BOTH, 255)]))


def _numbers(labels: np.ndarray) -> str:
    """Labels as colours: the number is red + 256 green + 65536 blue; 0xffffff is unknown."""
    number = np.where(labels < 0, 0xFFFFFF, labels).astype(np.int64)
    parts = np.stack([number & 255, number >> 8 & 255, number >> 16 & 255], axis=-1).astype(np.uint8)
    return data_address(Image.fromarray(parts.reshape(-1, *parts.shape[2:])), lossless=True)


def _probability(values: NDArray[np.float32]) -> str:
    """Probabilities from 0, dark blue, to 1, yellow."""
    at, points = np.linspace(0, 1, 256), np.linspace(0, 1, len(VIRIDIS))
    palette = np.stack([np.interp(at, points, channel) for channel in VIRIDIS.T], axis=1).astype(np.uint8)
    index = np.clip(np.nan_to_num(values) * 255 + 0.5, 0, 255).astype(np.uint8)
    picture = Image.fromarray(index.reshape(-1, index.shape[-1]))
    picture.putpalette(palette.tobytes())
    return data_address(picture if index.size <= PHOTOGRAPH else picture.convert("RGB"))


def _outline(labels: np.ndarray) -> Mask:
    """Pixels of objects at whose left, right, upper or lower side another label is; unknown pixels have none."""
    edge = np.zeros(labels.shape, bool)
    for here, there in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[:, :, 1:], np.s_[:, :, :-1])):
        differ = (labels[here] != labels[there]) & (labels[here] >= 0) & (labels[there] >= 0)
        edge[here] |= differ
        edge[there] |= differ
    return edge & (labels > 0)


def _stripes(labels: np.ndarray) -> NDArray[np.int64]:
    """Ones on every eighth diagonal of the unknown."""
    rows, columns = np.indices(labels.shape[-2:])
    stripes: NDArray[np.int64] = ((labels < 0) & ((rows + columns) % 8 == 0)).astype(np.int64)
    return stripes


def contrast(image: NDArray[np.float32]) -> tuple[float, float]:
    """The 0.5th and 99.5th percentile of an image, or its ends; equal for a constant image."""
    known = image[..., ::2, ::2]  # a quarter of the pixels says as much
    known = known[np.isfinite(known)]
    if not known.size:
        return 0.0, 0.0
    low, high = np.percentile(known, (0.5, 99.5))
    return (float(low), float(high)) if low < high else (float(known.min()), float(known.max()))


def stretch(image: NDArray[np.float32], ends: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """An image with its contrast, or another one, brought to 0..255; a constant image is grey."""
    low, high = contrast(image) if ends is None else ends
    if not low < high:
        return np.full(image.shape, 128, np.uint8)
    pixels: NDArray[np.uint8] = (np.clip(np.nan_to_num((image - low) / (high - low)), 0, 1) * 255 + 0.5).astype(
        np.uint8
    )
    return pixels


def _sheet(pixels: NDArray[np.uint8]) -> Image.Image:
    """Sections (S, C, height, width) below each other."""
    tall = np.moveaxis(pixels, 1, -1).reshape(-1, pixels.shape[-1], pixels.shape[1])
    return Image.fromarray(np.ascontiguousarray(tall[..., 0] if tall.shape[-1] == 1 else tall))


def _indexed(index: NDArray[np.uint8], colours: list[tuple[Colour, int]]) -> Image.Image:
    """A picture of one byte per pixel; 0 is transparent, and the others are colours with their opacity."""
    picture = Image.fromarray(index.reshape(-1, index.shape[-1]))
    picture.putpalette(bytes([0, 0, 0, *(part for colour, _ in colours for part in colour)]))
    picture.info["transparency"] = bytes([0, *(opacity for _, opacity in colours)])
    return picture


def _colour(row: NDArray[np.uint8]) -> Colour:
    red, green, blue = (int(part) for part in row)
    return red, green, blue


def data_address(picture: Image.Image, *, lossless: bool = False) -> str:
    """A picture in a ``data:`` address: PNG, or JPEG for a large photograph."""
    buffer = io.BytesIO()
    if picture.mode in ("L", "RGB") and picture.width * picture.height > PHOTOGRAPH and not lossless:
        picture.save(buffer, "jpeg", quality=QUALITY, subsampling=0)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    given = {"transparency": picture.info["transparency"]} if "transparency" in picture.info else {}
    picture.save(buffer, "png", compress_type=zlib.Z_DEFAULT_STRATEGY, compress_level=4, **given)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
