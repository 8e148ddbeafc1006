"""Page of labels that a network contradicts: crops with both outlines, the surest first."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from biounet.evaluation.suspects import Suspect
from biounet.report.answer import Answer
from biounet.report.figures import draw_figures
from biounet.report.page import now, write_page
from biounet.report.views import Picture
from biounet.training.held_out import PredictedImage

__all__ = ["crop_around", "write_suspects_report"]


AROUND, ACROSS = 24, 3
"""Pixels of the image, and sections of a stack, that are shown on each side of a suspect at least."""


def crop_around(image: PredictedImage, suspect: Suspect) -> Picture:
    """The picture of a suspect, with as much of the image on each side as the suspect is large.

    Parameters
    ----------
    image : PredictedImage
    suspect : Suspect
    """
    size, classes = image.labels.shape, image.card.model.classes
    least = (ACROSS, AROUND, AROUND)[-len(size) :]
    margin = [max(side, more) for side, more in zip(suspect.box.shape, least, strict=True)]
    inside: tuple[Any, ...] = (..., *suspect.box.grown(margin, size).slices)
    pixels, truth, result = (array[inside].copy() for array in (image.image, image.labels, image.result))
    if image.card.task.has_classes:
        return Picture(image.name, pixels, truth, result, "classes", {}, classes=classes)
    return Picture(image.name, pixels, truth, result, "objects", {})


def write_suspects_report(
    path: Path,
    shown: Sequence[tuple[str, Picture]],
    answer: Answer,
    *,
    title: str,
    class_names: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> None:
    """Write a page of suspects, whole or not at all; a file at `path` is replaced.

    Parameters
    ----------
    path : Path
    shown : what is said of each suspect, and its picture
    answer : what the page begins with
    title : str
    class_names : one per class, where labels are classes
    notes : sentences below the answer

    Raises
    ------
    OutputError
        If the page cannot be written.
    """
    pictures = [replace(picture, name=f"{number}. {said}") for number, (said, picture) in enumerate(shown, 1)]
    write_page(
        path,
        "suspects.html",
        title=title,
        badge=None,
        standing=[f"written {now()}"],
        reload="",
        answer=answer,
        warnings=notes,
        heading="The surest first",
        figures=draw_figures(pictures, class_names),
    )
