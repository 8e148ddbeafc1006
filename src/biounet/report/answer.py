"""The answer that a report begins with: how much was found, whether that is good enough, and what to do next."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from biounet.core.words import counted, percent

__all__ = ["FEW", "Answer", "Verdict", "answer_classes", "answer_images", "answer_objects", "range_of_share", "so_far"]


Verdict = Literal["good", "usable", "poor", "nothing", "unknown"]

GOOD, USABLE = 0.9, 0.7
"""Least F1 of objects at an IoU of 0.5, Dice of classes, or R² of images for these verdicts."""

MISCOUNT = 0.1
"""Largest relative error of a count for the verdict ``good``."""

FEW = 5
"""Fewer images than this are called few."""

NORMAL = 1.96
"""Standard errors on each side of a range that holds the true value in 95 of 100 cases."""

NOTHING = (
    "Look at the training images below: do the outlines lie on the cells?",
    "biounet check tells what is read from the labels, and how long training should take.",
    "Train longer, or label more images; a minute is rarely enough.",
)


@dataclass(frozen=True)
class Answer:
    """What a person wants to know first.

    Attributes
    ----------
    sentence : the result in numbers
    verdict : Verdict
    heading : the verdict in words
    advice : what to do, the most useful first
    doubt : how far the numbers can be trusted; empty where there is no doubt
    """

    sentence: str
    verdict: Verdict
    heading: str
    advice: Sequence[str] = ()
    doubt: str = ""

    @property
    def bad(self) -> bool:
        """Whether nothing was found."""
        return self.verdict == "nothing"


def answer_objects(per_image: Mapping[str, Mapping[str, float]], *, where: str = "never trained on") -> Answer:
    """The answer for numbered objects.

    Parameters
    ----------
    per_image : name of an image -> counts
        ``objects`` of the expert, ``predicted`` by the network, ``found`` (matched at an IoU of 0.5 or more),
        ``missed``, ``false``, ``merges`` and ``splits``.
    where : what the images are, behind "on 2 images"

    Examples
    --------
    >>> counts = {"objects": 54, "predicted": 45, "found": 43, "missed": 8, "false": 0, "merges": 2, "splits": 0}
    >>> answer = answer_objects({"a.tif": counts})
    >>> answer.sentence
    '43 of 54 objects found on 1 image never trained on; 8 missed, 0 false, 2 merged'
    >>> answer.heading
    'Usable after a look at the results'
    """
    total = {name: sum(int(row.get(name, 0)) for row in per_image.values()) for name in COUNTS}
    objects, predicted, found = total["objects"], total["predicted"], total["found"]
    parts = [f"{total['missed']:,} missed", f"{total['false']:,} false"]
    parts += [f"{total['merges']:,} merged"] if total["merges"] else []
    parts += [f"{total['splits']:,} split"] if total["splits"] else []
    images = f"on {counted(len(per_image), 'image')} {where}".rstrip()
    sentence = f"{found:,} of {counted(objects, 'object')} found {images}; {', '.join(parts)}"
    if not objects:
        said = f"The expert drew no object {images}; the network drew {predicted:,}"
        return Answer(said, "unknown", "Not known: no object is labelled here", ("Hold out images with objects.",))
    if not found:
        return Answer(sentence, "nothing", "Nothing found", _nothing_of(predicted))
    score = 2 * found / (objects + predicted)
    error = predicted / objects - 1
    verdict: Verdict = "poor" if score < USABLE else "good" if score >= GOOD and abs(error) <= MISCOUNT else "usable"
    doubt = _doubt(len(per_image), range_of_share(_column(per_image, "found"), _column(per_image, "objects")))
    return Answer(sentence, verdict, HEADINGS[verdict], _advice_on_objects(total, error, per_image, verdict), doubt)


def so_far(answer: Answer, *, rules: bool) -> Answer:
    """The answer of a run that goes on: no verdict yet, and no advice.

    Parameters
    ----------
    answer : Answer
    rules : whether rules of objects will be tuned at the end

    Examples
    --------
    >>> so_far(answer_images({"a.tif": {"r2": -1.0}}), rules=False).heading
    'So far, while the network is still learning'
    """
    heading = "So far, while the network is still learning"
    doubt = (
        "The end of the run searches longer for how objects are best separated, and may find a few more."
        if rules
        else ""
    )
    return replace(answer, verdict="unknown", heading=heading, advice=(), doubt=doubt)


COUNTS = ("objects", "predicted", "found", "missed", "false", "merges", "splits")

HEADINGS: Mapping[Verdict, str] = {
    "good": "Good enough for counting",
    "usable": "Usable after a look at the results",
    "poor": "Not good enough yet",
}


REASONS = MappingProxyType(
    {
        "missed": "Most mistakes are missed objects: label more images like {}, and train longer.",
        "false": "Most mistakes are false objects: label more images with what is taken for one, as in {}.",
        "merges": "Touching objects are merged: label more of these, each with its own number, as in {}.",
        "splits": "Objects are cut into pieces: label more large ones, as in {}.",
    }
)
"""Mistake -> what it asks for; the image with most of them is named, of several the worst."""


def _nothing_of(predicted: int) -> tuple[str, ...]:
    """Advice where no object was found."""
    drawn = f"The network drew {counted(predicted, 'object')}, none of which matches one of the expert."
    return (drawn, *NOTHING) if predicted else ("The network drew no object at all.", *NOTHING)


def _advice_on_objects(
    total: Mapping[str, int], error: float, per_image: Mapping[str, Mapping[str, float]], verdict: Verdict
) -> tuple[str, ...]:
    """What the counts of mistakes ask for, the most frequent mistake first."""
    count = f"Counts are {percent(abs(error))} too {'high' if error > 0 else 'low'}" if error else "Counts are right"
    said = [f"{count} in all: {total['predicted']:,} for {total['objects']:,}."]
    most = max(REASONS, key=lambda name: total[name])
    ranked = sorted(per_image, key=lambda name: _share_of(per_image[name]))
    if total[most] > 0.02 * total["objects"]:
        said.append(REASONS[most].format(max(ranked, key=lambda name: per_image[name].get(most, 0))))
    elif verdict != "good":
        said.append(f"Outlines differ from those of the expert: look at {ranked[0]}, and train longer.")
    return tuple(said)


def _share_of(counts: Mapping[str, float]) -> float:
    return counts["found"] / max(counts["objects"], 1) if counts["objects"] else math.inf


def _column(per_image: Mapping[str, Mapping[str, float]], name: str) -> NDArray[np.float64]:
    return np.array([row[name] for row in per_image.values()], float)


def range_of_share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> tuple[float, float]:
    """The range in which a share lies with a probability of 95 %, from counts of several images.

    Parameters
    ----------
    part, whole : one count per image

    Notes
    -----
    From `FEW` images on, images are drawn, not objects: the standard error of a ratio of sums. Of fewer images,
    Wilson's interval for objects, which takes them for independent, and so is too narrow where images differ.

    Examples
    --------
    >>> [round(float(end), 2) for end in range_of_share(np.array([43.0]), np.array([54.0]))]    # Wilson 1927
    [0.67, 0.88]
    """
    total, count = float(whole.sum()), len(whole)
    share = float(part.sum()) / total
    if count >= FEW:
        residual = part - share * whole
        error = math.sqrt(count / (count - 1) * float((residual**2).sum())) / total
        return max(0.0, share - NORMAL * error), min(1.0, share + NORMAL * error)
    squared = NORMAL**2 / total
    middle = (share + squared / 2) / (1 + squared)
    half = NORMAL / (1 + squared) * math.sqrt(share * (1 - share) / total + squared / total / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def _doubt(images: int, ends: tuple[float, float] | None = None) -> str:
    """A sentence about how far a result on so many images holds for others."""
    said = "" if ends is None else f"on others like these expect {percent(ends[0])} to {percent(ends[1])} found"
    if images < FEW:
        are = "1 image is" if images == 1 else f"{images} images are"
        more = f": {said}, or less where they differ" if said else ""
        return f"{are} few{more}. Hold out more for a firm number (--validation 0.3)."
    return f"{said[:1].upper()}{said[1:]} (95 % of cases)." if said else ""


def answer_classes(
    confusion: NDArray[np.int64],
    class_names: Sequence[str],
    images: int,
    *,
    where: str = "never trained on",
    worst: str = "",
) -> Answer:
    """The answer for classes.

    Parameters
    ----------
    confusion : (classes, classes), pixels of a true class (row) given a class (column)
    class_names : one per class, background first
    images : int
    where : what the images are, behind "on 2 images"
    worst : name of the image with the lowest score

    Examples
    --------
    >>> answer = answer_classes(np.array([[90, 0], [2, 8]]), ["background", "cell"], 2)
    >>> answer.sentence
    'Dice of cell 0.889 on 2 images never trained on; 98 % of all pixels have the right class'
    """
    where = f"on {counted(images, 'image')} {where}".rstrip()
    truth, given, right = confusion.sum(1), confusion.sum(0), np.diagonal(confusion)
    if not truth.sum():
        advice = "Label some pixels of the held-out images, or hold out others with --validation."
        return Answer(f"No pixel is labelled {where}", "unknown", "Not known: nothing to compare with", (advice,))
    there = [number for number in range(1, len(truth)) if truth[number]]
    if not there:
        return Answer(f"Nothing but {class_names[0]} is labelled {where}", "unknown", "Not known", ())
    dice = {number: 2 * right[number] / (truth[number] + given[number]) for number in there}
    listed = ", ".join(f"{class_names[number]} {dice[number]:.3f}" for number in there)
    sentence = f"Dice of {listed} {where}; {percent(right.sum() / truth.sum())} of all pixels have the right class"
    if not any(right[number] for number in there):
        return Answer(sentence, "nothing", "Nothing found", NOTHING)
    mean, weakest = float(np.mean(list(dice.values()))), min(dice, key=lambda number: dice[number])
    verdict: Verdict = "good" if mean >= GOOD else "usable" if mean >= USABLE else "poor"
    weak = f"{class_names[weakest]} is the weakest class: label more of it"
    advice = weak if len(there) > 1 else "Train longer, or label more images"
    said = [f"{advice}, such as {worst}." if worst else f"{advice}."] if dice[weakest] < GOOD else []
    said += [f"{class_names[number]} is never predicted." for number in there if not given[number]]
    heading = {"good": "Good: close to what the expert drew"}.get(verdict, HEADINGS[verdict])
    return Answer(sentence, verdict, heading, tuple(said), _doubt(images))


def answer_images(per_image: Mapping[str, Mapping[str, float]], *, where: str = "never trained on") -> Answer:
    """The answer for predicted images, from their ``r2``, the share of the variance of the target that is explained.

    Examples
    --------
    >>> answer_images({"a.tif": {"r2": 0.95}}).sentence
    '95 % of the variance of the target explained (R² 0.950) on 1 image never trained on'
    """
    where = f"on {counted(len(per_image), 'image')} {where}".rstrip()
    known = [row["r2"] for row in per_image.values() if math.isfinite(row.get("r2", math.nan))]
    if not known:
        return Answer(f"The targets are constant {where}", "unknown", "Not known: R² has no value here")
    mean = float(np.mean(known))
    sentence = f"{percent(max(0.0, mean))} of the variance of the target explained (R² {mean:.3f}) {where}"
    if mean <= 0:
        return Answer(sentence, "nothing", "Nothing learnt", NOTHING[1:])
    verdict: Verdict = "good" if mean >= GOOD else "usable" if mean >= USABLE else "poor"
    heading = {"good": "Good: close to the target"}.get(verdict, HEADINGS[verdict])
    noise = "Where the target itself is noisy, R² stays below 1 however good the network is."
    return Answer(sentence, verdict, heading, () if verdict == "good" else (noise,), _doubt(len(per_image)))
