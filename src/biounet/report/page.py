"""The page of a run: the answer, pictures, next steps, curves, then details, in one file that needs nothing else."""

import base64
import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from biounet.core.atomic_files import replacing
from biounet.core.errors import ShapeError
from biounet.core.words import counted, printable
from biounet.report.answer import Answer
from biounet.report.curves import curves, learning_rate
from biounet.report.figures import draw_figures
from biounet.report.found import sizes_of
from biounet.report.histogram import histogram
from biounet.report.label_coverage import coverage, coverage_of_pictures
from biounet.report.log import best_row
from biounet.report.numbers import duration, number
from biounet.report.tables import confusion_table, facts_list, score_table
from biounet.report.templates import FOLDER, Markup, render
from biounet.report.views import Picture, badness

__all__ = ["SHOWN", "SHOWN_STACKS", "histogram_of_pictures", "now", "write_page", "write_report"]


SHOWN, SHOWN_STACKS = 6, 3
"""Pictures on a page, of images and of stacks; the table has all."""

RELOAD = 60
"""Seconds after which the page of a run that goes on is read again."""

Log = Sequence[Mapping[str, float]]

LOOKS = MappingProxyType({"good": "finished", "usable": "finished", "poor": "stopped", "nothing": "failed"})
"""Verdict -> look of the badge of a finished run."""


def write_report(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    log: Log,
    pictures: Sequence[Picture],
    confusion: np.ndarray | None,
    class_names: Sequence[str],
    config: str,
    answer: Answer | None = None,
    steps: Sequence[tuple[str, str]] = (),
    strip: str = "",
    warnings: Sequence[str] = (),
    trained: Mapping[str, np.ndarray] = MappingProxyType({}),
    finished: bool,
    stopped: str = "",
    again: str = "",
) -> None:
    """Write the page of a run, whole or not at all; a file at `path` is replaced.

    Parameters
    ----------
    path : Path
        An ``.html`` file.
    title : str
    facts : name to value, shown among the details as they are
    log : rows as of `load_log`
    pictures : Sequence of Picture
        The six worst are shown, three of stacks, worst first; the table of scores has all.
    confusion : (classes, classes) integers, pixels of a true class (row) given a class (column), or None
    class_names : one per class, background first; where pictures are of objects, two
    config : TOML text
    answer : Answer
        What the page begins with; None while nothing is known.
    steps : what a person may do next, and the command for it
    strip : HTML of `biounet.report.thumbnails.draw_strip`
    warnings : sentences shown below the answer, such as those of `health`
    trained : name of each image to train on -> pixels that are unknown, and of each class; (1 + classes,)
    finished : bool
        The page of a run that goes on reloads itself once a minute, and says what to think if it stays as it is.
    stopped : why a run does not go on that is not finished
    again : command that goes on with it

    Raises
    ------
    ShapeError
        If there are not as many names as classes.
    OutputError
        If the file cannot be written.
    """
    _check_names(pictures, confusion, class_names)
    ranked = sorted(pictures, key=badness, reverse=True)
    objects = any(picture.kind == "objects" for picture in pictures)
    shown = ranked[: SHOWN_STACKS if any(len(picture.size) == 3 for picture in ranked) else SHOWN]
    times = [0.0, *(row["seconds"] for row in log)]
    write_page(
        path,
        "run.html",
        title=title,
        badge=_badge(finished, stopped, answer),
        standing=_standing(log),
        reload="" if finished or stopped else RELOAD,
        answer=answer,
        finished=finished,
        stopped=stopped,
        again=again,
        now=now(),
        every=duration(times[-1] - times[-2]) if log else "",
        warnings=warnings,
        heading=_heading(len(shown), len(ranked)),
        figures=draw_figures(shown, class_names),
        histogram=histogram_of_pictures(ranked) if objects else "",
        strip=strip,
        steps=steps,
        curves=curves(log, class_names=class_names),
        rates=learning_rate(log),
        scores=score_table({picture.name: picture.scores for picture in ranked}, class_names),
        confusion=confusion_table(confusion, class_names),
        confusion_heading="Which pixels are of objects" if objects else "Which class is taken for which",
        labelled=_labelled(trained, ranked, class_names),
        facts=facts_list(facts),
        versions=facts_list(_versions()),
        config=config,
    )


def write_page(path: Path, template: str, **values: Any) -> None:
    """Write a page from a template that extends ``page.html``, with its style and script."""
    script = _read("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shell = {"style": Markup(_read("page.css")), "script": Markup(script), "script_hash": f"sha256-{digest}"}
    text = render(template, **shell, **values)
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text(printable(f"{text}\n"), encoding="utf-8")


@functools.cache
def _read(name: str) -> str:
    """A file beside the templates, as it stands in a page."""
    return (FOLDER / name).read_text(encoding="utf-8")


def _check_names(pictures: Sequence[Picture], confusion: np.ndarray | None, class_names: Sequence[str]) -> None:
    """Refuse more or fewer names than classes."""
    counts = {picture.name: picture.classes for picture in pictures if picture.kind == "classes"}
    counts |= {} if confusion is None else {"confusion": len(confusion)}
    for what, classes in counts.items():
        if classes != len(class_names):
            raise ShapeError(f"{what}: {classes} classes, but {len(class_names)} class names; give one name per class")


def _badge(finished: bool, stopped: str, answer: Answer | None) -> dict[str, str]:
    """State of a run: its look, and a word."""
    if not finished:
        return {"look": "stopped", "text": "stopped"} if stopped else {"look": "training", "text": "training"}
    verdict = "" if answer is None else answer.verdict
    return {
        "look": LOOKS.get(verdict, "plain"),
        "text": answer.heading.lower() if answer is not None and answer.bad else "finished",
    }


def _standing(log: Log) -> list[str]:
    """What stands below the title: how long the run took, and when the page was written."""
    said, best = [], best_row(log)
    if log:
        said.append(f"{counted(int(log[-1]['step']), 'step')} in {duration(log[-1]['seconds'])}")
    if best is not None and "score" in best:
        said.append(f"best validation score {number(best['score'])} at step {best['step']:,.0f}")
    return [*said, f"last written {now()}"]


def now() -> str:
    """Date, time and time zone of now."""
    return f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _heading(shown: int, count: int) -> str:
    if shown < count:
        return f"The {shown} worst of {count} images never trained on, worst first"
    return "Images never trained on, worst first" if count > 1 else "The image that was never trained on"


def histogram_of_pictures(pictures: Sequence[Picture]) -> str:
    """Histogram of the sizes of objects in all pictures, of expert and network."""
    truths = [sizes_of(picture.truth) for picture in pictures if picture.truth is not None]
    results = [sizes_of(picture.result) for picture in pictures]
    unit = "voxels" if any(len(picture.size) == 3 for picture in pictures) else "px"
    return histogram(np.concatenate(truths) if truths else None, np.concatenate(results), unit=unit)


def _labelled(trained: Mapping[str, np.ndarray], pictures: Sequence[Picture], class_names: Sequence[str]) -> str:
    """Shares of labelled pixels in the images to train on, and in the pictures of the page."""
    shown = coverage_of_pictures(pictures, class_names)
    if not trained:
        return shown
    held_out = Markup("<h3>Images to validate on</h3>{}").format(shown) if shown else Markup()
    return Markup("<h3>Images to train on</h3>{}{}").format(coverage(trained, class_names), held_out)


@functools.cache
def _versions() -> Mapping[str, str]:
    """Versions of the software, and the machine."""
    from biounet.models.device import gpu_names  # torch is heavy; whoever trains has it already

    known = Path("/proc/cpuinfo")  # on Linux; elsewhere the platform says it
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        **{name: importlib.metadata.version(name) for name in ("biounet", "torch", "numpy")},
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "cpu": next(iter(names), platform.processor()) or platform.machine(),
        "gpu": gpu_names(),
    }
