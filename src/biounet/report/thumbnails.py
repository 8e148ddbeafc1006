"""Strips of small images with their labels, in which a wrong label jumps to the eye."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biounet.report.layers import CLASS_COLORS, data_address, stretch
from biounet.report.templates import render

__all__ = ["SIDE", "Thumbnail", "draw_strip", "thumbnail"]


SIDE = 176
"""Pixels of the longer side of a thumbnail."""

FILL = 0.45
"""Opacity of a label."""

STRIPE = (158, 158, 158)


@dataclass(frozen=True)
class Thumbnail:
    """A small image with its labels.

    Attributes
    ----------
    name : of the image
    source : ``data:`` address
    notes : a few words each, such as a number of objects
    """

    name: str
    source: str
    notes: Sequence[str] = ()

    @property
    def alt(self) -> str:
        """What a person who cannot see the image reads."""
        return f"Labels of {self.name}"


def thumbnail(
    name: str, image: np.ndarray, labels: np.ndarray | None, *, numbered: bool, notes: Sequence[str] = ()
) -> Thumbnail:
    """A thumbnail: labels in colours on the image; of a volume, the middle section.

    Parameters
    ----------
    name : str
    image : (C, *spatial) or (*spatial)
    labels : (*spatial) integers, or None
        Negative is unknown, and gets stripes.
    numbered : whether numbers are objects, of which neighbours get different colours, or classes
    notes : Sequence of str
    """
    dims = (image.ndim - 1 if image.ndim > 2 else 2) if labels is None else labels.ndim
    channels = image if image.ndim > dims else image[None]
    if dims == 3:
        channels = channels[:, channels.shape[1] // 2]
        labels = None if labels is None else labels[len(labels) // 2]
    channels = channels if len(channels) in (1, 3) else channels[:1]
    factor = max(1, -(-max(channels.shape[1:]) // SIDE))
    middle = np.s_[..., factor // 2 :: factor, factor // 2 :: factor]
    grey = stretch(channels[middle].astype(np.float32)[None])[0]
    drawn = np.moveaxis(np.broadcast_to(grey, (3, *grey.shape[1:])), 0, 2).astype(np.float32)
    if labels is not None:
        drawn = _coloured(drawn, labels[middle], numbered)
    return Thumbnail(name, data_address(_enlarged(drawn.astype(np.uint8))), notes)


def _coloured(drawn: NDArray[np.float32], labels: np.ndarray, numbered: bool) -> NDArray[np.float32]:
    """A picture (Y, X, 3) with labels on it."""
    palette = CLASS_COLORS[1:].astype(np.float32)
    index = (labels * 5 if numbered else labels - 1) % len(palette)
    mixed = (1 - FILL) * drawn + FILL * palette[index]
    rows, columns = np.indices(labels.shape)
    unknown = (labels < 0) & ((rows + columns) % 6 < 2)
    result: NDArray[np.float32] = np.where((labels > 0)[..., None], mixed, drawn)
    result[unknown] = STRIPE
    return result


def _enlarged(drawn: NDArray[np.uint8]) -> Image.Image:
    """A picture, enlarged by a whole number if it is much smaller than a thumbnail."""
    factor = max(1, SIDE // max(drawn.shape[:2]))
    return Image.fromarray(drawn.repeat(factor, 0).repeat(factor, 1))


def draw_strip(items: Iterable[Thumbnail], said: str) -> str:
    """Thumbnails side by side below a sentence, as HTML; empty without thumbnails."""
    shown = list(items)
    return render("strip.html", items=shown, said=said) if shown else ""
