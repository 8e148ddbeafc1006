"""Tables of a page: scores per image, the confusion of classes, and facts."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from markupsafe import Markup

from biounet.report.templates import render

__all__ = ["TERMS", "confusion_table", "facts_list", "score_table"]


TERMS: Mapping[str, str] = MappingProxyType(
    {
        "ap": "average precision: of all objects of the expert and of the network, counted once if found, the share "
        "that is found; the mean over IoU 0.5, 0.55, ... 0.9",
        "objects": "those of the expert",
        "predicted": "those of the network",
        "found": "the network has one of the same outline, with an IoU of 0.5 or more",
        "missed": "the expert has one, the network none in its place: no object with half of its pixels in the other",
        "false": "the network has one, the expert none in its place",
        "merges": "one of the network in the place of several of the expert",
        "splits": "several of the network in the place of one of the expert",
    }
)
"""Name of a score of objects -> what it means, see `biounet.metrics.object_errors`."""


def facts_list(facts: Mapping[str, str]) -> Markup:
    """Names and values as an HTML list."""
    return render("facts.html", facts=facts)


def score_table(scores: Mapping[str, Mapping[str, float]], class_names: Sequence[str]) -> str:
    """A table with the scores of every image, the mean of each score below, and the sum of each count.

    Parameters
    ----------
    scores : name of an image -> name of a score -> value; integers are counts
    class_names : one per class
    """
    names = list(dict.fromkeys(name for row in scores.values() for name in row))
    if not names:
        return ""
    columns = {name: [row.get(name, math.nan) for row in scores.values()] for name in names}
    whole = {name: all(isinstance(value, int) for value in values) for name, values in columns.items()}
    return render(
        "score_table.html",
        names=names,
        class_names=class_names,
        rows=[(title, [columns[name][place] for name in names]) for place, title in enumerate(scores)],
        below=[sum(values) if whole[name] else _mean(values) for name, values in columns.items()],
        below_title="mean, of counts the sum" if any(whole.values()) else "mean",
        terms=[(name, TERMS[name]) for name in names if name in TERMS],
    )


def _mean(values: Sequence[float]) -> float:
    """Mean of the values without NaN."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def confusion_table(confusion: np.ndarray | None, class_names: Sequence[str]) -> str:
    """A table of the classes given to the pixels of each true class: share of the row, and count."""
    if confusion is None or not confusion.size:
        return ""
    rows = []
    for name, counts in zip(class_names, confusion, strict=True):
        total = int(counts.sum())
        shares = [int(count) / total if total else math.nan for count in counts]
        strengths = [
            round(0.08 + 0.62 * share, 3) if count and total else 0 for share, count in zip(shares, counts, strict=True)
        ]
        written = ["–" if math.isnan(share) else f"{share:.1%}" for share in shares]
        rows.append((name, list(zip(written, strengths, map(int, counts), strict=True)), total))
    return render("confusion.html", class_names=class_names, rows=rows)
