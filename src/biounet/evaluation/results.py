"""Scores of an evaluation, as JSON and as CSV."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.words import printable
from biounet.metrics import Sweep

__all__ = ["Scores", "to_csv", "to_json"]


@dataclass(frozen=True)
class Scores:
    """Scores of all images together and of each.

    Attributes
    ----------
    scores : name to value
        Pooled over all images; NaN where a score is undefined.
    images : name to name to value
        The same for each image alone. Sections of a stack are images, for scores of sections.
    sweeps : name to `biounet.metrics.Sweep`
        Scores of all images at every threshold, where there are thresholds.
    notes : tuple[str, ...]
        Remarks on how the files were read.
    groups : name of a group to name to value
        Pooled over the images of each group; empty where nobody asked for groups.
    class_names : tuple[str, ...]
        Of classes 0, 1, ..., where scores are of classes whose names are known.
    confusion : (classes, classes), pixels of a true class (row) given a class (column)
        Of foreground and background, where no classes were scored; None where neither was.
    """

    scores: Mapping[str, float]
    images: Mapping[str, Mapping[str, float]]
    sweeps: Mapping[str, Sweep]
    notes: tuple[str, ...]
    groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    confusion: NDArray[np.int64] | None = None


def to_json(scores: Scores) -> dict[str, Any]:
    """Scores as the document that ``--json`` writes; undefined and infinite scores are ``None``.

    Returns
    -------
    ``{"scores": {name: value}, "images": [{"name": ..., name: value}], "thresholds": {name: {...}}}``
        ``thresholds`` holds, for each score with thresholds, ``threshold``, ``value`` and its parts as lists,
        and ``best_threshold``. It is left out where there are none, and so are ``groups``
        (``{group: {name: value}}``), ``classes`` (their names) and ``notes``.

    Examples
    --------
    >>> to_json(Scores({"dice": 0.5, "seg": math.nan}, {"a.tif": {"dice": 0.5}}, {}, ()))
    {'scores': {'dice': 0.5, 'seg': None}, 'images': [{'name': 'a.tif', 'dice': 0.5}]}
    """
    document: dict[str, Any] = {
        "scores": _finite(scores.scores),
        "images": [{"name": printable(name), **_finite(row)} for name, row in scores.images.items()],
    }
    if scores.groups:
        document["groups"] = {group: _finite(row) for group, row in scores.groups.items()}
    if scores.sweeps:
        document["thresholds"] = {name: _sweep_to_json(sweep) for name, sweep in scores.sweeps.items()}
    if scores.class_names:
        document["classes"] = list(scores.class_names)
    if scores.notes:
        document["notes"] = [printable(note) for note in scores.notes]
    return document


def to_csv(scores: Scores) -> str:
    """Scores of each image as a table, a row per image; a cell is empty where a score is undefined.

    Examples
    --------
    >>> print(to_csv(Scores({}, {"a.tif": {"dice": 0.5}, "b.tif": {"dice": math.nan}}, {}, ())))
    name,dice
    a.tif,0.5
    b.tif,
    """
    columns = list(dict.fromkeys(name for row in scores.images.values() for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["name", *columns], restval="", lineterminator="\n")
    writer.writeheader()
    for name, row in scores.images.items():
        writer.writerow(
            {"name": printable(name), **{key: "" if value is None else value for key, value in _finite(row).items()}}
        )
    return text.getvalue()


def _finite(row: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in row.items()}


def _sweep_to_json(sweep: Sweep) -> dict[str, Any]:
    columns = {"value": sweep.values, **sweep.parts}
    lists = {
        name: [float(value) if math.isfinite(value) else None for value in values] for name, values in columns.items()
    }
    return {"threshold": list(sweep.thresholds), **lists, "best_threshold": sweep.best_threshold}
