"""Labels in colours on their image: what a person looks at, since most viewers show label files black."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import biounet
from biounet.core.atomic_files import replacing
from biounet.core.boxes import Box
from biounet.core.errors import ShapeError
from biounet.io import Selection, open_selected
from biounet.report.layers import CLASS_COLORS, stretch

__all__ = ["draw_labels", "is_overlay", "middle_plane", "write_overlay"]


FILL = 0.45
"""Opacity of a label."""

STRIPE = (158, 158, 158)
"""Colour of the stripes where labels are unknown."""

LONGEST = 2048
"""Pixels of the longer side of a picture; of larger images, every n-th pixel is shown."""

LARGEST = 2**24
"""Pixels of a plane beyond which no picture is drawn of it."""

SOFTWARE = f"biounet-{biounet.__version__}"


def draw_labels(image: np.ndarray, labels: np.ndarray | None, *, numbered: bool, edges: bool = False) -> Image.Image:
    """A picture of a plane with labels in colours on it.

    Parameters
    ----------
    image : (C, Y, X)
        One channel or three are shown, else the first.
    labels : (Y, X) integers, or None
        Negative is unknown, and gets stripes.
    numbered : whether numbers are objects, of which neighbours get different colours, or classes
    edges : whether labels have an edge of their full colour
    """
    channels = image if len(image) in (1, 3) else image[:1]
    grey = stretch(channels.astype(np.float32)[None])[0]
    drawn = np.moveaxis(np.broadcast_to(grey, (3, *grey.shape[1:])), 0, 2).astype(np.float32)
    if labels is not None:
        drawn = _coloured(drawn, labels, numbered, edges)
    return Image.fromarray(drawn.astype(np.uint8))


def _coloured(drawn: NDArray[np.float32], labels: np.ndarray, numbered: bool, edges: bool) -> NDArray[np.float32]:
    """A picture (Y, X, 3) with labels on it."""
    palette = CLASS_COLORS[1:].astype(np.float32)
    index = (labels * 5 if numbered else labels - 1) % len(palette)
    fill: NDArray[np.float32] = np.full(labels.shape, FILL, np.float32)
    if edges:
        fill[_edges(labels)] = 1
    fill[labels <= 0] = 0
    result: NDArray[np.float32] = drawn + fill[..., None] * (palette[index] - drawn)
    rows, columns = np.indices(labels.shape, np.int32)
    result[(labels < 0) & ((rows + columns) % 6 < 2)] = STRIPE
    return result


def _edges(labels: np.ndarray) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour has another label."""
    found = np.zeros(labels.shape, bool)
    found[:-1] |= labels[:-1] != labels[1:]
    found[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return found


def middle_plane(path: Path, selection: Selection, *, labels: bool = False, largest: int = LARGEST) -> np.ndarray:
    """The plane (C, Y, X) in the middle of an image along time and Z.

    Raises
    ------
    ImageError
        If it cannot be read.
    ShapeError
        If it has more than `largest` pixels.
    """
    with open_selected(path, selection, labels=labels) as image:
        if image.shape[-2] * image.shape[-1] > largest:
            raise ShapeError(f"{path.name}: {image.shape[-2]} x {image.shape[-1]} px are too many for a picture")
        ends = [
            (size // 2, size // 2 + 1) if axis in "TZ" else (0, size)
            for axis, size in zip(image.axes, image.shape, strict=True)
        ]
        pixels = image.read(Box(tuple(first for first, _ in ends), tuple(last for _, last in ends)))
        channels = pixels.shape[image.axes.index("C")] if "C" in image.axes else 1
        return pixels.reshape(channels, *pixels.shape[-2:])


def write_overlay(
    path: Path,
    image: Path,
    result: Path,
    *,
    numbered: bool,
    selection: Selection = Selection(),
    overwrite: bool = False,
) -> None:
    """Write a picture of an image with the labels of a result in colours; of a stack or film, of its middle.

    Parameters
    ----------
    path : Path
        Of the picture, a PNG.
    image, result : Path
    numbered : as for `draw_labels`
    selection : what the result is of
    overwrite : bool

    Raises
    ------
    OutputError
        If the picture cannot be written.
    ImageError, ShapeError
        If one of the two cannot be read, is too large, or they are of different size.
    """
    (labels,) = middle_plane(result, Selection(), labels=True)
    pixels = middle_plane(image, selection)
    if pixels.shape[1:] != labels.shape:
        raise ShapeError(f"{result.name} has {labels.shape} pixels, {image.name} has {pixels.shape[1:]}")
    step = -(-max(labels.shape) // LONGEST)
    picture = draw_labels(pixels[:, ::step, ::step], labels[::step, ::step], numbered=numbered, edges=True)
    information = PngInfo()
    information.add_text("Software", SOFTWARE)
    with replacing(path, overwrite=overwrite) as temporary:
        picture.save(temporary, "png", pnginfo=information, compress_level=1)


def is_overlay(path: Path) -> bool:
    """Whether a file is a picture that `write_overlay` has written."""
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as file:
            return str(file.info.get("Software", "")).startswith("biounet-")
    except (OSError, SyntaxError, ValueError):
        return False
