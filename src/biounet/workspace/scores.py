"""Scores of predictions against what a person then drew, before the network had seen it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import sayable
from biounet.metrics import match_objects
from biounet.metrics.overlap import confusion, dice_of_foreground, dice_per_class
from biounet.segmentation import score_objects

__all__ = ["ScoreLog", "score_labels"]


COLUMNS = ("seconds", "image", "kind", "step", "pixels", "right", "dice", "ap")

SHOWN = 400
"""Scores that the page shows."""


def score_labels(
    labels: NDArray[np.int32], asked: NDArray[np.int32], *, numbered: bool, whole: bool
) -> Mapping[str, float]:
    """Agreement of labels with what had been predicted for them.

    Parameters
    ----------
    labels : (Y, X), IGNORE where unknown
    asked : (Y, X), what was predicted before a pixel was labelled; IGNORE where nothing was
    numbered : whether labels number objects
    whole : whether all objects are drawn, so that objects can be compared

    Returns
    -------
    pixels, right, and where it can be told dice and ap
        ``right`` is the share of pixels of the right class, or of the right side of foreground and background.

    Examples
    --------
    >>> score_labels(np.array([[0, 1, 1, -1]]), np.array([[0, 5, 0, 5]]), numbered=True, whole=False)["pixels"]
    3
    """
    known = (labels >= 0) & (asked >= 0)
    if not known.any():
        return {"pixels": 0}
    truth, guess = labels[known], asked[known]
    classes = 2 if numbered else 1 + int(max(truth.max(), guess.max(), 1))
    if numbered:
        truth, guess = np.sign(truth), np.sign(guess)
    counts = confusion(truth, guess, classes=classes)
    result: dict[str, float] = {"pixels": int(known.sum()), "right": float(np.trace(counts) / counts.sum())}
    if counts[1:].any() or counts[:, 1:].any():
        dice = dice_of_foreground(counts) if numbered else float(np.nanmean(list(dice_per_class(counts).values())))
        result["dice"] = float(dice)
    if whole and numbered and (labels > 0).any():
        matching = match_objects(np.where(known, labels, -1), np.where(known, asked, 0))
        result["ap"] = float(score_objects([matching], metric="ap"))
    return result


@dataclass(frozen=True)
class ScoreLog:
    """Scores in the order in which they came, in a CSV file.

    Parameters
    ----------
    path : Path
    """

    path: Path

    def add(self, *, image: str, kind: str, step: int, scores: Mapping[str, float]) -> dict[str, float | str]:
        """Append a row, and return it."""
        row: dict[str, float | str] = {"seconds": round(time.time(), 1), "image": image, "kind": kind, "step": step}
        row |= {name: round(value, 4) for name, value in scores.items()}
        with sayable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = not self.path.exists()
            with self.path.open("a", newline="") as stream:
                stream.write(",".join(COLUMNS) + "\n" if new else "")
                stream.write(",".join(_cell(row.get(name, "")) for name in COLUMNS) + "\n")
        return row

    def rows(self) -> list[dict[str, float | str]]:
        """The last rows, at most `SHOWN`."""
        if not self.path.exists():
            return []
        lines = self.path.read_text().splitlines()[1:][-SHOWN:]
        cells = [dict(zip(COLUMNS, line.rsplit(",", len(COLUMNS) - 1), strict=False)) for line in lines]
        words = ("image", "kind")
        return [
            {name: value if name in words else float(value) for name, value in row.items() if value} for row in cells
        ]


def _cell(value: float | str) -> str:
    return (
        str(value).replace(",", " ").replace("\n", " ")
        if isinstance(value, str)
        else f"{value:g}"
        if isinstance(value, float) and abs(value) < 1e6
        else str(value)
    )
