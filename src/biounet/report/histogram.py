"""A histogram of the sizes of objects, of expert and network beside each other."""

import numpy as np
from numpy.typing import NDArray

from biounet.report.templates import render

__all__ = ["histogram"]


BINS = 24
WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 34, 708, 12, 30
FLOOR = HEIGHT - BOTTOM


def histogram(expert: NDArray[np.int64] | None, network: NDArray[np.int64], *, unit: str = "px") -> str:
    """Sizes of objects of expert and network as a chart on a logarithmic axis, as HTML; empty without objects.

    Parameters
    ----------
    expert, network : pixels per object; None without an expert
    unit : of the sizes
    """
    sides = {"expert": expert, "network": network} if expert is not None else {"network": network}
    every = np.concatenate(list(sides.values()))
    if not every.size:
        return ""
    low, high = every.min() / 1.1, every.max() * 1.1
    ends = np.geomspace(low, high, BINS + 1)
    counts = {side: np.histogram(sizes, ends)[0] for side, sizes in sides.items()}
    most = max(int(count.max()) for count in counts.values())
    ticks = [value for decade in range(10) for value in (10**decade, 3 * 10**decade) if low <= value <= high]
    places = LEFT + (RIGHT - LEFT) * np.log(np.array(ticks) / low) / np.log(high / low)
    return render(
        "histogram.html",
        bars=[bar for side in sides for bar in _bars(side, counts[side], ends, most, list(sides), unit)],
        ticks=[(f"{tick:,}", round(float(at), 1)) for tick, at in zip(ticks, places, strict=True)],
        sides=[(side, LOOKS[side], len(sizes), _median(sizes)) for side, sizes in sides.items()],
        most=most,
        unit=unit,
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=RIGHT,
        floor=FLOOR,
    )


LOOKS = {"expert": "truth", "network": "result"}


def _median(sizes: NDArray[np.int64]) -> str:
    return f"{np.median(sizes):,.0f}" if len(sizes) else ""


def _bars(
    side: str, counts: NDArray[np.int64], ends: NDArray[np.float64], most: int, sides: list[str], unit: str
) -> list[dict[str, str | float]]:
    """Bars of one side, as wide as the sides leave room."""
    step = (RIGHT - LEFT) / BINS
    width = 0.88 * step / len(sides)
    begin = LEFT + 0.06 * step + sides.index(side) * width
    bars = []
    for place in np.flatnonzero(counts).tolist():
        height = (FLOOR - TOP) * int(counts[place]) / most
        said = f"{side}: {counts[place]} of {ends[place]:,.0f} to {ends[place + 1]:,.0f} {unit}"
        bar = {"x": begin + place * step, "y": FLOOR - height, "width": width - 1, "height": height}
        bars.append({"side": side, "said": said} | {name: round(value, 1) for name, value in bar.items()})
    return bars
