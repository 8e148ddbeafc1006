"""Curves of a run as inline SVG."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from markupsafe import Markup

from biounet.report.log import best_row, lower_is_better

__all__ = ["Scale", "curves", "learning_rate"]


WIDTH, HEIGHT = 380, 206  # of a plot, in units that are about one CSS pixel
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 14, 38  # margins around the axes
DOTS = 40  # more reports than this are drawn as a line without dots
UNITS = ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (math.inf, 3600.0, "h"))  # up to so many seconds: divisor, name
NOT_SCORES = {"step", "seconds", "loss", "learning_rate", "waiting", "best", "threshold"}

Log = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Scale:
    """An axis: where a value stands between its ends, and round numbers to write beside it.

    Examples
    --------
    >>> Scale(0, 8)(2), Scale(0, 8).ticks()
    (0.25, ['0', '2', '4', '6', '8'])
    >>> Scale(0.01, 1, log=True)(0.1), Scale(0.01, 1, log=True).ticks()
    (0.5, ['0.01', '0.03', '0.1', '0.3', '1'])
    """

    low: float
    high: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Share of the way from the low to the high end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[str]:
        """Three to six round numbers on the axis, as they are written."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            parts = (1, 3) if self.high < 300 * self.low else (1,)
            every = -(-len(decades) // 6)
            values = [part * 10.0**decade for decade in decades[::every] for part in parts]
            return [f"{value:g}" for value in values if self.low * 0.999 <= value <= self.high * 1.001]
        rough = (self.high - self.low) / 5
        decade = 10.0 ** math.floor(math.log10(rough))
        step = next(decade * part for part in (1, 2, 5, 10) if decade * part >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-6), math.floor(self.high / step + 1e-6)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        if digits > 4 and max(abs(self.low), abs(self.high)) < 0.01:
            return [_tiny(number * step, digits) for number in range(first, last + 1)]
        return [f"{number * step:.{digits}f}" for number in range(first, last + 1)]


def _tiny(value: float, digits: int) -> str:
    """Write a value below 0.01 with so many digits after the point, but without the zeros that it would begin with.

    >>> _tiny(1.2e-5, 6), _tiny(2e-6, 6), _tiny(0, 6)
    ('1.2e-5', '2e-6', '0')
    """
    if not value:
        return "0"
    places = max(0, math.floor(math.log10(abs(value))) + digits)
    return f"{value:.{places}e}".replace("e-0", "e-")


def curves(log: Log, *, class_names: Sequence[str] = ()) -> Markup:
    """Plots of training loss and validation scores over the time of a run.

    Parameters
    ----------
    log : rows as of `load_log`
    class_names : one per class
        Scores named ``dice_0``, ``dice_1``, ... share a plot and are labelled with these.

    Returns
    -------
    HTML: one ``figure`` per plot
    """
    if not log:
        return Markup('<p class="empty">No curves yet: they begin with the first report of the run.</p>')
    groups: dict[str, dict[str, str]] = {}
    for column in log[-1]:
        if column not in NOT_SCORES:
            family, number = _family(column)
            label = class_names[number] if number is not None and number < len(class_names) else column
            groups.setdefault(family if number is not None else column, {})[column] = label
    plots = [_figure("Training loss", {"loss": "loss"}, log)]
    plots += [_figure(_title(family), columns, log) for family, columns in groups.items()]
    return _side_by_side(plots)


def learning_rate(log: Log) -> Markup:
    """A plot of the learning rate over the time of a run; empty where the log has none."""
    if not log or "learning_rate" not in log[-1]:
        return Markup()
    return _side_by_side([_figure("Learning rate", {"learning_rate": "learning rate"}, log)])


def _side_by_side(plots: Sequence[str]) -> Markup:
    """Plots, whose texts are escaped already."""
    return Markup(f'<div class="plots">{"".join(plots)}</div>')


def _family(column: str) -> tuple[str, int | None]:
    """Split ``dice_2`` into the score and the number of the class."""
    match = re.fullmatch(r"(.+)_(\d+)", column)
    return (match[1], int(match[2])) if match else (column, None)


def _title(score: str) -> str:
    return f"Validation {score.replace('_', ' ')}"


def _figure(title: str, columns: Mapping[str, str], log: Log) -> str:
    """A plot under its title, with the last value of each curve, and its name if there are several."""
    best, notes = best_row(log), []
    for place, (column, label) in enumerate(columns.items()):
        key = f'<i class="line c{place % 8}"></i>{escape(label)} ' if len(columns) > 1 else ""
        notes.append(f"<span>{key}<b>{_written(log[-1].get(column, math.nan))}</b></span>")
        if best is not None and len(columns) == 1 and column not in NOT_SCORES:
            notes.append(f"<span>best {_written(best.get(column, math.nan))}</span>")
    name = "name many" if len(columns) > 1 else "name"
    head = f'<figcaption><span class="{name}">{escape(title)}</span>{"".join(notes)}</figcaption>'
    return f'<figure class="plot">{head}{_svg(title, list(columns), log)}</figure>'


def _written(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"


def _fit_scale(column: str, values: Sequence[float]) -> Scale:
    """Fit an axis to values: mistakes and rates count from 0, losses that span decades by their logarithm."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low > 0 and lower_is_better(column) and high > 20 * low:
        return Scale(low / 1.2, high * 1.2, log=True)
    if low >= 0 and high > 0 and (lower_is_better(column) or column == "learning_rate"):
        return Scale(0, 1.06 * high)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return Scale(low - margin, high + margin)


def _svg(title: str, columns: Sequence[str], log: Log) -> str:
    """One plot: grid, the row of the best model, curves."""
    end = max(max(row["seconds"] for row in log), 1e-9)
    divisor, unit = next((divisor, unit) for most, divisor, unit in UNITS if end <= most)
    x = Scale(0, end / divisor)
    values = [row[name] for row in log for name in columns if math.isfinite(row.get(name, math.nan))]
    y = _fit_scale(columns[0], values)
    parts = [*_grid(x, y, unit, log, divisor)]
    best = best_row(log)
    if best is not None:
        at = _x(x(best["seconds"] / divisor))
        anchor = "end" if at > WIDTH - 60 else "start"
        parts.append(f'<line class="best" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="best" x="{at}" y="{TOP - 4}" text-anchor="{anchor}">best model</text>')
    for place, column in enumerate(columns):
        parts += _curve(place, column, log, x, y, divisor)
    label = escape(f"{title} over time", quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _grid(x: Scale, y: Scale, unit: str, log: Log, divisor: float) -> Iterator[str]:
    """Lines and numbers; along the bottom the time, and below it the steps made by then."""
    for tick in y.ticks():
        at = _y(y(float(tick)))
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        yield f'<text x="{LEFT - 6}" y="{at + 3.5}" text-anchor="end">{tick}</text>'
    bottom = HEIGHT - BOTTOM
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    times, steps = [0.0, *(row["seconds"] for row in log)], [0.0, *(row["step"] for row in log)]
    for tick in x.ticks():
        at = _x(x(float(tick)))
        step = float(np.interp(float(tick) * divisor, times, steps))
        yield f'<line class="axis" x1="{at}" x2="{at}" y1="{bottom}" y2="{bottom + 4}"/>'
        yield f'<text x="{at}" y="{bottom + 16}" text-anchor="middle">{tick}</text>'
        short = f"{step:.0f}" if step < 10_000 else f"{step / 1000:.3g}k"
        yield f'<text class="step" x="{at}" y="{bottom + 30}" text-anchor="middle">{short}</text>'
    yield f'<text x="{LEFT - 14}" y="{bottom + 16}" text-anchor="end">{unit}</text>'
    yield f'<text class="step" x="{LEFT - 14}" y="{bottom + 30}" text-anchor="end">step</text>'


def _curve(place: int, column: str, log: Log, x: Scale, y: Scale, divisor: float) -> Iterator[str]:
    """A line through the reports, broken where there is no number; dots that say their value."""
    runs: list[list[str]] = [[]]
    dots = []
    for row in log:
        value = row.get(column, math.nan)
        if not math.isfinite(value) or (y.log and value <= 0):
            runs.append([])
            continue
        at = f"{_x(x(row['seconds'] / divisor))},{_y(y(value))}"
        runs[-1].append(at)
        across, down = at.split(",")
        said = f"step {row['step']:.0f}: {value:.4g}"
        dots.append(f'<circle class="c{place % 8}" cx="{across}" cy="{down}" r="2.4"><title>{said}</title></circle>')
    yield from (f'<polyline class="c{place % 8}" points="{" ".join(run)}"/>' for run in runs if len(run) > 1)
    if len(log) <= DOTS:
        yield from dots
