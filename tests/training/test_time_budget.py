"""When a run reports and how many steps it makes, worked by hand; `test_train.py` compares a plan with a run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.config import TrainConfig
from biounet.core.errors import TrainingError
from biounet.training.time_budget import FEWEST_REPORTS, MOST_STRETCHES, Plan, TimeBudget, TimeToFinalise, plan

SECONDS = st.floats(0.01, 100)


def minutes(count, *, reports=10):
    return TrainConfig(minutes=count, reports=reports)


def test_progress_is_the_share_of_the_steps_or_of_the_minutes_without_the_last_report_and_the_end():
    assert TimeBudget(TrainConfig(steps=8)).progress(2, 1000.0) == 0.25
    budget = TimeBudget(minutes(2))
    assert [budget.progress(step, 30.0) for step in (0, 1)] == [0, 0.25]
    budget.reserve(10.0, TimeToFinalise(20.0))
    assert budget.progress(1, 45.0) == 0.5  # of 120 - 10 - 20 s
    budget.reserve(10.0, TimeToFinalise(1000.0))
    assert budget.progress(1, 25.0) == 0.5  # half of the minutes at most is left: 120 - 10 - 60 s


def test_a_run_without_steps_and_minutes_is_refused():
    with pytest.raises(TrainingError, match="--minutes M or --steps N"):
        TimeBudget(TrainConfig()).progress(1, 1.0)
    with pytest.raises(TrainingError, match="--minutes M or --steps N"):
        plan(TrainConfig(), step=1.0)


def test_reports_that_take_longer_than_a_fifth_of_the_minutes_are_fewer():
    """Ten reports of 24 s would take 80 % of five minutes, and a fifth has room for two."""
    # The first after a tenth of 300 s, then three at thirds of the 276 s before the last one: 276 - 3 * 24 steps.
    assert plan(minutes(5), step=1.0, report=24.0) == Plan(204, 1 + FEWEST_REPORTS, 0.0)
    assert plan(minutes(5), step=1.0, report=6.0) == Plan(294 - 9 * 6, 10, 0.0)


def test_time_before_the_first_step_and_after_the_last_step_is_taken_from_the_minutes():
    assert plan(minutes(5, reports=1), step=1.0, setup=100.0) == Plan(200, 1, 0.0)
    # Reports stand at tenths of the steps, not of the minutes: the first would be due at once.
    assert plan(minutes(5), step=1.0, setup=200.0) == Plan(100, 10, 0.0)
    # The duration of a report and of the end is unknown before the first report.
    assert plan(minutes(5, reports=2), step=1.0, report=10.0, finalising=TimeToFinalise(30.0, 10.0)) == Plan(
        300 - 10 - 40 - 10, 2, 40.0
    )
    assert plan(minutes(1), step=1.0, setup=600.0) == Plan(1, 1, 0.0)


@given(st.integers(1, 200), st.integers(1, 50), SECONDS, SECONDS)
def test_a_run_by_steps_makes_all_steps_and_reports_however_long_they_take(steps, reports, step, report):
    assert plan(TrainConfig(steps=steps, reports=reports), step=step, report=report) == Plan(
        steps, min(steps, reports), 0.0
    )


@pytest.mark.parametrize(
    ("length", "finalising", "kept"),
    [
        (2, TimeToFinalise(10, statistics=15), 25),
        (2, TimeToFinalise(10, statistics=90), 30),
        (2, TimeToFinalise(50, statistics=90), 50),
        (2, TimeToFinalise(10, search=90), 22),
        (2, TimeToFinalise(10, search=90, statistics=90), 30),
        (None, TimeToFinalise(50, 60, 30), 140),
    ],
)
def test_optional_work_gets_a_quarter_of_the_minutes_and_its_search_a_tenth(length, finalising, kept):
    config = TrainConfig(steps=5) if length is None else minutes(length)
    assert plan(config, step=1.0, finalising=finalising).finalising == kept


@given(SECONDS, st.floats(1.0, 100.0), st.floats(0.0, 600.0), st.floats(0.0, 1000.0))
def test_minutes_are_exceeded_by_a_step_and_the_first_report_at_most(step, report, needed, optional):
    """Twenty minutes, of which half is enough for the end, also where prediction costs more than training."""
    whole = plan(minutes(20), step=step, report=report, finalising=TimeToFinalise(needed, statistics=optional))
    seconds = whole.steps * step + whole.reports * report + whole.finalising
    assert seconds <= 1200 + step + report
    assert FEWEST_REPORTS <= whole.reports <= 10 or whole.steps < 10


def test_a_plan_of_days_is_made_in_long_stretches():
    whole = plan(minutes(60 * 24 * 7), step=0.01, report=10.0)
    assert whole.reports == 10
    exact = 60 * 60 * 24 * 7 / 0.01
    assert whole.steps == pytest.approx(exact, rel=2 / MOST_STRETCHES)
    assert plan(TrainConfig(steps=10**7 + 1, reports=10), step=0.01) == Plan(10**7 + 1, 10, 0.0)
