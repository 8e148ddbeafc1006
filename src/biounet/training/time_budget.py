"""Progress of a training run, by its steps or by the clock, and the time that it keeps for its reports and its end."""

from dataclasses import dataclass

from biounet.config import TrainConfig
from biounet.core.errors import TrainingError
from biounet.core.words import counted

__all__ = ["Plan", "TimeBudget", "TimeToFinalise", "plan", "warning_of_few_steps"]


MOST_NEEDED = 0.5
"""Largest share of `train.minutes` that is kept for the end of a run."""

MOST_WITH_OPTIONAL = 0.25
"""Largest share of `train.minutes` that is kept for the end of a run if part of it is optional work."""

MOST_SEARCH = 0.1
"""Largest share of `train.minutes` that is kept for the search for object rules, which uses all of it."""

MOST_REPORTS = 0.2
"""Share of `train.minutes` that reports may take; a run whose reports would take more makes fewer of them."""

FEWEST_REPORTS = 3
"""Number of reports that a run makes at least, however long they take."""

FEW_STEPS = 100
"""Steps below which a network hardly learns."""

MOST_STRETCHES = 10_000
"""Number of stretches of equally many steps that `plan` goes through at most, so that a plan of days is fast."""


@dataclass(frozen=True)
class TimeToFinalise:
    """Seconds between the last step of a run and its end, estimated by a validation during the run."""

    needed: float = 0.0
    """To predict and calibrate the held-out images."""
    search: float = 0.0
    """To search for the rules of objects; the search stops when `train.minutes` are over."""
    statistics: float = 0.0
    """To measure the statistics of batch normalisation, on fewer batches where time is short."""

    def scaled(self, factor: float) -> "TimeToFinalise":
        """Seconds for `factor` times as many held-out pixels; statistics stay, since training images give them.

        >>> TimeToFinalise(10.0, 20.0, 5.0).scaled(2.0)
        TimeToFinalise(needed=20.0, search=40.0, statistics=5.0)
        """
        return TimeToFinalise(factor * self.needed, factor * self.search, self.statistics)

    def within(self, minutes: float | None) -> float:
        """Seconds to keep for the end of a run: those that are needed, and those of optional work, if time allows.

        Parameters
        ----------
        minutes : duration of the whole run
            Optional work gets time until the end takes a quarter of the run. None: all optional work gets its time.

        Examples
        --------
        In two minutes the end gets a quarter, 30 s. Where 10 s are needed, 20 s are left for statistics; where 50 s
        are needed, none. The search gets at most a tenth, 12 s.

        >>> [TimeToFinalise(needed, statistics=90.0).within(2) for needed in (10.0, 50.0)]
        [30.0, 50.0]
        >>> TimeToFinalise(10.0, search=90.0).within(2), TimeToFinalise(10.0, search=90.0).within(None)
        (22.0, 100.0)
        """
        if minutes is None:
            return self.needed + self.search + self.statistics
        optional = min(self.search, MOST_SEARCH * 60 * minutes) + self.statistics
        return max(self.needed, min(self.needed + optional, MOST_WITH_OPTIONAL * 60 * minutes))


class TimeBudget:
    """Progress of a run, as the share of its steps or of its minutes, and whether a report is due.

    Parameters
    ----------
    config : TrainConfig
        `steps` or `minutes`, and `reports`, are read.
    setup : seconds before the first step
        They are part of the minutes, but progress is 0 until the first step is made.

    Examples
    --------
    Ten minutes are 600 s. After a setup of 200 s, 100 of the other 400 s have passed:

    >>> TimeBudget(TrainConfig(minutes=10), setup=200.0).progress(1, 300.0)
    0.25

    Ten reports of 30 s would take half of the time. A fifth has room for four, so the next is due later:

    >>> budget = TimeBudget(TrainConfig(minutes=10, reports=10))
    >>> budget.progress(1, 300.0), budget.reports_between(0.19, 0.21)
    (0.5, True)
    >>> budget.reserve(30.0, TimeToFinalise(60.0))
    >>> round(budget.progress(1, 300.0), 3), budget.reports_between(0.19, 0.21)
    (0.588, False)
    """

    def __init__(self, config: TrainConfig, setup: float = 0.0) -> None:
        self._config, self._reports, self._setup = config, config.reports, setup
        self._reserved = 0.0

    def progress(self, step: int, seconds: float) -> float:
        """Share of the run that is done, in [0, 1]; 1 ends the steps.

        Parameters
        ----------
        step : number of steps that are made
        seconds : since the run began

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
        available = max(60 * self._config.minutes - self._reserved - self._setup, 1e-9)
        return min(1.0, (seconds - self._setup) / available) if step else 0.0

    def reports_between(self, before: float, progress: float) -> bool:
        """Whether a report is due after a step that brought the progress from `before` to `progress`."""
        # 1e-9: a report that is due at a step must not come one step later because progress was rounded down.
        return int(progress * self._reports + 1e-9) > int(before * self._reports + 1e-9)

    def reserve(self, report: float, finalising: TimeToFinalise) -> None:
        """Reserve time for the last report and the end of the run, and make fewer reports if they would take too long.

        Parameters
        ----------
        report : seconds that the last report took
        finalising : TimeToFinalise
        """
        if self._config.minutes is None:
            return
        budget = 60 * self._config.minutes
        # The limit: it takes long to find objects in noise, so validations of a network that knows little overestimate.
        self._reserved = report + min(finalising.within(self._config.minutes), MOST_NEEDED * budget)
        self._reports = min(self._reports, max(FEWEST_REPORTS, int(MOST_REPORTS * budget / max(report, 1e-9))))


def warning_of_few_steps(config: TrainConfig, steps: int) -> str:
    """A warning that `train.minutes` allow too few steps to learn from; empty where they allow enough.

    >>> warning_of_few_steps(TrainConfig(minutes=1), 2)
    '--minutes 1 is time for 2 steps, and a network hardly learns from less than 100; give more'
    >>> warning_of_few_steps(TrainConfig(minutes=1), 200), warning_of_few_steps(TrainConfig(steps=2), 2)
    ('', '')
    """
    if config.minutes is None or steps >= FEW_STEPS:
        return ""
    held = f"--minutes {config.minutes:g} is time for {counted(steps, 'step')}"
    return f"{held}, and a network hardly learns from less than {FEW_STEPS}; give more"


@dataclass(frozen=True)
class Plan:
    """Numbers of steps and reports that a run will make, and the duration of its end."""

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
    setup: float = 0.0,
) -> Plan:
    """Plan of a run in which all steps take equally long, and all reports.

    Parameters
    ----------
    config : TrainConfig
        `steps` or `minutes`, and `reports`, are read.
    step : seconds of a step
    report : seconds of a report
    finalising : TimeToFinalise
    setup : seconds before the first step

    Examples
    --------
    Of 300 s, nine reports take 54 s, the last report 6 s and the end 24 s. The other 216 s are steps of 1 s.

    >>> plan(TrainConfig(minutes=5, reports=10), step=1.0, report=6.0, finalising=TimeToFinalise(20.0, 4.0))
    Plan(steps=216, reports=10, finalising=24.0)
    >>> plan(TrainConfig(steps=500, reports=10), step=1.0, report=6.0)
    Plan(steps=500, reports=10, finalising=0.0)
    """
    budget = TimeBudget(config, setup)
    steps, reports, seconds, progress = 0, 0, setup, 0.0
    estimate = config.steps or round(60 * (config.minutes or 0) / max(step, 1e-9))
    stretch = max(1, estimate // MOST_STRETCHES)
    while progress < 1:
        made = min(stretch, config.steps - steps) if config.steps else stretch
        steps, seconds = steps + made, seconds + made * step
        before, progress = progress, max(progress, budget.progress(steps, seconds))
        if budget.reports_between(before, progress):
            reports, seconds = reports + 1, seconds + report
            budget.reserve(report, finalising)
            progress = max(progress, budget.progress(steps, seconds))
    return Plan(steps, reports, finalising.within(config.minutes))
