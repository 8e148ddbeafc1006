"""Scores of a network on images that it was not trained on."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from biounet.config.object_rules import ObjectRules
from biounet.core.components import label_objects
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.normalize import Normalization
from biounet.inference.overlap_tile import predict_array
from biounet.metrics import Matching, adapted_rand, detection, match_objects, object_errors
from biounet.metrics.image_quality import image_errors, image_scores
from biounet.metrics.overlap import confusion, dice_of_foreground, dice_per_class
from biounet.segmentation import score_objects, segment_objects, tune_rules
from biounet.training.time_budget import TimeToFinalise

__all__ = [
    "THRESHOLDS",
    "TUNING_PIXELS",
    "Predictions",
    "Validation",
    "ValidationResult",
    "predict",
    "predict_image",
    "score",
    "score_classes",
    "segment_and_compare",
    "tune",
]


THRESHOLDS = tuple(number / 20 for number in range(2, 19))
"""Probabilities of the foreground that are tried as threshold, where there are two classes; with objects, every second
one."""

TUNING_PIXELS = 2**22
"""Pixels of held-out images that rules of objects are tuned on; of more, parts of them, spread evenly."""

THOROUGH = 15
"""Duration of the thorough search for rules, in durations of the quick one."""

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Validation:
    """Held-out images, and how networks are scored on them.

    Parameters
    ----------
    images : images and labels that training never sees
    device, precision : as `biounet.models.device` chooses them
    objects : (image) -> numbered objects, or None
        Given where the network is to separate the parts of the foreground: their Rand score is half of the score.
    rules : ObjectRules or None
        Given where labels number objects: the average precision of the objects is half of the score.
    units : Normalization or None
        Given where images are drawn: how the images to be drawn are normalised.
    tuning_images : training images on which the rules are tuned, besides the held-out images, at the end of a run
        A few held-out images alone give rules that fit chance. Training images alone do, too: where a network knows
        them by heart, all rules give the same objects.
    tuning_pixels : pixels of `tuning_images`
    thresholds : probabilities of the foreground that are tried as threshold, if there are two classes
    most_pixels : pixels of held-out images on which rules are tuned at most
    statistics_pixels : pixels on which the statistics of batch normalisation are measured at the end, if any
    finalise : whether smoothing, temperature, threshold and rules are fitted to the held-out images at the end
    clock : () -> seconds, which measures the durations in a result
    """

    images: Sequence[AnnotatedImage]
    device: torch.device
    precision: torch.dtype
    objects: Callable[[AnnotatedImage], NDArray[Any]] | None = None
    rules: ObjectRules | None = None
    units: Normalization | None = None
    tuning_images: Sequence[AnnotatedImage] = ()
    tuning_pixels: int = 0
    thresholds: Sequence[float] = THRESHOLDS
    most_pixels: int = TUNING_PIXELS
    statistics_pixels: int = 0
    finalise: bool = True
    clock: Callable[[], float] = time.monotonic

    @cached_property
    def has_labels(self) -> bool:
        """Whether any pixel of the held-out images is labelled; if none is, no score compares networks."""
        return any((image.target >= 0).any() for image in self.images)

    @property
    def targets(self) -> list[NDArray[np.int64]]:
        """Target (*spatial) of each held-out image."""
        return [image.target for image in self.images]


@dataclass(frozen=True)
class Predictions:
    """Probabilities of the held-out images, and how long a network took for them."""

    probabilities: list[Probabilities]
    """Per image (classes, *spatial); or the drawn image."""
    seconds: float


@dataclass(frozen=True)
class ValidationResult:
    """Scores of one network on the held-out images, with the results that they were counted on."""

    scores: Mapping[str, float]
    """``score`` says which network is best; see `score` for the others."""
    probabilities: Sequence[Probabilities] = ()
    """Per image (classes, *spatial), or the drawn image; calibrated once the run is at its end."""
    per_image: Sequence[Mapping[str, float]] = ()
    """Per image Dice of each class; or scores and counts of its objects; or scores of the drawn image."""
    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """Pixels of a true class (row) given a class (column); of background and objects where there are rules."""
    objects: Sequence[NDArray[Any]] = ()
    """Per image (*spatial) numbered objects, unsigned integers; empty without rules."""
    rules: ObjectRules | None = None
    """Rules that made the objects."""
    seconds: float = 0.0
    """Duration of prediction and scoring."""
    finalising: TimeToFinalise = field(default_factory=TimeToFinalise)
    """Time that the end of the run will take, estimated from this validation."""

    def without_arrays(self) -> "ValidationResult":
        """The result without probabilities and objects of each image, which may be large."""
        return replace(self, probabilities=(), objects=())


def predict(net: nn.Module, validation: Validation) -> Predictions:
    """Probabilities of the held-out images, computed as `biounet predict` does."""
    began = validation.clock()
    probabilities = [predict_image(net, image, validation) for image in validation.images]
    return Predictions(probabilities, validation.clock() - began)


def predict_image(
    net: nn.Module, image: AnnotatedImage, validation: Validation, *, smoothing: int = 0
) -> Probabilities:
    """Probabilities (classes, *spatial) of one image, or the drawn image."""
    options: dict[str, Any] = {"device": validation.device, "precision": validation.precision}
    return predict_array(net, image.image, smoothing=smoothing, units=validation.units, **options)


def score(predictions: Predictions, validation: Validation) -> ValidationResult:
    """Scores of predicted images: ``score``, ``log_loss``, and Dice per class; of two classes also the ``threshold``.

    ``score`` is the mean Dice over the classes that occur, at the best threshold. Where objects are given it is the
    mean of that and of ``rand``, the F score of pairs of pixels in one object, since Dice hardly notices a gap of one
    pixel in a membrane. Where rules are given it is the mean of the Dice of the foreground and of ``ap``, see
    `biounet.segmentation.score_objects`, with the best thresholds of a few.
    Of drawn images it is the share of the variance of the truth that is explained, see
    `biounet.metrics.image_quality.image_scores`; errors are in units of the truth.
    Without held-out images, or where no pixel of them is labelled, ``score`` is 0 for every network, so that a run
    keeps its last network.
    """
    if not validation.images:
        return ValidationResult({"score": 0.0})
    began, tuning = validation.clock(), 0.0
    if validation.units is None:
        result, tuning = _score_labels(predictions.probabilities, validation)
    else:
        result = _score_drawn(predictions.probabilities, validation)
    seconds = predictions.seconds + validation.clock() - began
    finalising = _time_to_finalise(validation, predictions.seconds, seconds, tuning)
    return replace(result, seconds=seconds, finalising=finalising)


def _time_to_finalise(validation: Validation, predicting: float, whole: float, tuning: float) -> TimeToFinalise:
    """Time of the end of the run, from the seconds of prediction, of the whole validation, and of tuning the rules."""
    if not (validation.finalise and validation.has_labels) or validation.units is not None:
        return TimeToFinalise()
    pixels = max(1, sum(image.target.size for image in validation.images))
    predicted, tuned = (1 + validation.tuning_pixels / size for size in (pixels, min(pixels, validation.most_pixels)))
    return TimeToFinalise(
        needed=(1 + predicted) * whole,
        search=tuned * THOROUGH * tuning,
        statistics=predicting * validation.statistics_pixels / pixels,
    )


def _score_labels(probabilities: list[Probabilities], validation: Validation) -> tuple[ValidationResult, float]:
    """Scores of classes, and of objects where there are rules; and the seconds in which the rules were tuned."""
    result, seconds = score_classes(probabilities, validation), 0.0
    scores, confusion = dict(result.scores), result.confusion
    if validation.rules is not None:
        began = validation.clock()
        rules, precision = tune(probabilities, validation, validation.rules)
        seconds = validation.clock() - began
        both = (dice_of_foreground(confusion) + precision) / 2 if validation.has_labels else 0.0
        scores |= {"score": both, "ap": precision}
        result = segment_and_compare(result, validation, rules)
    scores |= {"log_loss": _log_loss(probabilities, validation)} | dice_per_class(confusion)
    return replace(result, scores=scores), seconds


def score_classes(probabilities: list[Probabilities], validation: Validation) -> ValidationResult:
    """Scores of the class of each pixel; of two classes, at the threshold where ``score`` is best.

    Of thresholds that are equally good, the one nearest to 1/2 is taken.
    """
    if len(probabilities[0]) > 2:
        return _score_at(None, probabilities, validation)
    thresholds = validation.thresholds[:: 1 if validation.objects is None else 2]  # objects are numbered at each
    tried = sorted(thresholds, key=lambda threshold: abs(threshold - 0.5))
    best = max(tried, key=lambda threshold: _score_at(threshold, probabilities, validation).scores["score"])
    result = _score_at(best, probabilities, validation)
    return replace(result, scores={**result.scores, "threshold": best})


def _score_at(threshold: float | None, probabilities: list[Probabilities], validation: Validation) -> ValidationResult:
    """Scores where pixels above a threshold are foreground; without a threshold, of the most probable class."""
    results = [
        given.argmax(0) if threshold is None else (given[1] > threshold).astype(np.int64) for given in probabilities
    ]
    counts = [
        confusion(target, result, classes=len(given))
        for target, result, given in zip(validation.targets, results, probabilities, strict=True)
    ]
    total, scores = np.sum(counts, axis=0), {"score": 0.0}
    if validation.has_labels:
        dice = float(np.nanmean(list(dice_per_class(total).values())))
        scores = {"score": dice}
        if validation.objects is not None:
            pairs = zip(validation.images, results, strict=True)
            errors = [
                adapted_rand(validation.objects(image), label_objects(result > 0)).value for image, result in pairs
            ]
            rand = 1 - float(np.mean(errors))
            scores = {"score": (dice + rand) / 2, "rand": rand}
    return ValidationResult(scores, probabilities, [dice_per_class(count) for count in counts], total)


def tune(
    probabilities: Iterable[Probabilities],
    validation: Validation,
    rules: ObjectRules,
    *,
    more: Iterable[Probabilities] | None = None,
    images: Sequence[AnnotatedImage] = (),
    deadline: float = math.inf,
) -> tuple[ObjectRules, float]:
    """Rules that make the best objects of the held-out images, and the average precision of these objects.

    Parameters
    ----------
    probabilities : (classes, *spatial) of each held-out image
    validation : Validation
    rules : ObjectRules
        Where the search begins. They come back where no object is annotated.
    more : probabilities of further images, and images : with their labels
        If given, the search is thorough, else quick: enough to compare networks.
    deadline : seconds of `time.monotonic`
        When a thorough search stops.
    """
    labels = [image.labels for image in chain(validation.images, images)]
    if not any((numbers > 0).any() for numbers in labels):
        return rules, 0.0
    pixels = validation.most_pixels + validation.tuning_pixels
    given = chain(probabilities, more or ())
    return tune_rules(given, labels, rules, quick=more is None, deadline=deadline, pixels=pixels)


def segment_and_compare(result: ValidationResult, validation: Validation, rules: ObjectRules) -> ValidationResult:
    """A result with the objects that rules make of its probabilities, compared with the annotated objects."""
    made = (segment_objects(given, rules) for given in result.probabilities)
    objects = [numbers.astype(np.min_scalar_type(numbers.max(initial=0))) for numbers in made]
    pairs = [(image.labels, numbers) for image, numbers in zip(validation.images, objects, strict=True)]
    per_image = [_count_objects(match_objects(*pair)) for pair in pairs]
    covered = [confusion(np.sign(truth), np.sign(numbers), classes=2) for truth, numbers in pairs]
    return replace(result, objects=objects, rules=rules, per_image=per_image, confusion=np.sum(covered, axis=0))


def _count_objects(matching: Matching) -> dict[str, float]:
    """Average precision of the objects of an image, and the numbers of objects that are found or wrong.

    >>> _count_objects(match_objects(np.array([1, 2]), np.array([3, 0])))
    {'ap': 0.5, 'objects': 2, 'found': 1, 'missed': 1, 'false': 0, 'merges': 0, 'splits': 0}
    """
    wrong = object_errors(matching)
    return {
        "ap": score_objects([matching], metric="ap"),
        "objects": len(matching.truth_pixels),
        "found": detection(matching).true_positives,
        "missed": wrong.missed,
        "false": wrong.false,
        "merges": wrong.merges,
        "splits": wrong.splits,
    }


def _score_drawn(drawn: list[Probabilities], validation: Validation) -> ValidationResult:
    """Scores of drawn images; ``score`` is ``r2``, or, of constant images, minus the mean squared error."""
    pairs = zip(validation.images, drawn, strict=True)
    counts = [image_errors(image.labels, given) for image, given in pairs]
    scores = image_scores(counts)
    best = -(scores["rmse"] ** 2) if math.isnan(scores["r2"]) else scores["r2"]
    named = {"score": best} | {name: scores[name] for name in ("mae", "psnr")}
    return ValidationResult(named, drawn, [image_scores([count]) for count in counts])


def _log_loss(probabilities: list[Probabilities], validation: Validation) -> float:
    """Mean negative log-likelihood per labelled pixel, in nats."""
    log_loss, pixels = 0.0, 0
    for target, given in zip(validation.targets, probabilities, strict=True):
        known = target >= 0
        of_truth = np.take_along_axis(given, np.maximum(target, 0)[None], axis=0)[0][known]
        log_loss -= float(np.log(np.maximum(of_truth, 1e-7)).sum())
        pixels += len(of_truth)
    return log_loss / max(pixels, 1)
