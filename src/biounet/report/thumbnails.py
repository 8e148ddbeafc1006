"""Strips of small images with their labels, in which a wrong label jumps to the eye."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from biounet.report.layers import data_address
from biounet.report.overlays import draw_labels
from biounet.report.templates import render

__all__ = ["SIDE", "Thumbnail", "draw_strip", "thumbnail"]


SIDE = 176
"""Pixels of the longer side of a thumbnail."""


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
    factor = max(1, -(-max(channels.shape[1:]) // SIDE))
    middle = np.s_[..., factor // 2 :: factor, factor // 2 :: factor]
    drawn = draw_labels(channels[middle], None if labels is None else labels[middle], numbered=numbered)
    return Thumbnail(name, data_address(_enlarged(drawn)), notes)


def _enlarged(drawn: Image.Image) -> Image.Image:
    """A picture, enlarged by a whole number if it is much smaller than a thumbnail."""
    factor = max(1, SIDE // max(drawn.size))
    return drawn.resize((factor * drawn.width, factor * drawn.height), Image.Resampling.NEAREST)


def draw_strip(items: Iterable[Thumbnail], said: str) -> str:
    """Thumbnails side by side below a sentence, as HTML; empty without thumbnails."""
    shown = list(items)
    return render("strip.html", items=shown, said=said) if shown else ""
