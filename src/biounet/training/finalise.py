"""The end of a training run: batch statistics, smoothing, temperature, gaps in membranes, threshold, object rules."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from biounet.config import AugmentConfig, RunConfig
from biounet.data.patches import PatchSampler, network_input_size
from biounet.inference.calibration import Calibration, apply_temperature, calibrate, move_threshold
from biounet.inference.smoothing import fit_smoothing, smooth_probabilities
from biounet.models import geometry_of
from biounet.models.batch_statistics import measure_statistics
from biounet.models.model_file import ModelCard
from biounet.segmentation import close_gaps
from biounet.training.validation import (
    Validation,
    ValidationResult,
    predict,
    predict_images,
    score_classes,
    segment_and_compare,
    tune,
)

__all__ = [
    "PREDICTION",
    "STATISTICS",
    "Finalised",
    "Show",
    "calibrate_predictions",
    "close_predictions",
    "finalise",
    "part",
    "score_as_fitted",
    "show_nothing",
    "statistics_batches",
    "statistics_pixels",
    "with_statistics_of_images",
]


WIDER = 2
"""Width of the pieces of images that statistics are measured on, in widths of a patch, where images allow it."""

BATCHES = 16
"""Batches of such pieces at most."""

STEPS_A_BATCH = 5
"""Steps for each such batch, which takes as long as a step: short runs get fewer batches, and one at least."""

Show = Callable[[float, str], None]
"""Takes the share of a piece of work that is done, in [0, 1], and a few words on what is being done."""


def show_nothing(share: float, text: str) -> None:
    """Show no progress."""


STATISTICS = (0.0, 0.2, "adapting the network to whole images")
PREDICTION = (0.2, 0.4, "predicting the held-out images")
CALIBRATION = (0.4, 0.6, "calibrating probabilities")
RULES = (0.6, 0.95, "finding how objects are best separated")
DRAWING = (0.95, 1.0, "drawing the report")
"""Parts of the work after the last step: where each begins and ends, as shares of all of it, and in words."""


def part(show: Show, begin: float, end: float, text: str) -> Callable[[float], None]:
    """Progress of a part of some work, shown as progress of all of it.

    >>> part(lambda share, text: print(share, text), 0.5, 1.0, "calibrating")(0.5)
    0.75 calibrating
    """
    return lambda share: show(begin + share * (end - begin), text)


@dataclass(frozen=True)
class Finalised:
    """Settings of prediction that follow from the held-out images, and the results with these settings."""

    result: ValidationResult
    """With calibrated probabilities."""
    calibration: Calibration
    settings: Mapping[str, Any]
    """Fields of a `biounet.models.model_file.ModelCard`: ``smoothing``, ``temperature``, and for probabilities that are
    smoothed and calibrated by these, ``close_gaps`` where it paid, the ``threshold`` of two classes, and the ``rules``
    of numbered objects."""


def finalise(
    net: nn.Module,
    probabilities: list[NDArray[np.float32]],
    validation: Validation,
    *,
    deadline: float = math.inf,
    show: Show = show_nothing,
) -> Finalised:
    """Calibrate a trained network on the held-out images, and tune the rules of objects.

    Parameters
    ----------
    net : Module
    probabilities : of the held-out images, by this network
        The list is changed in place, image by image, since memory may not hold all of them twice.
    validation : Validation
    deadline : seconds of `time.monotonic`
        When the search for rules stops.
    show : Show
    """
    part(show, *CALIBRATION)(0)
    result, calibration = calibrate_predictions(probabilities, validation)
    settings: dict[str, Any] = {"smoothing": calibration.smoothing, "temperature": calibration.temperature}
    if validation.objects is not None and (closed := close_predictions(probabilities, validation, result)):
        result, settings["close_gaps"] = closed, True
    if "threshold" in result.scores:
        settings["threshold"] = result.scores["threshold"]
    if validation.rules is not None:
        images = list(validation.tuning_images)  # once, for memory may not hold the images that they are chosen from
        predicted = predict_images(net, images, validation, smoothing=calibration.smoothing)
        more = (apply_temperature(given, calibration.temperature) for given in predicted)
        options: dict[str, Any] = {"more": more, "images": images, "progress": part(show, *RULES)}
        settings["rules"], _ = tune(probabilities, validation, validation.rules, deadline=deadline, **options)
        result = segment_and_compare(result, validation, settings["rules"])
    part(show, *DRAWING)(0)
    return Finalised(result, calibration, settings)


def score_as_fitted(net: nn.Module, card: ModelCard, validation: Validation) -> ValidationResult:
    """Results on the held-out images with the smoothing, temperature and rules of objects that a model has already."""
    probabilities = [
        apply_temperature(smooth_probabilities(given, card.smoothing), card.temperature)
        for given in predict(net, validation).probabilities
    ]
    return segment_and_compare(score_classes(probabilities, validation), validation, card.object_rules)


def calibrate_predictions(
    probabilities: list[NDArray[np.float32]], validation: Validation
) -> tuple[ValidationResult, Calibration]:
    """Smooth and calibrate probabilities of the held-out images, in place; return also the scores of their classes."""
    smoothing = fit_smoothing(probabilities, validation.targets)
    for index, given in enumerate(probabilities):
        probabilities[index] = smooth_probabilities(given, smoothing)
    result = score_classes(probabilities, validation)
    found = calibrate(probabilities, validation.targets)
    for index, given in enumerate(probabilities):
        probabilities[index] = apply_temperature(given, found.temperature)
    scores = dict(result.scores)
    if "threshold" in scores:
        scores["threshold"] = move_threshold(scores["threshold"], found.temperature)
    return replace(result, scores=scores), replace(found, smoothing=smoothing)


def close_predictions(
    probabilities: list[NDArray[np.float32]], validation: Validation, result: ValidationResult
) -> ValidationResult | None:
    """Close gaps in the predictions of the held-out images, in place, and score them; None if that does not pay.

    Parameters
    ----------
    probabilities : (2, *spatial) each
        As they were before, where it does not pay.
    validation : Validation
        Its `objects` are those that borders separate.
    result : with the score of the probabilities as they are
    """
    changed = []
    for given in probabilities:
        closed = close_gaps(given[1])
        lower = closed < given[1]
        changed.append((lower, given[:, lower]))
        given[:, lower] = 1 - closed[lower], closed[lower]
    found = score_classes(probabilities, validation)
    if found.scores["score"] > result.scores["score"]:
        return found
    for given, (lower, before) in zip(probabilities, changed, strict=True):
        given[:, lower] = before
    return None


def statistics_batches(config: RunConfig) -> int:
    """Batches on which the statistics of batch normalisation are measured at the end of a run; 0 without any.

    >>> [statistics_batches(RunConfig.preset("default").updated({"train.steps": steps})) for steps in (4, 40, 400)]
    [1, 8, 16]
    """
    if config.model.norm != "batch":
        return 0
    return BATCHES if config.train.steps is None else min(BATCHES, max(1, config.train.steps // STEPS_A_BATCH))


def statistics_pixels(config: RunConfig) -> int:
    """Pixels of the `statistics_batches`."""
    pixels: int = statistics_batches(config) * config.train.batch * (WIDER * config.train.patch) ** config.model.dims
    return pixels


def with_statistics_of_images(
    net: nn.Module,
    source: PatchSampler,
    config: RunConfig,
    *,
    largest: tuple[int, ...],
    go_on: Callable[[], bool],
    progress: Callable[[float], None] = lambda share: None,
) -> nn.Module:
    """A copy of a network whose batch normalisation has statistics of wider patches that are not augmented.

    Parameters
    ----------
    net : Module
    source : PatchSampler of the training images
    config : RunConfig
    largest : pixels per axis of the largest image
    go_on : () -> bool
        Asked before each batch but the first.
    progress : (share) -> None
    """
    measured = copy.deepcopy(net)
    wider = config.updated({"train.patch": WIDER * config.train.patch})
    size = network_input_size(wider, geometry_of(config.model), largest)
    plain = replace(source, augment=AugmentConfig(elastic=0, rotate=0, mirror=False), size=size)
    count = statistics_batches(config)

    def images() -> Iterator[Tensor]:
        for step in takewhile(lambda step: not step or go_on(), range(count)):
            progress(step / count)
            yield plain.batch(step).image

    measure_statistics(measured, images())
    return measured
