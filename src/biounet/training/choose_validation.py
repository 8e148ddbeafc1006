"""The held-out images of a run, and how networks are scored on them, by the settings and the images."""

import time
from collections.abc import Callable
from math import inf
from typing import Any

import torch

from biounet.config import RunConfig
from biounet.config.object_rules import ObjectRules
from biounet.data.training_set import TrainingSet
from biounet.models.device import choose_precision
from biounet.training.finalise import statistics_pixels
from biounet.training.finish_model import SHARES
from biounet.training.tuning_images import choose_tuning_images
from biounet.training.validation import THRESHOLDS, TUNING_PIXELS, Validation

__all__ = ["choose_validation", "tuned_pixels"]


LEAST = 2**18
"""Pixels on which rules are tuned at least, however few are learnt from: an image of 512 x 512."""


def choose_validation(
    config: RunConfig,
    data: TrainingSet,
    rules: ObjectRules | None,
    *,
    device: torch.device,
    tunes: bool,
    keeps: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Validation:
    """The held-out images; where the loss has border weights, separating objects is part of their score.

    Parameters
    ----------
    config : RunConfig
    data : TrainingSet
    rules : of objects, where the search for better ones begins; None where objects are not numbered
    device : where networks predict
    tunes : whether this process tunes the rules at the end
    keeps : whether smoothing, temperature and rules stay those of the model that the run begins with
    clock : () -> seconds
    """
    train, most = config.train, tuned_pixels(config)
    separate = data.task.has_classes and train.border_weight > 0 and config.model.classes == 2
    tuned: dict[str, Any] = {"most_pixels": min(TUNING_PIXELS, most)}
    if rules is not None and tunes:
        images, pixels = choose_tuning_images(data, train.minutes, most=most)
        tuned |= {"tuning_images": images, "tuning_pixels": pixels}
    return Validation(
        data.validation,
        device,
        choose_precision(train.precision, device),
        objects=data.objects if separate else None,
        rules=rules,
        target_normalization=data.target_normalization,
        statistics_pixels=statistics_pixels(config),
        finalise=train.finalise and not keeps,
        compared=len(SHARES) if train.finalise and train.init and data.task.has_labels else 0,
        thresholds=THRESHOLDS if train.finalise else (0.5,),
        clock=clock,
        **tuned,
    )


def tuned_pixels(config: RunConfig) -> float:
    """Most held-out pixels on which rules are tuned: in a run by steps as many as it learns from, else any number.

    Else the end of a run of two steps would take minutes.

    >>> tuned_pixels(RunConfig.preset("default").updated({"train.steps": 20, "train.batch": 4, "train.patch": 128}))
    1310720
    """
    train = config.train
    return inf if train.steps is None else max(LEAST, train.steps * train.batch * train.patch**config.model.dims)
