"""How good a network is on images that it was not trained on."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
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
from biounet.inference.calibration import Calibration, apply_temperature, calibrate, move_threshold
from biounet.inference.overlap_tile import predict_array
from biounet.inference.smoothing import fit_smoothing, smooth_probabilities
from biounet.metrics import Matching, adapted_rand, detection, match_objects, object_errors
from biounet.metrics.image_quality import image_errors, image_scores
from biounet.metrics.overlap import confusion, dice_of_foreground, dice_per_class
from biounet.segmentation import score_objects, segment_objects, tune_rules

__all__ = ["Validation"]


THRESHOLDS = tuple(number / 20 for number in range(2, 19))
"""Probabilities of the foreground that are tried as threshold, where there are two classes."""

THOROUGH = 15
"""How many times as long as the quick choice of rules the thorough one takes."""

TUNED = 2**22
"""Pixels of held-out images that rules of objects are tuned on; of more, parts of them, spread evenly."""

FEWER = THRESHOLDS[::2]
"""The same where objects are numbered at each of them."""


@dataclass
class Validation:
    """Scores of a network on held-out images, predicted as `biounet predict` does.

    Parameters
    ----------
    items : images and labels that training never sees
    device, precision : as `biounet.models.device` chooses them
    objects : (item) -> numbered objects, or None
        Given where the parts of the foreground have to be told apart: then half of the score is for that.
    rules : ObjectRules or None
        Given where labels number objects: then half of the score is for those that the rules make.
    units : Normalization or None
        Given where images are to be drawn, how those are normalised.
    seen : images of the training, and seen_pixels : how many pixels those have
        On which rules are tuned at the end, too: a few held-out images alone mislead, and where the network has learnt
        these by heart all rules are alike to them.

    Attributes
    ----------
    probabilities : per item (classes, *spatial) float32, of the last validation; calibrated once settled; or drawn
    each : per item its Dice per class, or scores and counts of its objects, or scores of the drawn image, of the last
        validation
    confusion : (classes, classes) int64, pixels of a true class (row) given a class (column), of the last validation;
        where rules are given (2, 2), of background and of objects
    rules_in_use : ObjectRules or None, with which the objects of the last validation were made
    found : per item (*spatial) unsigned integers, its numbered objects; empty without rules
    seconds : what the last validation took
    """

    items: Sequence[AnnotatedImage]
    device: torch.device
    precision: torch.dtype
    objects: Callable[[AnnotatedImage], NDArray[Any]] | None = None
    rules: ObjectRules | None = None
    units: Normalization | None = None
    seen: Sequence[AnnotatedImage] = ()
    seen_pixels: int = 0
    probabilities: list[NDArray[np.float32]] = field(default_factory=list)
    each: list[dict[str, float]] = field(default_factory=list)
    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    rules_in_use: ObjectRules | None = None
    found: list[NDArray[Any]] = field(default_factory=list)
    seconds: float = 0.0
    _net: nn.Module | None = None
    _predicting_seconds: float = 0.0
    _tuning_seconds: float = 0.0

    @cached_property
    def has_labels(self) -> bool:
        """Whether the held-out images say which network is better: some pixel of them is known."""
        return any((item.target >= 0).any() for item in self.items)

    def finalising_seconds(self) -> tuple[float, float]:
        """How long one more validation and `finalise` take at least, and how much longer the search for rules takes.

        Both follow from what the last validation took.
        """
        predicted, tuned = (1 + self.seen_pixels / pixels for pixels in (self._pixels, min(self._pixels, TUNED)))
        return (1 + predicted) * self.seconds, tuned * THOROUGH * self._tuning_seconds

    def prediction_seconds(self, pixels: int) -> float:
        """How long a network takes to see so many pixels, from what the last validation took."""
        return self._predicting_seconds * pixels / self._pixels

    @property
    def _pixels(self) -> int:
        """Of the held-out images; 1 if there are none."""
        return max(1, sum(item.target.size for item in self.items))

    def __call__(self, net: nn.Module) -> dict[str, float]:
        """Return ``score``, ``log_loss``, and Dice per class; of two classes also the ``threshold`` that is best.

        The score is the mean Dice over the classes that occur. Where objects are given it is the mean of that and of
        ``rand``, the F score of pairs of pixels in one object: a gap of one pixel in a membrane is nothing to Dice.
        Where rules are given it is the mean of the Dice of all that is not background and of ``ap``, see
        `biounet.segmentation.score_objects`, with the best thresholds of a few.
        Of drawn images it is the share of the variance of the truth that is explained, see
        `biounet.metrics.image_quality.image_scores`, with the errors in units of the truth.
        Without held-out images, or where no pixel of them is known, every network is as good as the one before, so
        that the last is kept.
        """
        if not self.items:
            return {"score": 0.0}
        self._predict(net)
        return self._score()

    def rehearse(self, net: nn.Module) -> None:
        """Predict, and score as if the network had told the truth: as it learns, more objects are to be compared."""
        self._predict(net)
        if self.units is None:
            pairs = zip(self.items, self.probabilities, strict=True)
            self.probabilities = [_certain(item.target, len(given)) for item, given in pairs]
        self._net = None  # whose probabilities these are not
        self._score()

    def _score(self) -> dict[str, float]:
        """Scores of what was predicted."""
        began = time.monotonic()
        scores = self._of_images() if self.units is not None else self._of_classes()
        self.seconds = self._predicting_seconds + time.monotonic() - began
        return scores

    def _of_classes(self) -> dict[str, float]:
        """Scores of the classes of pixels, and of the objects that rules make of them."""
        scores = self._of_pixels()
        if self.rules is not None:
            tuning = time.monotonic()
            self.rules_in_use, precision = self._tuned(self.rules)
            self._tuning_seconds = time.monotonic() - tuning
            score = (dice_of_foreground(self.confusion) + precision) / 2 if self.has_labels else 0.0
            scores |= {"score": score, "ap": precision}
        scores |= {"log_loss": self._log_loss()} | dice_per_class(self.confusion)
        if self.rules_in_use is not None:
            self._make_objects(self.rules_in_use)
        return scores

    def _predict(self, net: nn.Module) -> None:
        """Predict the held-out images."""
        began = time.monotonic()
        self.probabilities = []  # which are as large as those to come
        self.probabilities = [self._predict_one(net, item) for item in self.items]
        self._net, self._predicting_seconds = net, time.monotonic() - began

    def _predict_one(self, net: nn.Module, item: AnnotatedImage, smoothing: int = 0) -> NDArray[np.float32]:
        options: dict[str, Any] = {"device": self.device, "precision": self.precision, "units": self.units}
        return predict_array(net, item.image, smoothing=smoothing, **options)

    def _of_pixels(self) -> dict[str, float]:
        """Scores of the classes of pixels."""
        return self._at(None) if len(self.probabilities[0]) > 2 else self._at_best_threshold()

    def _of_images(self) -> dict[str, float]:
        """Scores of drawn images; ``score`` is ``r2``, or, of constant images, minus the mean squared error."""
        pairs = zip(self.items, self.probabilities, strict=True)
        counts = [image_errors(item.labels, drawn) for item, drawn in pairs]
        self.each = [image_scores([count]) for count in counts]
        scores = image_scores(counts)
        score = -(scores["rmse"] ** 2) if math.isnan(scores["r2"]) else scores["r2"]
        return {"score": score} | {name: scores[name] for name in ("mae", "psnr")}

    def finalise(self, net: nn.Module, *, deadline: float = math.inf) -> tuple[Calibration, dict[str, Any]]:
        """Find all that follows from the held-out images once a network is trained.

        Parameters
        ----------
        net : Module
            Trained: if it was validated last, and is as it was then, it is not asked again.
        deadline : seconds of `time.monotonic`
            When rules should be tuned.

        Returns
        -------
        Calibration
        dict
            ``smoothing``, ``temperature``, and what belongs to probabilities smoothed and calibrated by these:
            ``threshold`` of two classes, and ``rules`` where labels number objects. From then on `probabilities` are
            smoothed and calibrated.
        """
        if net is not self._net:
            self._predict(net)
        self._net = None  # whose probabilities these are no longer
        targets = [item.target for item in self.items]
        smoothing = fit_smoothing(self.probabilities, targets)
        for index, given in enumerate(self.probabilities):  # one by one, for they are large
            self.probabilities[index] = smooth_probabilities(given, smoothing)
        scores = self._of_pixels()
        found = calibrate(self.probabilities, targets)
        for index, given in enumerate(self.probabilities):
            self.probabilities[index] = apply_temperature(given, found.temperature)
        learnt: dict[str, Any] = {"smoothing": smoothing, "temperature": found.temperature}
        if "threshold" in scores:
            learnt["threshold"] = move_threshold(scores["threshold"], found.temperature)
        if self.rules is not None:
            seen = list(self.seen)  # once, for memory may not hold what they are chosen from
            of_seen = (apply_temperature(self._predict_one(net, one, smoothing), found.temperature) for one in seen)
            learnt["rules"] = self.rules_in_use = self._tuned(self.rules, seen, of_seen, deadline)[0]
            self._make_objects(self.rules_in_use)
        return replace(found, smoothing=smoothing), learnt

    def _tuned(
        self,
        rules: ObjectRules,
        seen: Sequence[AnnotatedImage] = (),
        of_seen: Iterable[NDArray[np.float32]] | None = None,
        deadline: float = math.inf,
    ) -> tuple[ObjectRules, float]:
        """The rules that make the best objects, and how good these are: quickly, or with the images seen, too."""
        quick = of_seen is None
        labels = [item.labels for item in chain(self.items, seen)]
        if not any((numbers > 0).any() for numbers in labels):
            return rules, 0.0
        options: dict[str, Any] = {"quick": quick, "deadline": deadline, "pixels": TUNED + self.seen_pixels}
        return tune_rules(chain(self.probabilities, of_seen or ()), labels, rules, **options)

    def _make_objects(self, rules: ObjectRules) -> None:
        """Make the objects of the held-out images, in as few bytes as hold their numbers, and compare them."""
        objects = (segment_objects(given, rules) for given in self.probabilities)
        self.found = [numbers.astype(np.min_scalar_type(numbers.max(initial=0))) for numbers in objects]
        pairs = [(item.labels, numbers) for item, numbers in zip(self.items, self.found, strict=True)]
        self.each = [score_each(match_objects(*pair)) for pair in pairs]
        covered = (confusion(np.sign(truth), np.sign(numbers), classes=2) for truth, numbers in pairs)
        self.confusion = np.sum(list(covered), axis=0)

    def _at_best_threshold(self) -> dict[str, float]:
        """Scores at the threshold where they are best; of equals, the one nearest to 1/2."""
        tried = sorted(THRESHOLDS if self.objects is None else FEWER, key=lambda threshold: abs(threshold - 0.5))
        best = max(tried, key=lambda threshold: self._at(threshold)["score"])
        return self._at(best) | {"threshold": best}

    def _at(self, threshold: float | None) -> dict[str, float]:
        """Scores where a pixel is foreground above a threshold; without, of the most probable class."""
        results = [
            given.argmax(0) if threshold is None else (given[1] > threshold).astype(np.int64)
            for given in self.probabilities
        ]
        counts = [
            confusion(item.target, result, classes=len(given))
            for item, result, given in zip(self.items, results, self.probabilities, strict=True)
        ]
        self.each = [dice_per_class(count) for count in counts]
        self.confusion = np.sum(counts, axis=0)
        if not self.has_labels:
            return {"score": 0.0}
        dice = float(np.nanmean(list(dice_per_class(self.confusion).values())))
        if self.objects is None:
            return {"score": dice}
        pairs = zip(self.items, results, strict=True)
        errors = [adapted_rand(self.objects(item), label_objects(result > 0)).value for item, result in pairs]
        rand = 1 - float(np.mean(errors))
        return {"score": (dice + rand) / 2, "rand": rand}

    def _log_loss(self) -> float:
        """Mean surprise per known pixel, in nats."""
        log_loss, pixels = 0.0, 0
        for item, given in zip(self.items, self.probabilities, strict=True):
            known = item.target >= 0
            of_truth = np.take_along_axis(given, np.maximum(item.target, 0)[None], axis=0)[0][known]
            log_loss -= float(np.log(np.maximum(of_truth, 1e-7)).sum())
            pixels += len(of_truth)
        return log_loss / max(pixels, 1)


def score_each(matching: Matching) -> dict[str, float]:
    """Average precision of the objects of an image, and how many were found, and what is wrong with others.

    >>> score_each(match_objects(np.array([1, 2]), np.array([3, 0])))
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


def _certain(target: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Probabilities (classes, *spatial) of a network that is sure of the truth; what nobody knows is background."""
    given: NDArray[np.float32] = np.zeros((classes, *target.shape), np.float32)
    np.put_along_axis(given, np.maximum(target, 0)[None], 1.0, axis=0)
    return given
