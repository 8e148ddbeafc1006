"""What is said of a run in words: the images that it learns from, the settings that were chosen, how it stands.

Details go to the logger ``biounet``, which ``-v`` shows.
"""

import logging
import math
from collections.abc import Callable, Sequence

from biounet.config import RunConfig
from biounet.data.hashes import shared_images
from biounet.data.training_set import TrainingSet
from biounet.training.loop import Report
from biounet.training.validation import ValidationResult

__all__ = ["LOG", "announce", "chosen", "coverage", "found_text", "report_line", "score_text"]


LOG = logging.getLogger("biounet")

LISTED = 6
"""Number of classes whose shares are listed one by one."""


def announce(data: TrainingSet, say: Callable[[str], None]) -> None:
    """Say how many images there are to learn from, what they hold, and what is remarkable about them."""
    for note in (*data.notes, *shared_images(data)):
        say(f"note: {note}")
    images = f"training on {len(data.train)} images, validating on {len(data.validation)}"
    if not data.task.numbered:
        say(f"{images}; {coverage(data)}")
        return
    say(f"{images}; each number in the labels is one object")
    LOG.info("learnt of the objects: %s, with %s", data.target, coverage(data))  # classes are levels of distance


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


def report_line(report: Report, result: ValidationResult | None) -> str:
    """A line about a validation: time, how good the network is, and whether it is the best so far; the rest is logged.

    Parameters
    ----------
    report : Report
    result : of the validation
    """
    named = {name: value for name, value in report.scores.items() if not name.startswith("dice_")}
    scores = "".join(f"{name} {value:.4f} " for name, value in named.items())
    waiting = f"waited for patches {report.waiting:.0%}"
    LOG.info("step %d: loss %.4f %s%s", report.step, report.loss, scores, waiting)
    found = found_text(result)
    good = ", ".join(filter(None, (found, score_text(report).strip())))
    best = "; the best so far" if report.best and good else ""
    return f"after {report.seconds / 60:.1f} min, step {report.step}: {good or f'loss {report.loss:.4f}'}{best}"


def found_text(result: ValidationResult | None) -> str:
    """How many objects of the held-out images are found; empty where no objects were looked for."""
    rows = [row for row in (result.per_image if result else ()) if {"found", "objects"} <= row.keys()]
    if not rows:
        return ""
    found, objects, false = (sum(int(row[name]) for row in rows) for name in ("found", "objects", "false"))
    images = f"{len(rows)} held-out image{'s' * (len(rows) > 1)}"
    return f"finds {found:,} of {objects:,} objects of {images}, {false:,} false"


def score_text(report: Report) -> str:
    """The score of a validation as it stands beside the progress; empty where it is no number."""
    score = report.scores.get("score", math.nan)
    return f" score {score:.4f}" if math.isfinite(score) else ""
