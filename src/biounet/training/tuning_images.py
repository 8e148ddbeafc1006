"""Training images on which the rules of objects are tuned, too: some of them, or parts of large ones."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, prod

import numpy as np

from biounet.core.labels import IGNORE
from biounet.data.annotated_image import AnnotatedImage, OnDemandImages
from biounet.data.subset import spread_crops
from biounet.data.training_set import TrainingSet
from biounet.training.validation import TUNING_PIXELS

__all__ = ["choose_tuning_images"]


TWICE = 2
"""Pixels of training images that rules of objects are tuned on, for one pixel held out."""

ENOUGH, ENOUGH_A_MINUTE = 2**23, 2**19
"""Pixels to tune rules on, held-out pixels included: a processor takes a tenth of a budget of 16 minutes for them."""

LARGE, PARTS = 4, 4
"""Number of large images, and of parts of each, that are taken at most, so that few objects are cut by an edge."""


def choose_tuning_images(
    data: TrainingSet,
    minutes: float | None,
    *,
    most: float = inf,
    enough: float = ENOUGH,
    most_held_out: int = TUNING_PIXELS,
) -> tuple[Sequence[AnnotatedImage], int]:
    """Training images on which the rules of objects are tuned, besides the held-out images.

    Parameters
    ----------
    data : TrainingSet
        With numbered objects.
    minutes : of the run, if it has any
    most : pixels of held-out images that this run tunes rules on at most; twice as many are taken here
    enough : pixels to tune rules on, held-out pixels included
    most_held_out : pixels of held-out images that rules are tuned on at most

    Returns
    -------
    images
        Images spread evenly, with up to twice as many pixels as are held out. If one image alone has more, parts of up
        to four images: copies, so that the rest of the image is not held in memory. Objects that the edge of a part
        cuts are unknown. Empty where the minutes leave no time for more than the held-out images.
    int
        Number of their pixels, at most.
    """
    held_out = sum(item.target.size for item in data.validation)
    enough = min(enough, (1 + TWICE) * most, inf if minutes is None else ENOUGH_A_MINUTE * minutes)
    room = min(TWICE * held_out, enough - held_out)
    every = int(data.counts.sum() // max(1, room))
    chosen = data.part(slice(None, None, max(1, every)))
    if chosen.counts.sum() <= TWICE * room:
        return OnDemandImages(chosen.train), int(chosen.counts.sum())
    tuned = int(min(held_out, most_held_out, most))  # of large held-out images, too, only parts are compared
    room = min(TWICE * tuned, int(enough) - tuned)
    large = [number for number, image in enumerate(data.statistics) if prod(image.shape[1:]) > room > 0]
    some = large[:: -(-len(large) // LARGE) or 1]
    parts = [part for number in some for part in _parts(data, number, room // len(some))]
    return parts, sum(part.labels.size for part in parts)


def _parts(data: TrainingSet, number: int, pixels: int) -> list[AnnotatedImage]:
    """Parts of an image with at most `pixels` pixels in all; of one in strips, from the first with whole objects."""
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
