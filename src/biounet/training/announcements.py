"""What is said of a run in words: the images that it learns from, the settings that were chosen, how it stands."""

import math
from collections.abc import Callable

from biounet.config import RunConfig
from biounet.data.hashes import shared_images
from biounet.data.training_set import TrainingSet
from biounet.training.loop import Report

__all__ = ["announce", "chosen", "coverage", "report_line", "score_text"]


LISTED = 6
"""Number of classes whose shares are listed one by one."""


def announce(data: TrainingSet, say: Callable[[str], None]) -> None:
    """Say how many images there are to learn from, what they hold, and what is remarkable about them."""
    for note in (*data.notes, *shared_images(data)):
        say(f"note: {note}")
    say(f"training on {len(data.train)} images, validating on {len(data.validation)}; {coverage(data)}")


def chosen(config: RunConfig, name: str, reason: str) -> str:
    """A setting that was left open, its value, and why it was chosen.

    >>> chosen(RunConfig(), "train.batch", "the images are small")
    'train.batch = 1: the images are small'
    """
    group, _, field = name.partition(".")
    return f"{name} = {getattr(getattr(config, group), field)}: {reason}"


def coverage(data: TrainingSet) -> str:
    """Shares of the training pixels that each class holds, in words; or the number of channels of target images."""
    if not data.task.has_labels:
        return f"targets: images of {data.classes} channel{'s' * (data.classes > 1)}"
    unknown, *shares = data.coverage
    parts = [f"class {number} {share:.1%}" for number, share in enumerate(shares[:LISTED])]
    parts += [f"{len(shares) - LISTED} more classes {sum(shares[LISTED:]):.1%}"] if len(shares) > LISTED else []
    parts += [f"unknown {unknown:.1%}"] if unknown else []
    return ", ".join(parts)


def report_line(report: Report) -> str:
    """A line about a validation: time, step, loss, scores, and how long steps waited for their patches."""
    named = {name: value for name, value in report.scores.items() if not name.startswith("dice_")}
    scores = "".join(f"{name} {value:.4f} " for name, value in named.items())
    best = " best so far" if report.best else ""
    waiting = f"waited for patches {report.waiting:.0%}"
    return f"{report.seconds / 60:5.1f} min step {report.step:5d} loss {report.loss:.4f} {scores}{waiting}{best}"


def score_text(report: Report) -> str:
    """The score of a validation as it stands beside the progress; empty where it is no number."""
    score = report.scores.get("score", math.nan)
    return f" score {score:.4f}" if math.isfinite(score) else ""
