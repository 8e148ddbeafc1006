"""What is said of a run in words: the images that it learns from, the settings that were chosen, how it stands.

Details go to the logger ``biounet``, which ``-v`` shows.
"""

import logging
import math
from collections.abc import Callable, Sequence

import numpy as np

from biounet.config import RunConfig
from biounet.config.tasks import Task, name_classes
from biounet.core.words import counted, percent
from biounet.data.annotated_image import AnnotatedSource
from biounet.data.hashes import shared_images
from biounet.data.training_set import TrainingSet
from biounet.metrics.overlap import dice_per_class
from biounet.training.loop import Report
from biounet.training.validation import ValidationResult

__all__ = [
    "LOG",
    "Loud",
    "announce",
    "chosen",
    "class_names",
    "coverage",
    "how_good",
    "in_short",
    "report_line",
    "tell_share",
    "tell_unlabelled",
]


LOG = logging.getLogger("biounet")

LISTED = 6
"""Number of classes whose shares are listed one by one."""

COUNTED = 200
"""Images whose objects are counted at most, since a person waits for it."""


class Loud(str):
    """A line that a person must not miss: a terminal prints it in red."""


def announce(data: TrainingSet, say: Callable[[str], None]) -> None:
    """Say what is learnt from how many images and objects, and what is remarkable about them."""
    for note in (*data.notes, *shared_images(data)):
        say(f"note: {note}")
    images, held_out = counted(len(data.train), "image"), counted(len(data.validation), "image")
    if data.task.numbered:
        images, held_out = images + _with_objects(data.train), held_out + _with_objects(data.validation)
        LOG.info("learnt of the objects: %s, with %s", data.target, coverage(data))  # classes are levels of distance
    else:
        LOG.info("%s", coverage(data))
    what = {"objects": "to find objects", "images": "to draw images"}.get(data.task.name, f"{data.classes} classes")
    apart = f"{held_out} kept apart to see how good it gets" if data.validation else "no image kept apart"
    say(f"learning {what} from {images}; {apart}")


def tell_unlabelled(config: RunConfig, images: Sequence[AnnotatedSource]) -> str:
    """How many images without labels are learnt from as well, and from when on."""
    after = percent(config.train.unlabelled_after)
    what = f"{counted(len(images), 'image')} without labels ({config.train.unlabelled})"
    return f"{what} learnt from as well: after {after} of the run labels are guessed where the network is sure"


def _with_objects(images: Sequence[AnnotatedSource]) -> str:
    """Number of objects of images in memory, in words; empty where they are not in memory, or many."""
    if len(images) > COUNTED or not all(image.in_memory for image in images):
        return ""
    numbers = sum(int(np.count_nonzero(np.unique(image.read().labels) > 0)) for image in images)
    return f" with {counted(numbers, 'object')}"


def chosen(config: RunConfig, name: str, reason: str) -> str:
    """A setting that was left open, its value, and why it was chosen.

    >>> chosen(RunConfig(), "train.batch", "the images are small")
    'train.batch = 1: the images are small'
    """
    group, _, field = name.partition(".")
    return f"{name} = {getattr(getattr(config, group), field)}: {reason}"


def coverage(data: TrainingSet, *, class_names: Sequence[str] = ()) -> str:
    """Shares of the training pixels that each class holds, in words; or the number of channels of target images."""
    if not data.task.has_labels:
        return f"targets: images of {data.classes} channel{'s' * (data.classes > 1)}"
    unknown, *shares = data.coverage
    names = class_names or [f"class {number}" for number in range(len(shares))]
    parts = [f"{name} {share:.1%}" for name, share in zip(names, shares[:LISTED], strict=False)]
    parts += [f"{len(shares) - LISTED} more classes {sum(shares[LISTED:]):.1%}"] if len(shares) > LISTED else []
    parts += [f"unknown {unknown:.1%}"] if unknown else []
    return ", ".join(parts)


def class_names(config: RunConfig, task: Task) -> list[str]:
    """Names of the classes that messages and reports speak of: those given, or plain ones; of objects, two."""
    if task.numbered:
        return ["background", "objects"]
    return list(name_classes(config.train.class_names, config.model.classes))


def report_line(report: Report, result: ValidationResult | None, names: Sequence[str]) -> str:
    """A line about a validation: time, how good the network is, and whether it is the best so far; the rest is logged.

    Parameters
    ----------
    report : Report
    result : of the validation
    names : of the classes
    """
    named = {name: value for name, value in report.scores.items() if not name.startswith("dice_")}
    scores = "".join(f"{name} {value:.4f} " for name, value in named.items())
    waiting = f"waited for patches {report.waiting:.0%}"
    LOG.info("step %d: loss %.4f %s%s", report.step, report.loss, scores, waiting)
    good = how_good(result, names)
    best = "; the best so far" if report.best and good else ""
    return f"after {report.seconds / 60:.1f} min, step {report.step}: {good or f'loss {report.loss:.4f}'}{best}"


def how_good(result: ValidationResult | None, names: Sequence[str]) -> str:
    """How good a network is on the held-out images, in words; empty where nothing is held out, or nothing labelled.

    Parameters
    ----------
    result : of a validation
    names : of the classes

    Examples
    --------
    >>> counts = {"found": 43, "objects": 54, "false": 1, "merges": 2, "splits": 0}
    >>> how_good(ValidationResult({}, per_image=[counts], outline_error=1.23), ["background", "objects"])
    'finds 43 of 54 objects on 1 held-out image, 1 false, 2 merged; outlines within 1.2 px on average'
    >>> how_good(ValidationResult({}, per_image=[{}], confusion=np.array([[90, 0], [2, 8]])), ["background", "cell"])
    'is right about 98 % of the pixels of 1 held-out image (Dice: cell 0.89)'
    """
    if result is None or not result.per_image:
        return ""
    images = counted(len(result.per_image), "held-out image")
    if "found" in result.per_image[0]:
        return _objects_found(result, images)
    if "r2" in result.per_image[0]:
        share = result.scores["score"]
        return f"explains {percent(max(0.0, share))} of what differs between pixels of {images} (R² {share:.3f})"
    return _classes_right(result, images, names)


def _objects_found(result: ValidationResult, images: str) -> str:
    """How many objects are found, and the mistakes."""
    found, objects, false, merged, split = (
        sum(int(row[name]) for row in result.per_image) for name in ("found", "objects", "false", "merges", "splits")
    )
    mistakes = {"false": false, "merged": merged, "split": split}
    listed = "".join(f", {count:,} {name}" for name, count in mistakes.items() if count)
    off = "" if math.isnan(result.outline_error) else f"; outlines within {result.outline_error:.1f} px on average"
    return f"finds {found:,} of {counted(objects, 'object')} on {images}{listed}{off}"


def _classes_right(result: ValidationResult, images: str, names: Sequence[str]) -> str:
    """How many pixels have the right class, and how well each class but the background is found."""
    pixels = result.confusion.sum()
    if not pixels:
        return ""
    dice = list(dice_per_class(result.confusion).values())
    each = [f"{name} {value:.2f}" for name, value in zip(names[1:], dice[1:], strict=True) if not math.isnan(value)]
    listed = ", ".join([*each[:LISTED], *(["..."] if len(each) > LISTED else [])])
    apart = f"; Rand score of separated cells {result.scores['rand']:.2f}" if "rand" in result.scores else ""
    right = percent(np.trace(result.confusion) / pixels)
    return f"is right about {right} of the pixels of {images}{f' (Dice: {listed})' if listed else ''}{apart}"


def in_short(report: Report, result: ValidationResult | None) -> str:
    """How good a network is, as it stands beside the progress; empty where that is not known."""
    rows = result.per_image if result else ()
    if rows and "found" in rows[0]:
        found, objects = (sum(int(row[name]) for row in rows) for name in ("found", "objects"))
        return f", finds {found:,} of {objects:,}"
    score = report.scores.get("score", math.nan)
    return f", score {score:.4f}" if math.isfinite(score) else ""


def tell_share(share: float, start: str) -> str:
    """How far a finished model is from the one that the run began with, in words; empty where it left that behind.

    Parameters
    ----------
    share : of the trained weights, see `biounet.training.finish_model`
    start : name of the model that the run began with

    Examples
    --------
    >>> tell_share(0.0, "nuclei")
    'the finished model is nuclei: nothing that was trained is better on the held-out images'
    >>> print(tell_share(0.25, "nuclei"))
    the finished model is 25 % of the way from nuclei to what was trained: as good on the held-out images, and nearer to what nuclei knows
    """  # noqa: E501
    if not share:
        return f"the finished model is {start}: nothing that was trained is better on the held-out images"
    if share == 1:
        return ""
    way = f"{percent(share)} of the way from {start} to what was trained"
    return f"the finished model is {way}: as good on the held-out images, and nearer to what {start} knows"
