"""Share of a training run that lies behind, and when it reports, by its steps or by the clock."""

from dataclasses import dataclass

from biounet.config import TrainConfig
from biounet.core.errors import TrainingError

__all__ = ["Plan", "TimeBudget", "TimeToFinalise", "of_too_few", "plan"]


FINALISING, MOST = 0.25, 0.5
"""Largest share of the minutes that is kept for the end of a run: with optional work, and without."""

SEARCHING = 0.1
"""Largest share of the minutes that is kept for the search for rules; it goes on as long as minutes are left."""

REPORTING, FEWEST = 0.2, 3
"""Share of the minutes that reports may take before there are fewer of them, and how many there are at least."""

FEW = 100
"""Updates below which a network hardly learns."""

FINEST = 10_000
"""Stretches of equal length that a plan goes through at most, so that one of days is made at once."""


@dataclass(frozen=True)
class TimeToFinalise:
    """Seconds between the last step of a run and its end, as a validation during the run predicts them."""

    needed: float = 0.0
    """To predict and calibrate the held-out images."""
    search: float = 0.0
    """To search for the rules of objects; the search stops when the minutes are over."""
    statistics: float = 0.0
    """To measure the statistics of batch normalisation; fewer batches are measured where minutes are short."""

    def scaled(self, factor: float) -> "TimeToFinalise":
        """Seconds where the held-out images have `factor` times as many pixels; statistics are of training images.

        >>> TimeToFinalise(10.0, 20.0, 5.0).scaled(2.0)
        TimeToFinalise(needed=20.0, search=40.0, statistics=5.0)
        """
        return TimeToFinalise(factor * self.needed, factor * self.search, self.statistics)

    def within(self, minutes: float | None) -> float:
        """Seconds to keep in a run of some minutes: what is needed, and optional work up to a quarter of the minutes.

        Examples
        --------
        Statistics get the rest of 30 s, a quarter of two minutes; the search gets 12 s, a tenth of them.

        >>> [TimeToFinalise(needed, statistics=90.0).within(2) for needed in (10.0, 50.0)]
        [30.0, 50.0]
        >>> TimeToFinalise(10.0, search=90.0).within(2), TimeToFinalise(10.0, search=90.0).within(None)
        (22.0, 100.0)
        """
        if minutes is None:
            return self.needed + self.search + self.statistics
        optional = min(self.search, SEARCHING * 60 * minutes) + self.statistics
        return max(self.needed, min(self.needed + optional, FINALISING * 60 * minutes))


class TimeBudget:
    """Progress of a run by its steps or minutes, and when it reports.

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
    >>> budget.learn(30.0, TimeToFinalise(60.0))    # ten reports would take half of the time: a fifth has room for four
    >>> round(budget.progress(1, 300.0), 3), budget.reports_between(0.19, 0.21)
    (0.588, False)
    """

    def __init__(self, config: TrainConfig, gone: float = 0.0) -> None:
        self._config, self._reports, self._gone = config, config.reports, gone
        self._closing = 0.0

    def progress(self, step: int, seconds: float) -> float:
        """Share of the run that lies behind after so many steps and seconds.

        Raises
        ------
        TrainingError
            If the settings have neither steps nor minutes.
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
        # A report that is due at a step must not come one step later because its share was rounded down.
        return int(progress * self._reports + 1e-9) > int(before * self._reports + 1e-9)

    def learn(self, report: float, finalising: TimeToFinalise) -> None:
        """Keep time for the last report and the end of the run, and make fewer reports if they would take too long.

        Parameters
        ----------
        report : seconds that the last report took
        finalising : TimeToFinalise
        """
        if self._config.minutes is None:
            return
        budget = 60 * self._config.minutes
        # The objects of a bad network take long to find: the first reports expect too long an end.
        self._closing = report + min(finalising.within(self._config.minutes), MOST * budget)
        self._reports = min(self._reports, max(FEWEST, int(REPORTING * budget / max(report, 1e-9))))


def of_too_few(config: TrainConfig, steps: int) -> str:
    """A warning that the minutes of a run hold too few steps to learn from; empty where they hold enough.

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
    """Steps and reports that a run makes in its minutes."""

    steps: int
    reports: int
    finalising: float
    """Seconds between the last step and the end."""


def plan(
    config: TrainConfig,
    *,
    step: float,
    report: float = 0.0,
    finalising: TimeToFinalise = TimeToFinalise(),
    gone: float = 0.0,
) -> Plan:
    """Steps and reports of a run whose steps, and whose reports, take equally long.

    Parameters
    ----------
    config : TrainConfig
        Its steps, or its minutes, and its reports.
    step, report : seconds of each
    finalising : TimeToFinalise
    gone : seconds before the first step

    Examples
    --------
    Of 300 s the last report takes 6 s and the end 24 s; so 270 s are left for steps and the other nine reports.

    >>> plan(TrainConfig(minutes=5, reports=10), step=1.0, report=6.0, finalising=TimeToFinalise(20.0, 4.0))
    Plan(steps=216, reports=10, finalising=24.0)
    >>> plan(TrainConfig(steps=500, reports=10), step=1.0, report=6.0)
    Plan(steps=500, reports=10, finalising=0.0)
    """
    budget, made, seconds, reports, progress = TimeBudget(config, gone), 0, gone, 0, 0.0
    whole = config.steps or round(60 * (config.minutes or 0) / max(step, 1e-9))
    stretch = max(1, whole // FINEST)
    while progress < 1:
        steps = min(stretch, config.steps - made) if config.steps else stretch
        made, seconds = made + steps, seconds + steps * step
        before, progress = progress, max(progress, budget.progress(made, seconds))
        if budget.reports_between(before, progress):
            reports, seconds = reports + 1, seconds + report
            budget.learn(report, finalising)
            progress = max(progress, budget.progress(made, seconds))
    return Plan(made, reports, finalising.within(config.minutes))
