"""Validation: a network is scored on held-out images, with the threshold and the object rules that suit it best."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from biounet.inference.overlap_tile import TileNet, run_image
from biounet.metrics import adapted_rand
from biounet.metrics.image_quality import image_errors, image_scores
from biounet.metrics.overlap import confusion, dice_of_foreground, dice_per_class
from biounet.segmentation import tune_rules
from biounet.training.object_scores import compare_objects
from biounet.training.time_budget import TimeToFinalise

__all__ = [
    "THOROUGH_SEARCH",
    "THRESHOLDS",
    "TUNING_PIXELS",
    "Predictions",
    "Validation",
    "ValidationResult",
    "log_loss",
    "predict",
    "predict_images",
    "score",
    "score_classes",
    "segment_and_compare",
    "tune",
]


THRESHOLDS = tuple(number / 20 for number in range(2, 19))
"""Thresholds that are tried on the probability of the foreground, where there are two classes."""

TUNING_PIXELS = 2**22
"""Largest number of held-out pixels that object rules are tuned on; larger sets give evenly spread parts."""

THOROUGH_SEARCH = 8
"""Duration of the search for rules at the end of a run, in durations of the quick search during a validation."""

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Validation:
    """Held-out images, and how networks are scored on them.

    Parameters
    ----------
    images : annotated images that the network is not trained on
    device, precision : as `biounet.models.device` chooses them
    objects : (image) -> numbered objects, or None
        Given where two classes shall also separate objects, such as cells between membranes. See `score`.
    rules : ObjectRules or None
        Given where objects are numbered: rules that the search for better rules starts from.
    target_normalization : Normalization or None
        Given where the target is an image: how target images were normalised for training.
    tuning_images : training images on which the rules are tuned, besides the held-out images, at the end of a run
        A few held-out images alone would be overfitted. Training images alone would not tell rules apart, where the
        network predicts them so well that all rules give the same objects.
    tuning_pixels : pixels of `tuning_images`
    thresholds : tried on the probability of the foreground, if there are two classes
    most_pixels : largest number of held-out pixels that rules are tuned on
    statistics_pixels : pixels on which the statistics of batch normalisation are measured at the end, if any
    finalise : whether smoothing, temperature, threshold and rules are fitted to the held-out images at the end
    compared : networks that are scored before that, to choose one of them
    clock : () -> seconds, which measures the durations in a result
    """

    images: Sequence[AnnotatedImage]
    device: torch.device
    precision: torch.dtype
    objects: Callable[[AnnotatedImage], NDArray[Any]] | None = None
    rules: ObjectRules | None = None
    target_normalization: Normalization | None = None
    tuning_images: Sequence[AnnotatedImage] = ()
    tuning_pixels: int = 0
    thresholds: Sequence[float] = THRESHOLDS
    most_pixels: int = TUNING_PIXELS
    statistics_pixels: int = 0
    finalise: bool = True
    compared: int = 0
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
    """Per image (classes, *spatial); or (channels, *spatial), where the target is an image."""
    seconds: float


@dataclass(frozen=True)
class ValidationResult:
    """Scores of one network on the held-out images, with the predictions and objects that were scored."""

    scores: Mapping[str, float]
    """``score``, by which the best network of a run is chosen, and others; see the function `score`."""
    probabilities: Sequence[Probabilities] = ()
    """As in `Predictions`; at the end of a run they are calibrated."""
    per_image: Sequence[Mapping[str, float]] = ()
    """Per image: Dice of each class; or scores and counts of its objects; or scores of the predicted image."""
    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """Pixels by true class (row) and predicted class (column); where objects are numbered, all of them are class 1."""
    objects: Sequence[NDArray[Any]] = ()
    """Per image (*spatial) unsigned integers, 0 is background; empty where objects are not numbered."""
    rules: ObjectRules | None = None
    """Rules that gave the objects."""
    outline_error: float = math.nan
    """Mean distance in pixels between outlines of objects that are found and those of the expert."""
    seconds: float = 0.0
    """Duration of prediction and scoring."""
    finalising: TimeToFinalise = field(default_factory=TimeToFinalise)
    """Time that the end of the run will take, estimated from the duration of this validation."""

    def without_arrays(self) -> "ValidationResult":
        """The result without probabilities and objects of each image, which may be large."""
        return replace(self, probabilities=(), objects=())


def predict(
    net: nn.Module, validation: Validation, *, progress: Callable[[float], None] = lambda share: None
) -> Predictions:
    """Predictions of the held-out images, computed as `biounet predict` does."""
    began = validation.clock()
    probabilities = list(predict_images(net, validation.images, validation, progress=progress))
    return Predictions(probabilities, validation.clock() - began)


def predict_images(
    net: nn.Module,
    images: Sequence[AnnotatedImage],
    validation: Validation,
    *,
    smoothing: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[Probabilities]:
    """Predictions of annotated images, one by one, as in `Predictions`; the network is made ready once."""
    options: dict[str, Any] = {"device": validation.device, "precision": validation.precision}
    ready = TileNet(net, smoothing=smoothing, units=validation.target_normalization, **options)
    for number, image in enumerate(images):
        progress(number / len(images))
        yield run_image(ready, image.image)


def score(predictions: Predictions, validation: Validation) -> ValidationResult:
    """Scores of a network from its predictions; ``score`` is the one by which networks are compared.

    * Classes: ``score`` is the mean Dice of the classes that occur. Of two classes, ``threshold`` is the best one.
    * Two classes that separate objects (`Validation.objects`): ``score`` is the mean of that Dice and of ``rand``, the
      Rand F score, since Dice hardly notices a gap of one pixel in a membrane.
    * Numbered objects (`Validation.rules`): objects are made by the best rules that a quick search finds; ``score`` is
      the mean of their ``ap``, see `biounet.segmentation.score_objects`, and of the Dice of the foreground: of the
      classes, or of the pixels that objects cover, whichever is higher, since either may suit a young network badly.
    * Target images: ``score`` is R^2, see `biounet.metrics.image_quality.image_scores`; errors have the target's units.

    All but the last also have ``log_loss`` and the Dice of each class. Without labelled held-out pixels, ``score`` is 0
    for every network, so that a run keeps its last network.
    """
    if not validation.images:
        return ValidationResult({"score": 0.0})
    began, tuning = validation.clock(), 0.0
    if validation.target_normalization is None:
        result, tuning = _score_labels(predictions.probabilities, validation)
    else:
        result = _score_images(predictions.probabilities, validation)
    seconds = predictions.seconds + validation.clock() - began
    finalising = _time_to_finalise(validation, predicting=predictions.seconds, validating=seconds, tuning=tuning)
    return replace(result, seconds=seconds, finalising=finalising)


def _time_to_finalise(validation: Validation, *, predicting: float, validating: float, tuning: float) -> TimeToFinalise:
    """Time of the end of a run, from the seconds of a validation: of prediction, of all of it, of tuning the rules."""
    compare = validation.compared * predicting + validating if validation.compared else 0.0
    if not (validation.finalise and validation.has_labels) or validation.target_normalization is not None:
        return TimeToFinalise(compare)
    pixels = max(1, sum(image.target.size for image in validation.images))
    sizes = (pixels, min(pixels, validation.most_pixels))
    to_predict, to_tune = (1 + validation.tuning_pixels / size for size in sizes)
    return TimeToFinalise(
        # Held-out images twice, since batch normalisation may get new statistics.
        needed=compare + (1 + to_predict) * validating,
        search=to_tune * THOROUGH_SEARCH * tuning,
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
        result = segment_and_compare(result, validation, rules)
        dice = max(map(dice_of_foreground, (confusion, result.confusion)))
        scores |= {"score": (dice + precision) / 2 if validation.has_labels else 0.0, "ap": precision}
    scores |= {"log_loss": log_loss(probabilities, validation)} | dice_per_class(confusion)
    return replace(result, scores=scores), seconds


def score_classes(probabilities: list[Probabilities], validation: Validation) -> ValidationResult:
    """Scores of the class of each pixel; of two classes, at the best threshold, of several the one nearest to 1/2."""
    if len(probabilities[0]) > 2:
        return _score_at(None, probabilities, validation)
    thresholds = validation.thresholds[:: 1 if validation.objects is None else 2]  # to number objects takes time
    tried = sorted(thresholds, key=lambda threshold: abs(threshold - 0.5))
    best = max(tried, key=lambda threshold: _score_at(threshold, probabilities, validation).scores["score"])
    result = _score_at(best, probabilities, validation)
    return replace(result, scores={**result.scores, "threshold": best})


def _score_at(threshold: float | None, probabilities: list[Probabilities], validation: Validation) -> ValidationResult:
    """Scores of the foreground above a threshold; without a threshold, of the most probable class."""
    results = [
        image.argmax(0) if threshold is None else (image[1] > threshold).astype(np.int64) for image in probabilities
    ]
    counts = [
        confusion(target, result, classes=len(image))
        for target, result, image in zip(validation.targets, results, probabilities, strict=True)
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
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[ObjectRules, float]:
    """Rules with which the held-out images give the best objects, and the average precision of these objects.

    Parameters
    ----------
    probabilities : (classes, *spatial) of each held-out image
    validation : Validation
    rules : ObjectRules
        Start of the search; returned where no object is annotated.
    more : probabilities of further images
        If given, the search is thorough. Otherwise it is quick, which is enough to compare networks.
    images : the further images, with their labels
    deadline : seconds of `time.monotonic` at which a thorough search stops
    progress : (share) -> None
    """
    labels = [image.labels for image in chain(validation.images, images)]
    if not any((objects > 0).any() for objects in labels):
        return rules, 0.0
    pixels = validation.most_pixels + validation.tuning_pixels
    given = chain(probabilities, more or ())
    options: dict[str, Any] = {"deadline": deadline, "pixels": pixels, "progress": progress}
    return tune_rules(given, labels, rules, quick=more is None, **options)


def segment_and_compare(result: ValidationResult, validation: Validation, rules: ObjectRules) -> ValidationResult:
    """The result with the objects that some rules find in its probabilities, and their comparison with the truth."""
    labels, spacing = [image.labels for image in validation.images], validation.images[0].anisotropy
    found = compare_objects(result.probabilities, labels, rules, spacing=spacing)
    compared = {name: getattr(found, name) for name in ("objects", "per_image", "confusion", "outline_error")}
    return replace(result, rules=rules, **compared)


def _score_images(predicted: list[Probabilities], validation: Validation) -> ValidationResult:
    """Scores of predicted images; ``score`` is ``r2`` or, if the targets are constant, minus the mean squared error."""
    errors = [image_errors(image.labels, got) for image, got in zip(validation.images, predicted, strict=True)]
    means = image_scores(errors)
    score = -(means["rmse"] ** 2) if math.isnan(means["r2"]) else means["r2"]
    scores = {"score": score} | {name: means[name] for name in ("mae", "psnr")}
    return ValidationResult(scores, predicted, [image_scores([error]) for error in errors])


def log_loss(probabilities: list[Probabilities], validation: Validation) -> float:
    """Mean negative log-likelihood per labelled pixel, in nats."""
    total, pixels = 0.0, 0
    for target, image in zip(validation.targets, probabilities, strict=True):
        known = target >= 0
        of_true_class = np.take_along_axis(image, np.maximum(target, 0)[None], axis=0)[0][known]
        total -= float(np.log(np.maximum(of_true_class, 1e-7)).sum())
        pixels += len(of_true_class)
    return total / max(pixels, 1)
