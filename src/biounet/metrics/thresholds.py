"""Scores at the thresholds of the ISBI 2012 challenge, and the best score."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["THRESHOLDS", "Sweep", "f_score"]


THRESHOLDS: tuple[float, ...] = tuple(accumulate([0.1] * 10, initial=0.0))
"""0, 0.1, ... 0.9999999999999999: added up in double precision as the reference program does."""


@dataclass(frozen=True)
class Sweep:
    """One score of a whole stack at every threshold.

    Attributes
    ----------
    values : (T,), float64
        The score at each threshold; NaN where it is undefined, which never is the best.
    thresholds : (T,)
        A pixel is interior if its probability is strictly above.
    better : "min" for errors, "max" for scores
    parts : name to (T,) float64
        Parts of the score at each threshold, such as those of splits and merges.

    Examples
    --------
    >>> sweep = Sweep(np.array([0.5, 0.25, 0.25]), (0.0, 0.1, 0.2), "min")
    >>> sweep.best, sweep.best_threshold
    (0.25, 0.1)
    """

    values: NDArray[np.float64]
    thresholds: tuple[float, ...]
    better: Literal["min", "max"]
    parts: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def _best_index(self) -> int:
        """First threshold that reaches the best value up to rounding; 0 if all are NaN."""
        cost = self.values if self.better == "min" else -self.values
        cost = np.where(np.isnan(cost), np.inf, cost)
        return int(np.argmax(cost <= cost.min() + 1e-12))

    @property
    def best(self) -> float:
        """The number of the leaderboard; the worst possible (0 or 1) if no threshold is defined."""
        defined = self.values[~np.isnan(self.values)]
        if self.better == "min":
            return float(defined.min(initial=1.0))
        return float(defined.max(initial=0.0))

    @property
    def best_threshold(self) -> float:
        """The first threshold that reaches the best score."""
        return self.thresholds[self._best_index]

    @property
    def best_parts(self) -> dict[str, float]:
        """The parts at the best threshold."""
        return {name: float(part[self._best_index]) for name, part in self.parts.items()}


def f_score(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    """Harmonic mean; 0 where both are 0 or one is NaN.

    >>> f_score(np.array([0.5, 0.0, np.nan]), np.array([1.0, 0.0, 1.0])).round(4)
    array([0.6667, 0.    , 0.    ])
    """
    total = precision + recall
    mean: NDArray[np.float64] = 2 * precision * recall / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, 0.0)
