"""Images on which a model is not to be trusted: those unlike the images that it learnt from."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.data.annotated_image import anisotropy
from biounet.data.learnt_images import ALWAYS_BORNE, LearntImages
from biounet.data.looks import look_of
from biounet.data.normalize import measure
from biounet.inference.object_size import median_diameter
from biounet.inference.scaling import Scale, ScaledReader
from biounet.io import DecodingRoom, Selection, open_lazily, open_selected
from biounet.io.frames import middle_frame
from biounet.models.model_file import ModelCard

__all__ = ["tell_unlike", "unlike"]


LARGEST = {2: (2048, 2048), 3: (64, 512, 512)}
"""Pixels per axis of the middle of a result in which objects are measured."""

LISTED = 3
"""Images that are named in a line."""


def unlike(
    card: ModelCard,
    image: Path,
    *,
    labels: Path | None = None,
    factor: float = 1.0,
    selection: Selection = Selection(),
    room: DecodingRoom | None = None,
) -> str:
    """Differences of an image from all images that a network learnt from, in words; empty where it is like one of them.

    The middle frame is looked at, in parts if it is large.

    Parameters
    ----------
    card : ModelCard
        Of the network; nothing is unlike where it does not know what it learnt from.
    image : Path
    labels : objects that were found; None: their size is not compared
    factor : the image was scaled by it before it was predicted
    selection : what was read of the image
    room : memory for what must be decoded of a file at once; by default that of `biounet.io.open_lazily`

    Raises
    ------
    ImageError, ShapeError
        If a file cannot be read, or has not the axes or channels of the network.
    """
    model, learnt = card.model, card.learnt or LearntImages()
    with open_selected(image, selection, room=room) as opened:
        frame = middle_frame(opened, dims=model.dims, channels=model.in_channels, name=image.name)
        normalization = measure(frame, card.normalization)
        scaled = ScaledReader(frame, Scale.near(factor, grid=1))

        def read(box: Box) -> NDArray[np.float32]:
            return normalization.apply(scaled.read(Box((0, *box.start), (frame.channels, *box.stop))))

        reasons = [learnt.unlike(look_of(scaled.shape[1:], read))]
        if factor == 1:
            reasons.append(_other_pixels(opened.spacing, card))
    if labels is not None:
        reasons.append(_other_size(_diameter(labels, dims=model.dims, room=room), learnt, factor))
    return "; ".join(filter(None, reasons))


def _diameter(labels: Path, *, dims: int, room: DecodingRoom | None) -> float | None:
    """Median diameter of the objects in the middle of a result, in pixels along X; None if they are few."""
    with open_lazily(labels, labels=True, room=room) as opened:
        frame = middle_frame(opened, dims=dims, channels=1, name=labels.name)
        pixels = frame.read(Box((0,) * (1 + dims), frame.shape).middle((1, *LARGEST[dims])))
        steps = anisotropy(opened.spacing and opened.spacing[-dims:], axes=dims)
    return median_diameter(pixels[0], steps=steps)


def _other_pixels(spacing: tuple[float, ...] | None, card: ModelCard) -> str:
    """Pixels that are larger or smaller than any that the network knows, in words."""
    if spacing is None or card.spacing is None:
        return ""
    size, learnt, borne = spacing[-1], card.spacing[-1], (card.learnt or LearntImages()).borne
    if learnt / borne / ALWAYS_BORNE <= size <= learnt * borne * ALWAYS_BORNE:
        return ""
    kind = "large" if size > learnt else "small"
    known = f"{learnt / borne:.3g} to {learnt * borne:.3g} um"
    return f"{kind} pixels of {size:.3g} um, where the model knows {known}, try --pixel-size {size:.3g}"


def _other_size(diameter: float | None, learnt: LearntImages, factor: float) -> str:
    """Objects that are larger or smaller than any that the network knows, in words."""
    if diameter is None or learnt.known is None:
        return ""
    least, most = learnt.known
    if least / ALWAYS_BORNE <= diameter * factor <= most * ALWAYS_BORNE:
        return ""
    kind = "large" if diameter * factor > most else "small"
    known = f"{least / factor:.3g} to {most / factor:.3g} px"
    advice = f", try --diameter {diameter:.3g}" if factor == 1 else ""
    return f"{kind} objects of {diameter:.3g} px, where the model knows {known}{advice}"


def tell_unlike(found: Mapping[Path, str], *, adaptable: bool = False) -> str:
    """A line about images that are unlike those learnt from; empty where there is none.

    Parameters
    ----------
    found : image -> its differences, of all images, as of `unlike`
    adaptable : bool
        Whether the network could adapt to them, and did not.

    Examples
    --------
    >>> tell_unlike({Path("a.png"): "", Path("b.png"): "more noise"})
    '1 of 2 images is unlike those that the model learnt from: b.png (more noise); look at its result'
    """
    named = [f"{image.name} ({reason})" for image, reason in found.items() if reason]
    if not named:
        return ""
    listed = ", ".join(named[:LISTED]) + ", ..." * (len(named) > LISTED)
    one = len(named) == 1
    count = "the image is" if len(found) == 1 else f"{len(named)} of {len(found)} images {'is' if one else 'are'}"
    result = "its result" if one else "their results"
    advice = ", or try --adapt" if adaptable else ""
    return f"{count} unlike those that the model learnt from: {listed}; look at {result}{advice}"
