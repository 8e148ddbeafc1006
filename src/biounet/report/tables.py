"""Tables of a run: scores per image, and the confusion of classes."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType

import numpy as np

from biounet.report.views import Picture

__all__ = ["TERMS", "confusion_table", "facts_list", "number", "score_table", "title_of"]


TERMS: Mapping[str, str] = MappingProxyType(
    {
        "ap": "average precision: of all objects of the expert and of the network, counted once if found, the share "
        "that is found; the mean over IoU 0.5, 0.55, ... 0.9",
        "objects": "those of the expert",
        "found": "the network has one of the same outline, with an IoU of 0.5 or more",
        "missed": "the expert has one, the network none in its place: no object with half of its pixels in the other",
        "false": "the network has one, the expert none in its place",
        "merges": "one of the network in the place of several of the expert",
        "splits": "several of the network in the place of one of the expert",
    }
)
"""Name of a score of objects -> what it means, see `biounet.metrics.object_errors`."""


def number(value: float) -> str:
    """A score, or an integer count, as text; a dash for NaN.

    >>> number(0.95214), number(0.000353), number(float("nan")), number(31030658.0), number(7)
    ('0.9521', '0.000353', '–', '31,030,658', '7')
    """
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def title_of(name: str, class_names: Sequence[str]) -> str:
    """The name of a score as people read it.

    >>> title_of("dice_1", ["background", "cell"]), title_of("rand_error", [])
    ('dice, cell', 'rand error')
    """
    stem, _, last = name.rpartition("_")
    if stem and last.isdecimal() and int(last) < len(class_names):
        return f"{stem.replace('_', ' ')}, {class_names[int(last)]}"
    return name.replace("_", " ")


def facts_list(facts: Mapping[str, str]) -> str:
    """Names and values as an HTML list."""
    rows = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    return f'<dl class="facts">{"".join(rows)}</dl>' if facts else ""


def score_table(pictures: Sequence[Picture], class_names: Sequence[str]) -> str:
    """A table with the scores of every image, the mean of each score below, and the sum of each count."""
    names = list(dict.fromkeys(name for picture in pictures for name in picture.scores))
    if not names:
        return ""
    head = "".join(f'<th scope="col">{escape(title_of(name, class_names))}</th>' for name in names)
    rows, columns = [], {name: [picture.scores.get(name, math.nan) for picture in pictures] for name in names}
    for place, picture in enumerate(pictures):
        cells = "".join(f"<td>{number(columns[name][place])}</td>" for name in names)
        rows.append(f'<tr><th scope="row">{escape(picture.name)}</th>{cells}</tr>')
    whole = [all(isinstance(value, int) for value in values) for values in columns.values()]
    sums = (sum(values) if counts else _mean(values) for counts, values in zip(whole, columns.values(), strict=True))
    below = "".join(f"<td>{number(value)}</td>" for value in sums)
    title = "mean, of counts the sum" if any(whole) else "mean"
    foot = f'<tfoot><tr><th scope="row">{title}</th>{below}</tr></tfoot>'
    return (
        f'<div class="scroll"><table class="scores"><thead><tr><th scope="col">image</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody>{foot}</table></div>{_terms(names)}"
    )


def _terms(names: Sequence[str]) -> str:
    """An explanation of the scores of objects."""
    said = "".join(f"<span><b>{name}</b>{TERMS[name]}</span>" for name in names if name in TERMS)
    return f'<p class="key terms">{said}</p>' if said else ""


def _mean(values: Sequence[float]) -> float:
    """Mean of the values without NaN."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def confusion_table(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """A table of the classes given to the pixels of each true class: share of the row, and count."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in class_names)
    rows = []
    for name, counts in zip(class_names, confusion, strict=True):
        total = int(counts.sum())
        cells = []
        for count in counts:
            share = int(count) / total if total else math.nan
            written = "–" if math.isnan(share) else f"{share:.1%}"
            strength = 0 if math.isnan(share) else round(0.08 + 0.62 * share, 3) if count else 0
            cells.append(f'<td style="--share:{strength}"><b>{written}</b><small>{int(count):,}</small></td>')
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}<td class="total">{total:,}</td></tr>')
    return (
        '<div class="scroll"><table class="confusion"><thead>'
        f'<tr><th rowspan="2" scope="col">truth</th><th colspan="{len(class_names)}">result</th>'
        f'<th rowspan="2" scope="col">pixels</th></tr><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
