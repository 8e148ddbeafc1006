"""Draw the figure of docs/serve.md from benchmarks/results/serve.json: python docs/make_serve_figure.py."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks" / "results" / "serve.json"
FIGURE = HERE / "pictures" / "serve-scores.svg"

WIDTH, HEIGHT, LEFT, TOP, GAP = 320, 200, 44, 48, 64
"""Pixels of a panel, and of the room around it."""

WAYS = {
    ("nothing", False): ("#3a8fd0", "corrected view by view"),
    ("nuclei", False): ("#d55e00", "the same, begun with nuclei"),
    ("nothing", True): ("#009e73", "trained once, all objects drawn"),
}
"""(Start, whether all objects are drawn first) -> colour, and words."""

TICK = 0.5
"""Minutes from number to number."""

GREY = "#7d8590"
"""Reads on white and on black."""


def place(panel: int, minutes: float, score: float, most: float) -> tuple[float, float]:
    """Pixel of a score."""
    return LEFT + panel * (WIDTH + GAP) + WIDTH * minutes / most, TOP + HEIGHT * (1 - score)


def text(
    point: tuple[float, float],
    words: object,
    *,
    by: tuple[float, float] = (0, 0),
    anchor: str = "middle",
    colour: str = GREY,
) -> str:
    """Words at a pixel, moved by some."""
    x, y = point[0] + by[0], point[1] + by[1]
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def axes(panel: int, name: str, most: float) -> Iterator[str]:
    """Lines, numbers and name of a panel."""
    for score in (0, 0.25, 0.5, 0.75, 1):
        (x, y), (end, _) = place(panel, 0, score, most), place(panel, most, score, most)
        yield f'<path d="M{x:.0f} {y:.1f}H{end:.0f}" stroke="{GREY}" stroke-opacity="0.35"/>'
        yield text((x, y), f"{score:g}", by=(-6, 4), anchor="end")
    for tick in range(int(most / TICK) + 1):
        yield text(place(panel, tick * TICK, 0, most), f"{tick * TICK:g}", by=(0, 17))
    yield text(place(panel, most / 2, 0, most), "minutes", by=(0, 34))
    yield text(place(panel, most / 2, 1, most), f"{name}: AP at 0.5", by=(0, -10))


def curve(panel: int, run: dict[str, Any], most: float) -> Iterator[str]:
    """Line and dots of a run, with the number of strokes at its end."""
    colour, _ = WAYS[run["start"], run["full"]]
    points = [place(panel, row["minutes"], row["ap50"], most) for row in run["rows"]]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    yield f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points)
    by, anchor = ((-8, 4), "end") if run["full"] else ((8, 4), "start")
    yield text(points[-1], run["rows"][-1]["strokes"], by=by, anchor=anchor, colour=colour)


def main() -> None:
    """Write the figure."""
    runs = json.loads(RESULTS.read_text())
    names = list(dict.fromkeys(run["dataset"] for run in runs))
    most = max(row["minutes"] for run in runs for row in run["rows"])
    parts = []
    for panel, name in enumerate(names):
        parts += axes(panel, name, most)
        parts += [part for run in runs if run["dataset"] == name for part in curve(panel, run, most)]
    x = LEFT
    for colour, words in WAYS.values():
        parts.append(f'<circle cx="{x + 4}" cy="12" r="4" fill="{colour}"/>')
        parts.append(text((x + 13, 16), words, anchor="start"))
        x += 225
    wide, high = LEFT + len(names) * (WIDTH + GAP), TOP + HEIGHT + 44
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif"'
    FIGURE.write_text(f'{head} font-size="12">\n' + "\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    main()
