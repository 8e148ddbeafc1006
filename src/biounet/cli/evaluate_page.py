"""The page of `biounet evaluate`: where it goes, the images that it shows, and its writing."""

import os
from pathlib import Path
from typing import Any

from biounet.cli.progress import progress, say
from biounet.core.words import printable
from biounet.data.layouts import LAYOUTS, named_images
from biounet.evaluation import Scores
from biounet.evaluation.pairing import FilePair, select_files
from biounet.io import is_folder_of_images, plain_name, root_of

__all__ = ["NAME", "images_of", "page_of", "write_evaluation_page"]


NAME = "evaluation.html"
"""In a folder of results; beside a file of results, behind its name."""


def page_of(result: Path, *, report: bool | None, overwrite: bool) -> Path | None:
    """The page that is to be written: where it is asked for, and for folders without one that can be written to.

    Parameters
    ----------
    result : Path
    report : what was asked for, if anything
    overwrite : whether a page that is there is replaced
    """
    folder = is_folder_of_images(result)
    page = result / NAME if folder else root_of(result).parent / f"{plain_name(result)}-{NAME}"
    if report is not None:
        return page if report else None
    if not folder or not os.access(result, os.W_OK):
        return None
    if page.exists() and not overwrite:
        say(f"note: {page} is of an earlier evaluation and stays; --overwrite writes it anew")
        return None
    return page


def images_of(truth: Path, given: Path | None, pairs: list[FilePair]) -> dict[str, Path]:
    """Images by the names of their results: those given, or those of the dataset that the truth is of or lies in.

    Parameters
    ----------
    truth : Path
    given : a file or folder of images, or another file
    pairs : of the files that were compared
    """
    if given is not None and given.is_file():
        return {plain_name(pair.result): given for pair in pairs}
    if given is not None:
        return dict(named_images(given))
    labels = {file for pair in pairs for file in pair.truth}
    for folder in (truth, truth.parent):
        for layout in LAYOUTS.values():
            found = {layout.result_name(image): image for image in layout.images(folder) if image not in labels}
            if found:
                return found
    return {}


def write_evaluation_page(
    page: Path, scores: Scores, result: Path, truth: Path, given: Path | None, *, sections: slice | None, **reading: Any
) -> None:
    """Write the page of an evaluation, and say what it begins with and where it is.

    Parameters
    ----------
    page : Path
    scores : of the evaluation
    result, truth : Path
    given : images that the results are of, if anybody named them
    sections, reading : as for `biounet.evaluation.evaluate`
    """
    from biounet.report.evaluation_report import write_evaluation_report

    pairs = select_files(result, truth, **reading)
    with progress("writing the report") as show:
        answer = write_evaluation_report(
            page,
            scores,
            pairs,
            title=printable(f"{result.name} against {truth.name}"),
            images=images_of(truth, given, pairs),
            sections=sections,
            progress=lambda share: show(share, ""),
        )
    say(f"{answer.sentence}; look at {page}")
