"""Search of the thresholds and sizes that give the best objects of validation images."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import product
from math import inf
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from biounet.config.object_rules import ObjectRules
from biounet.core.errors import ConfigError, DatasetError, ShapeError
from biounet.core.labels import check_labels
from biounet.data.subset import spread_crops
from biounet.metrics import IOU_THRESHOLDS, Detection, Matching, detection
from biounet.metrics.cell_tracking import reference_jaccards
from biounet.segmentation.large_seeds import largest_seed
from biounet.segmentation.tuning_part import Part

__all__ = ["SCORES", "Score", "score_objects", "tune_rules"]


Score = Literal["seg", "ap"]

COARSE = (0.5, 0.35, 0.65, 0.2, 0.8)
"""Thresholds that are tried; the first of equals wins, so the middle comes first."""

FOREGROUNDS, SEEDS = (0.5, 0.35, 0.65, 0.8, 0.9, 0.95), (0.35, 0.65, 0.8)
"""Thresholds that a quick search tries."""

HIGH = (0.5, 0.6, 0.7, 0.8)
SECOND = (0.2, 0.3, 0.4)
LOW = (0.4, 0.5, 0.6)
PEAKS = (0.0, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9)
FINE = 0.05
SPECKS = {"least_seed": 0.03, "least_pixels": 0.1}  # of the median size of objects
SHARES_OF_SIZE = {"least_seed": (0.0, 0.01, 0.03, 0.1), "least_pixels": (0.0, 0.1, 0.2, 0.3, 0.5)}
"""Least sizes that are tried, as shares of the median size of annotated objects."""

NOISE = 0.5
"""Standard errors over images by which rules must be better than those before."""

THREADS = 4
"""Threads, each with an image of its own; numba and cc3d run without the lock of Python."""

LARGE = 8
"""Least side of the parts of large images, in median diameters of objects."""


def tune_rules(
    probabilities: Iterable[NDArray[Any]],
    labels: Sequence[NDArray[Any]],
    rules: ObjectRules,
    *,
    metric: Score = "ap",
    quick: bool = False,
    deadline: float = inf,
    pixels: float = inf,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[ObjectRules, float]:
    """Rules whose objects score best on validation images, and their score.

    Parameters
    ----------
    probabilities : (classes, *spatial) each
        Of images that the network was not trained on, if there are enough of them. They take five bytes per
        pixel for any number of classes, so the images may come one by one.
    labels : (*spatial) integers each
        Their objects; 0 is background, negative is IGNORE, which is not scored.
    rules : ObjectRules
        The target, where the search begins, and `grow` and `largest_hole`, which are not tuned.
    metric : "seg" or "ap"
        See `score_objects`.
    quick : bool
        Try no more than eleven candidates: enough to compare two networks, and to see how many objects one finds.
    deadline : seconds of `time.monotonic`
        From then on no more than the candidates of `quick`, and the largest seed, are tried.
    pixels : float
        Most pixels to make objects on. Of larger images parts are used, see `biounet.data.subset.spread_crops`.
    progress : (share) -> None
        Takes the share of the search that is done.

    Returns
    -------
    ObjectRules
        Best in `foreground`, `seed`, `second_seed`, `least_seed`, `least_pixels` and `peak`, found one after the
        other: on a coarse grid of both thresholds, on a fine one around the best, on one of both levels of seeds,
        then sizes, then peaks. Values that make no difference, or one that may be chance, stay as they were.
        At last `largest_seed`, by the sizes of the seeds of single objects.
        The same input gives the same rules.
    float
        Their score, in [0, 1].

    Raises
    ------
    DatasetError
        If there are no images, or no objects in them.
    LabelError, ShapeError, ConfigError
        If labels are not integers, do not fit, or the metric is unknown.

    Examples
    --------
    >>> interior = np.array([[0.0, 0.4, 0.9, 0.6, 0.9, 0.0]])
    >>> tuned, score = tune_rules([np.stack([1 - interior, interior])], [np.array([[0, 1, 1, 1, 2, 0]])], ObjectRules())
    >>> tuned.foreground, tuned.seed, score
    (0.35, 0.65, 1.0)
    """
    _check(labels, metric)
    median = _median_size(labels)
    crops = spread_crops(labels, pixels=pixels, side=LARGE * median ** (1 / labels[0].ndim))
    parts = []
    for number, (one, truth) in enumerate(zip(probabilities, labels, strict=True)):
        _check_shapes(one, truth)
        parts += [Part.of(crop, one, truth, rules) for crop in crops if crop.image == number]

    @cache  # the steps of the search meet again where they began
    def score(candidate: ObjectRules) -> tuple[float, NDArray[np.float64]]:
        with ThreadPoolExecutor(THREADS) as pool:
            matchings = list(pool.map(partial(Part.match, rules=candidate), parts))
        annotated = (matching for matching in matchings if len(matching.truth_pixels))
        return score_objects(matchings, metric=metric), np.array([SCORES[metric]([one]) for one in annotated])

    # Specks, which any threshold leaves, would hide what seeds of a height, or of two levels, are good for.
    begin = {name: max(getattr(rules, name), round(share * median)) for name, share in SPECKS.items()}
    best = rules.model_copy(update=begin)
    best_score, of_images = score(best)
    sizes = _sizes(median, "least_seed"), _sizes(median, "least_pixels")
    first = (_flat, _components, _seeds)
    later = (_coarse, _fine, _fine, _second, *sizes, _peaks, _second, _fine)
    steps = first if quick else (*first, *later)
    for number, candidates in enumerate(steps):
        progress(number / len(steps))
        for candidate in candidates(best):
            if candidates not in first and time.monotonic() > deadline:
                break
            found, each = score(candidate)
            if found - best_score > NOISE * _standard_error(each - of_images):
                best, best_score, of_images = candidate, found, each
    for candidate in () if quick else _largest(best, parts):
        found, each = score(candidate)
        if best_score - found <= NOISE * _standard_error(each - of_images):
            best, best_score = candidate, found
    return best, best_score


def score_objects(matchings: Sequence[Matching], *, metric: Score) -> float:
    """Score of the objects of several images together.

    Parameters
    ----------
    matchings : from `biounet.metrics.match_objects`, one per image
    metric
        ``seg``: mean of the Jaccard index of all annotated objects (Cell Tracking Challenge). ``ap``: TP / (TP + FP +
        FN), the mean over the IoU 0.5, 0.55, ... 0.9; half of it counted over the objects of all images, half the
        mean over images. By the former alone one kind of image may drop the objects of another, by the latter an
        image full of mistakes is one like any other.

    Examples
    --------
    >>> from biounet.metrics import match_objects
    >>> score_objects([match_objects(np.array([1, 1, 1, 2]), np.array([1, 1, 0, 2]))], metric="seg")      # 2/3, 1
    0.8333333333333333
    """
    return SCORES[metric](matchings)


def _mean_jaccard(matchings: Sequence[Matching]) -> float:
    return float(np.concatenate([reference_jaccards(matching) for matching in matchings]).mean())


def _mean_average_precision(matchings: Sequence[Matching]) -> float:
    scores: list[float] = []
    for least in IOU_THRESHOLDS[:-1]:
        found = [detection(matching, threshold=least) for matching in matchings]
        together = sum(found, start=Detection(0, 0, 0))
        scores += [together.average_precision, float(np.mean([one.average_precision for one in found]))]
    return float(np.mean(scores))


SCORES: Mapping[str, Callable[[Sequence[Matching]], float]] = MappingProxyType(
    {"ap": _mean_average_precision, "seg": _mean_jaccard}
)
"""Name of a metric -> function of the matchings of all images."""


def _standard_error(differences: NDArray[np.float64]) -> float:
    """Standard error of the mean of some differences; 0 for a single one."""
    return float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else 0.0


def _coarse(rules: ObjectRules) -> Iterator[ObjectRules]:
    """Rules with both thresholds on a coarse grid; with two classes the threshold of seeds is no lower."""
    for foreground, seed in sorted(product(COARSE, COARSE), key=lambda pair: sum(map(COARSE.index, pair))):
        if rules.target != "foreground" or seed >= foreground:
            yield rules.model_copy(update={"foreground": foreground, "seed": seed})


def _flat(rules: ObjectRules) -> Iterator[ObjectRules]:
    """Rules without a peak, which a network that has just begun to learn does not reach."""
    if rules.peak > 0:
        yield rules.model_copy(update={"peak": 0.0})


def _components(rules: ObjectRules) -> Iterator[ObjectRules]:
    """Rules with a few thresholds of the foreground; components of it without a seed are objects, too.

    A network that has just begun to learn is sure neither of seeds nor of the background.
    """
    for foreground in FOREGROUNDS:
        seed = max(rules.seed, foreground) if rules.target == "foreground" else rules.seed
        yield rules.model_copy(update={"foreground": foreground, "seed": seed, "second_seed": 0.0})


def _seeds(rules: ObjectRules) -> Iterator[ObjectRules]:
    """Rules with a few other thresholds of seeds; with two classes no lower than that of the foreground."""
    for seed in SEEDS:
        if rules.target != "foreground" or seed >= rules.foreground:
            yield rules.model_copy(update={"seed": seed})


def _fine(rules: ObjectRules) -> Iterator[ObjectRules]:
    """Rules with one threshold a little lower or higher."""
    for name in ("foreground", "seed"):
        for shift in (-FINE, FINE):
            value = round(getattr(rules, name) + shift, 3)
            if 0 < value < 1:
                yield rules.model_copy(update={name: value})


def _second(rules: ObjectRules) -> Iterator[ObjectRules]:
    """Rules with higher seeds, and with lower ones for objects without a high one."""
    lower = (None, 0.0) if rules.target == "foreground" else (None, 0.0, *SECOND)
    for seed, second in product((rules.seed, *HIGH), lower):
        yield rules.model_copy(update={"seed": seed, "second_seed": second})


def _peaks(rules: ObjectRules) -> Iterator[ObjectRules]:
    """Rules with lower seeds that must reach a peak."""
    for seed, peak in product((rules.seed, *LOW), PEAKS):
        if peak == 0 or peak > seed:
            yield rules.model_copy(update={"seed": seed, "peak": peak})


def _largest(rules: ObjectRules, parts: Sequence[Part]) -> Iterator[ObjectRules]:
    """Rules with the largest seed of one object, if enough are known.

    They are kept unless they are worse than chance: images that a network knows by heart have no objects that are
    joined, and do not show what this is good for.
    """
    largest = largest_seed(np.concatenate([part.single_seeds(rules) for part in parts]))
    if largest is not None:
        yield rules.model_copy(update={"largest_seed": largest})


def _sizes(median: float, name: str) -> Callable[[ObjectRules], Iterator[ObjectRules]]:
    """Rules with least sizes in shares of the median size of annotated objects."""

    def candidates(rules: ObjectRules) -> Iterator[ObjectRules]:
        for share in SHARES_OF_SIZE[name]:
            yield rules.model_copy(update={name: round(share * median)})

    return candidates


def _median_size(labels: Sequence[NDArray[Any]]) -> float:
    """Median size of annotated objects, in pixels."""
    return float(np.median(np.concatenate([np.unique(truth[truth > 0], return_counts=True)[1] for truth in labels])))


def _check(labels: Sequence[NDArray[Any]], metric: str) -> None:
    """Refuse labels without objects, and unknown metrics."""
    if metric not in get_args(Score):
        raise ConfigError(f"the metric must be one of {', '.join(get_args(Score))}, got {metric!r}")
    for truth in labels:
        check_labels(truth)
    if not any((truth > 0).any() for truth in labels):
        raise DatasetError("rules are tuned on annotated objects, and there are none; hold out images with objects")


def _check_shapes(probabilities: NDArray[Any], truth: NDArray[Any]) -> None:
    """Refuse labels of another image."""
    if probabilities.shape[1:] != truth.shape:
        raise ShapeError(
            f"probabilities of {probabilities.shape[1:]} pixels came with labels of {truth.shape}; pair them anew"
        )
