"""Figures of a page: each picture as planes of layers, with what a pointer is told about the objects under it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from biounet.report.found import Found, find
from biounet.report.layers import layers
from biounet.report.numbers import number, title_of
from biounet.report.templates import render
from biounet.report.views import Picture, Plane, planes

__all__ = ["MODES", "draw_figures"]


MODES: Mapping[str, Sequence[tuple[str, str]]] = {
    "objects": (("both", "Both"), ("expert", "Expert"), ("network", "Network"), ("image", "Image")),
    "classes": (
        ("both", "Differences"),
        ("expert", "Expert"),
        ("network", "Network"),
        ("probability", "Probability"),
        ("image", "Image"),
    ),
    "image": (("network", "Network"), ("expert", "Target"), ("image", "Input"), ("difference", "Difference")),
}
"""Kind of a picture -> the layers that can be chosen, and their names; the first is shown."""


def draw_figures(pictures: Sequence[Picture], class_names: Sequence[str]) -> str:
    """Pictures below a legend and a choice of layers, as HTML; empty without pictures.

    Parameters
    ----------
    pictures : Sequence of Picture
        Of one kind.
    class_names : one per class
    """
    if not pictures:
        return ""
    figures = [_figure(picture, class_names) for picture in pictures]
    there = {name for figure in figures for plane in figure["planes"] for name in plane["layers"]}
    kind = pictures[0].kind
    modes = [(value, name) for value, name in MODES[kind] if value in there]
    return render(
        "figures.html",
        figures=figures,
        modes=modes,
        kind=kind,
        truth=any(picture.truth is not None for picture in pictures),
        unknown=any(
            picture.truth is not None and kind != "image" and (picture.truth < 0).any() for picture in pictures
        ),
        class_names=class_names,
        stacks=any(len(picture.size) == 3 for picture in pictures),
    )


def _figure(picture: Picture, class_names: Sequence[str]) -> dict[str, Any]:
    """What the template needs of a picture."""
    found = find(picture.truth, picture.result) if picture.kind == "objects" and picture.truth is not None else None
    shown = planes(picture)
    return {
        "name": picture.name,
        "said": _said(picture, class_names),
        "kind": picture.kind,
        "unit": "voxels" if len(picture.size) == 3 else "px",
        "planes": [_plane(plane, picture.kind, found) for plane in shown],
        "notes": shown[0].notes,
        "told": json.dumps(_told(picture, found, class_names), separators=(",", ":")),
    }


def _said(picture: Picture, class_names: Sequence[str]) -> list[tuple[str, str]]:
    """Words and numbers below the name of a picture: of objects the counts of mistakes, else its scores."""
    scores = picture.scores
    if {"found", "objects"} <= scores.keys():
        mistakes = [name for name in ("missed", "false", "merges", "splits") if scores.get(name)]
        found = ("found", f"{number(scores['found'])} of {number(scores['objects'])}")
        return [found, *((name, number(scores[name])) for name in mistakes)]
    return [(title_of(name, class_names), number(value)) for name, value in scores.items()]


def _plane(plane: Plane, kind: str, found: Found | None) -> dict[str, Any]:
    """What the template needs of a plane."""
    options: dict[str, Any] = {}
    if found is not None and plane.truth is not None:
        options = {"missed": found.missed(plane.truth), "false": found.false(plane.result)}
    return {
        "axis": plane.axis,
        "first": plane.first,
        "sections": [number + 1 for number in plane.sections],
        "of": plane.of,
        "ratio": round(plane.ratio, 4),
        "width": plane.image.shape[-1],
        "layers": dict(layers(plane, kind=kind, **options)),
    }


def _told(picture: Picture, found: Found | None, class_names: Sequence[str]) -> dict[str, Any]:
    """Sizes and IoU of each object by its number, or the names of classes."""
    if picture.kind == "classes":
        return {"classes": list(class_names)}
    if picture.kind == "image":
        return {}
    if found is not None:
        return {"expert": found.expert, "network": found.network}
    numbers, counts = np.unique(picture.result[picture.result > 0], return_counts=True)
    return {"network": {int(number): (int(count), -1) for number, count in zip(numbers, counts, strict=True)}}
