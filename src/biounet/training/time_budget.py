"""How far a run is, and when it reports, by its steps or by the clock; a run asks, and so does who forecasts it."""

import math
from dataclasses import dataclass

from biounet.config import TrainConfig
from biounet.core.errors import TrainingError

__all__ = ["Plan", "TimeBudget", "of_too_few", "plan", "time_to_finalise"]


SETTLING, MOST = 0.25, 0.5
"""Largest share of the minutes that is left for what may follow the last step, and for what must."""

REPORTING, FEWEST = 0.2, 3
"""Share of the minutes that reports may take before there are fewer of them, and how many there are at least."""

FEW = 100
"""Updates from less than which a network hardly learns."""

FINEST = 10_000
"""Stretches of equal length that a plan goes through at most, so that one of days is made at once."""


class TimeBudget:
    """How far a run is, and when it reports.

    Parameters
    ----------
    config : TrainConfig
        Its steps, or its minutes, and its reports.
    gone : seconds before the first step
        They count, but the schedule begins with the first step.

    Examples
    --------
    >>> TimeBudget(TrainConfig(minutes=10), gone=200.0).progress(1, 300.0)
    0.25
    >>> budget = TimeBudget(TrainConfig(minutes=10, reports=10))
    >>> budget.progress(1, 300.0), budget.reports_between(0.19, 0.21)
    (0.5, True)
    >>> budget.learn(30.0, 60.0)              # ten reports would take half of the time: a fifth has room for four
    >>> round(budget.progress(1, 300.0), 3), budget.reports_between(0.19, 0.21)
    (0.588, False)
    """

    def __init__(self, config: TrainConfig, gone: float = 0.0) -> None:
        self._config, self._reports, self._gone = config, config.reports, gone
        self._closing = 0.0

    def progress(self, step: int, seconds: float) -> float:
        """Share of the run that lies behind after so many steps, and seconds.

        Raises
        ------
        TrainingError
            If nothing says how long the run is.
        """
        if self._config.steps is not None:
            return min(1.0, step / self._config.steps)
        if self._config.minutes is None:
            raise TrainingError("say how long to train: --minutes M or --steps N")
        # The first step is always made, so that there is a model at the end of any budget.
        whole = max(60 * self._config.minutes - self._closing - self._gone, 1e-9)
        return min(1.0, (seconds - self._gone) / whole) if step else 0.0

    def reports_between(self, before: float, progress: float) -> bool:
        """Whether a report is due."""
        # So that a report which is due at a step does not come one later, where the share of it was rounded down.
        return int(progress * self._reports + 1e-9) > int(before * self._reports + 1e-9)

    def learn(self, report: float, afterwards: float) -> None:
        """From the seconds of a report: the last must fit into the minutes too, and all may not eat them.

        Parameters
        ----------
        report : seconds that the last one took
        afterwards : seconds of what follows the last step, see `time_to_finalise`
        """
        if self._config.minutes is None:
            return
        budget = 60 * self._config.minutes
        # Of a bad network what follows seems long.
        self._closing = report + min(afterwards, MOST * budget)
        self._reports = min(self._reports, max(FEWEST, int(REPORTING * budget / max(report, 1e-9))))


def time_to_finalise(config: TrainConfig, needed: float, useful: float) -> float:
    """Seconds to keep for what follows the last step: all that must, and of what may as much as the minutes allow.

    >>> [time_to_finalise(TrainConfig(minutes=2), needed, 90.0) for needed in (10.0, 50.0)]     # a quarter: 30 s
    [30.0, 50.0]
    """
    most = math.inf if config.minutes is None else SETTLING * 60 * config.minutes
    return max(needed, min(needed + useful, most))


def of_too_few(config: TrainConfig, steps: int) -> str:
    """Say that a run learns hardly anything, if its minutes hold so few steps.

    >>> of_too_few(TrainConfig(minutes=1), 2)
    '1 minutes hold 2 steps only, and a network hardly learns from less than 100; give more --minutes'
    >>> of_too_few(TrainConfig(minutes=1), 200), of_too_few(TrainConfig(steps=2), 2)
    ('', '')
    """
    if config.minutes is None or steps >= FEW:
        return ""
    held = f"{config.minutes:g} minutes hold {steps} step{'s' * (steps != 1)} only"
    return f"{held}, and a network hardly learns from less than {FEW}; give more --minutes"


@dataclass(frozen=True)
class Plan:
    """What a run makes of its steps or minutes."""

    steps: int
    reports: int
    finalising: float
    """Seconds of what follows the last step."""


def plan(
    config: TrainConfig,
    *,
    step: float,
    report: float = 0.0,
    finalising: tuple[float, float] = (0.0, 0.0),
    gone: float = 0.0,
) -> Plan:
    """Go through a run whose steps, and whose reports, take equally long.

    Parameters
    ----------
    config : TrainConfig
        Its steps, or its minutes, and its reports.
    step, report : seconds of each
    finalising : seconds of what must follow the last step, and of what is done if there is time
    gone : seconds before the first step

    Examples
    --------
    Of 300 s the last report takes 6 and what follows 24; so there are 270 for steps and the other nine reports.

    >>> plan(TrainConfig(minutes=5, reports=10), step=1.0, report=6.0, finalising=(20.0, 4.0))
    Plan(steps=216, reports=10, finalising=24.0)
    >>> plan(TrainConfig(steps=500, reports=10), step=1.0, report=6.0)
    Plan(steps=500, reports=10, finalising=0.0)
    """
    budget, made, seconds, reports, progress = TimeBudget(config, gone), 0, gone, 0, 0.0
    afterwards = time_to_finalise(config, *finalising)
    whole = config.steps or round(60 * (config.minutes or 0) / max(step, 1e-9))
    stretch = max(1, whole // FINEST)
    while progress < 1:
        steps = min(stretch, config.steps - made) if config.steps else stretch
        made, seconds = made + steps, seconds + steps * step
        before, progress = progress, max(progress, budget.progress(made, seconds))
        if budget.reports_between(before, progress):
            reports, seconds = reports + 1, seconds + report
            budget.learn(report, afterwards)
            progress = max(progress, budget.progress(made, seconds))
    return Plan(made, reports, afterwards)
