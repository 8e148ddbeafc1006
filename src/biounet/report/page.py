"""The page itself: sections in the order in which people ask, in one file that needs nothing else."""

import functools
import importlib.metadata
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from types import MappingProxyType

import numpy as np

from biounet.core.atomic_files import replacing
from biounet.core.errors import ShapeError
from biounet.core.words import printable
from biounet.report import panels
from biounet.report.curves import curves
from biounet.report.label_coverage import coverage, coverage_of_pictures
from biounet.report.log import best_row
from biounet.report.tables import confusion_table, facts_list, number, score_table, title_of
from biounet.report.views import Picture, View, badness, view

__all__ = ["write_report"]


SHOWN = 6  # pictures on a page; the table has all
RELOAD = 60  # seconds after which the page of a run that goes on is read again
STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")

Log = Sequence[Mapping[str, float]]


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
    facts : name to value, shown at the top as they are
    log : rows as of `load_log`
    pictures : Sequence of Picture
        The six worst are shown, worst first; the table of scores has all. Of objects the outlines are shown.
    confusion : (classes, classes) integers, pixels of a true class (row) given a class (column), or None
    class_names : one per class, background first; where pictures are of objects, two
    config : TOML text
    warnings : sentences shown on top, such as those of `health`
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
    for what, classes in (
        *((picture.name, 2 if picture.objects else len(picture.probabilities)) for picture in pictures),
        *((("confusion", len(confusion)),) if confusion is not None else ()),
    ):
        if classes != len(class_names):
            raise ShapeError(f"{what}: {classes} classes, but {len(class_names)} class names; give one name per class")
    ranked = sorted(pictures, key=badness, reverse=True)
    objects = any(picture.objects for picture in pictures)
    sections = (
        _warnings(warnings),
        facts_list(facts),
        _section("Curves", curves(log, class_names=class_names)),
        _section(_heading(ranked), _pictures(ranked[:SHOWN], class_names)),
        _section("Scores per image", score_table(ranked, class_names)),
        _section(
            "Which pixels are of objects" if objects else "Which class is taken for which",
            _confusion(confusion, class_names),
        ),
        _section("What is labelled", _labelled(trained, ranked, class_names)),
        _settings(config),
    )
    state = "finished" if finished else "stopped" if stopped else "training"
    standing = _stopped(stopped, again) if stopped else "" if finished else _going_on(log, again)
    text = _document(title, _header(title, log, state), f"{standing}{''.join(sections)}", reload=state == "training")
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text(printable(text), encoding="utf-8")


def _document(title: str, header: str, body: str, *, reload: bool) -> str:
    """Put the parts into an HTML document."""
    again = f'<meta http-equiv="refresh" content="{RELOAD}">' if reload else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">{again}'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body>{header}\n<main>{body}</main></body></html>\n"
    )


def _section(heading: str, content: str) -> str:
    """A section, or nothing if it has no content."""
    return f"<section><h2>{escape(heading)}</h2>{content}</section>\n" if content else ""


def _header(title: str, log: Log, state: str) -> str:
    """The head of the page: title, state of the run, and its best score so far."""
    badge = f'<span class="state {state}">{state}</span>'
    said = []
    best = best_row(log)
    if best is not None and "score" in best:
        said.append(f"Best validation score <b>{number(best['score'])}</b> at step {best['step']:,.0f}")
    if log:
        said.append(f"{log[-1]['step']:,.0f} steps in {_duration(log[-1]['seconds'])}")
    said.append(f"last written {_now()}")
    line = " · ".join(f"<span>{part}</span>" for part in said)
    return f"<header><h1>{escape(title)} {badge}</h1><p>{line}</p></header>"


def _now() -> str:
    """Date, time and time zone of now."""
    return f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _stopped(why: str, again: str) -> str:
    """A note on when and why a run has stopped, and how to go on."""
    how = f"<p>Go on with <code>{escape(again)}</code></p>" if again else ""
    return f'<aside class="warnings"><h2>Stopped on {_now()}</h2><p>{escape(why)}</p>{how}</aside>\n'


def _going_on(log: Log, again: str) -> str:
    """A note for a page that is not written any more, since a process that is killed cannot say so."""
    times = [0.0, *(row["seconds"] for row in log)]
    every = f" about every {_duration(times[-1] - times[-2])}" if log else ""
    how = f": go on with <code>{escape(again)}</code>" if again else ""
    return (
        f'<p class="standing">The run writes this page anew{every}, last on {_now()}. If it stays as it is for much '
        f"longer, the run was killed{how}</p>\n"
    )


def _labelled(trained: Mapping[str, np.ndarray], pictures: Sequence[Picture], class_names: Sequence[str]) -> str:
    """Shares of labelled pixels in the images to train on, and in the pictures of the page."""
    shown = coverage_of_pictures(pictures, class_names)
    if not trained:
        return shown
    held_out = f"<h3>Images to validate on</h3>{shown}" if shown else ""
    return f"<h3>Images to train on</h3>{coverage(trained, class_names)}{held_out}"


def _duration(seconds: float) -> str:
    """A duration as people read it.

    >>> _duration(42), _duration(754), _duration(7300)
    ('42 s', '12.6 min', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _warnings(warnings: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<aside class="warnings"><h2>Warnings</h2><ul>{items}</ul></aside>\n' if items else ""


def _heading(ranked: Sequence[Picture]) -> str:
    if len(ranked) > SHOWN:
        return f"The {SHOWN} worst of {len(ranked)} images, worst first"
    return "Images, worst first" if len(ranked) > 1 else "Image"


def _pictures(pictures: Sequence[Picture], class_names: Sequence[str]) -> str:
    """Draw pictures below one legend."""
    if not pictures:
        return ""
    figures = "".join(_picture(picture, class_names) for picture in pictures)
    return f"{_legend(pictures, class_names)}{figures}"


def _picture(picture: Picture, class_names: Sequence[str]) -> str:
    """One picture: its name, its scores, its panels."""
    scores = "".join(
        f"<span>{escape(title_of(name, class_names))} <b>{number(value)}</b></span>"
        for name, value in picture.scores.items()
    )
    shown = view(picture)
    notes = "".join(f"<span>{escape(note)}</span>" for note in shown.notes)
    drawn = "".join(_panel(caption, source, picture.name) for caption, source in _panels(picture, shown, class_names))
    head = f'<figcaption><span class="name">{escape(picture.name)}</span>{scores}{notes}</figcaption>'
    columns = "panels two" if picture.objects else "panels"
    return f'<figure class="picture">{head}<div class="{columns}">{drawn}</div></figure>\n'


def _panels(picture: Picture, shown: View, class_names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Caption and image of every panel."""
    yield "Image", panels.draw_image(shown)
    if picture.objects:
        yield "Objects of expert and network", panels.draw_overlay(shown, classes=False, stripes=True)
        return
    if shown.truth is not None:
        yield "Truth", panels.draw_truth(shown.truth)
    what = class_names[1] if len(class_names) == 2 else "foreground"
    yield f"Probability of {what}", panels.draw_probability(shown.foreground)
    yield "Overlay", panels.draw_overlay(shown, classes=picture.classes)


def _panel(caption: str, source: str, name: str) -> str:
    """One panel; a click or the space bar enlarges it, by style alone."""
    said = escape(f"{caption} of {name}", quote=True)
    return (
        f'<label class="panel"><input type="checkbox" aria-label="enlarge: {said}">'
        f'<img src="{source}" alt="{said}"><span>{escape(caption)}</span></label>'
    )


def _legend(pictures: Sequence[Picture], class_names: Sequence[str]) -> str:
    """The meaning of colours and lines."""
    objects = any(picture.objects for picture in pictures)
    truth, result = ("an object of the expert", "of the network") if objects else ("the truth", "of the result")
    keys = [
        f'<i class="chip line truth"></i>outline of {truth}',
        f'<i class="chip line result"></i>{result}',
        '<i class="chip line both"></i>of both',
        '<i class="chip tint truth"></i>missed',
        '<i class="chip tint result"></i>added',
    ]
    if objects:
        keys.append('<i class="chip line truth"></i>alone between two: merged')
        keys.append('<i class="chip line result"></i>alone between two: split')
    else:
        ramp = ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in panels.VIRIDIS)
        keys.insert(0, f'0 <i class="ramp" style="background:linear-gradient(90deg, {ramp})"></i> 1 probability')
    if len(class_names) > 2:
        keys.append('<i class="chip tint confused"></i>another class')
        keys += [f'<i class="chip k{place % 8}"></i>{escape(name)}' for place, name in enumerate(class_names)]
    if any(picture.truth is not None and (picture.truth < 0).any() for picture in pictures):
        keys.append('<i class="chip unknown"></i>not labelled')
    keys.append("click a picture to enlarge it")
    return f'<p class="key">{"".join(f"<span>{key}</span>" for key in keys)}</p>'


def _confusion(confusion: np.ndarray | None, class_names: Sequence[str]) -> str:
    return "" if confusion is None or not confusion.size else confusion_table(confusion, class_names)


def _settings(config: str) -> str:
    """Configuration and versions, folded."""
    return (
        f"<details><summary>Versions and configuration</summary>{facts_list(_versions())}"
        f'<pre tabindex="0">{escape(config)}</pre></details>\n'
    )


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
