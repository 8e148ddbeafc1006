"""What of the images to train on rules of objects are tuned on, too: some of them, or parts of those that are large."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from biounet.core.labels import IGNORE
from biounet.data.annotated_image import AnnotatedImage, OnDemandImages
from biounet.data.subset import spread_crops
from biounet.data.training_set import TrainingSet
from biounet.training.validation import TUNED

__all__ = ["choose_tuning_images"]


TWICE = 2
"""How many pixels of the images to train on rules of objects are tuned on, for one that is held out."""

ENOUGH, ENOUGH_A_MINUTE = 2**23, 2**19
"""Pixels to tune rules on, those held out included: as many as take a processor a tenth of a budget of 16 minutes."""

LARGE, PARTS = 4, 4
"""Of so many large images at most so many parts each are taken, so that few objects are near the edge of one."""


def choose_tuning_images(data: TrainingSet, minutes: float | None) -> tuple[Sequence[AnnotatedImage], int]:
    """Choose what the network has learnt from, and rules are tuned on, too.

    Parameters
    ----------
    data : TrainingSet
        With numbered objects.
    minutes : of the run, if it has any

    Returns
    -------
    items
        Images spread evenly, up to twice as many pixels as are held out. If one image alone has more, parts of up to
        four of them: copies, so that nothing of the rest is held. Objects that an edge of a part cuts are unknown.
        None where those held out are as many as the minutes have time for.
    int
        How many pixels they have, at most.
    """
    held_out = sum(item.target.size for item in data.validation)
    most = ENOUGH if minutes is None else min(ENOUGH, ENOUGH_A_MINUTE * minutes)
    room = min(TWICE * held_out, most - held_out)
    every = int(data.counts.sum() // max(1, room))
    chosen = data.part(slice(None, None, max(1, every)))
    if chosen.counts.sum() <= TWICE * room:
        return OnDemandImages(chosen.train), int(chosen.counts.sum())
    tuned = min(held_out, TUNED)  # of large images, too, no more than parts are compared
    room = min(TWICE * tuned, int(most) - tuned)
    large = [number for number, image in enumerate(data.statistics) if prod(image.shape[1:]) > room > 0]
    some = large[:: -(-len(large) // LARGE) or 1]
    parts = [part for number in some for part in _parts(data, number, room // len(some))]
    return parts, sum(part.labels.size for part in parts)


def _parts(data: TrainingSet, number: int, pixels: int) -> list[AnnotatedImage]:
    """Parts of an image, of no more pixels in all; of one that comes in strips, of the first with a whole object."""
    for item, _ in data.train[number].strips():
        crops = spread_crops([item.labels], pixels=pixels, side=(pixels / PARTS) ** (1 / item.labels.ndim))
        if not (item.labels > 0).any() or sum(prod(crop.box.shape) for crop in crops) > pixels:
            continue  # no part has an object whole
        return [
            replace(
                item,
                name=f"{item.name} from {crop.box.start}",
                image=crop.of(item.image).copy(),
                labels=crop.without_cut(crop.of(item.labels), IGNORE).astype(np.int32),
                target=crop.of(item.target).copy(),
            )
            for crop in crops
        ]
    return []
