"""Curves of a run as SVG."""

import math
import re

from hypothesis import example, given
from hypothesis import strategies as st

from biounet.report.curves import Scale, curves, learning_rate
from html_page import Page
from report_pictures import row


@given(st.floats(-1e4, 1e4), st.floats(1e-5, 1e4))
@example(low=0.0078125, span=1e-05)  # small numbers of which the third digit counts
@example(low=0.0, span=3e-5)
def test_ticks_are_few_and_on_the_axis(low, span):
    scale = Scale(low, low + span)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 7
    assert all(-0.02 <= scale(float(tick)) <= 1.02 for tick in ticks)


def test_ticks_by_hand():
    assert Scale(0.71, 0.96).ticks() == ["0.75", "0.80", "0.85", "0.90", "0.95"]
    assert Scale(0, 20).ticks() == ["0", "5", "10", "15", "20"]
    assert Scale(0.02, 2, log=True).ticks() == ["0.03", "0.1", "0.3", "1"]


def test_a_point_of_a_curve_by_hand():
    html = curves([row(10, loss=0.0), row(20, loss=1.0)])  # axes: 0 to 40 s, and 0 to 1.06
    points = re.search(r'aria-label="Training loss.*?points="([^"]+)"', html)[1]
    # x: half of 380 - 46 - 16 after 46; y: 1/1.06 of 206 - 14 - 38 above 206 - 38
    assert points == "205.0,168.0 364.0,22.7"


def test_what_is_no_score_is_not_drawn_as_one():
    html = curves([row(1, waiting=0.1, threshold=0.5)] * 2)
    assert [name in html for name in ("Validation score", "waiting", "threshold")] == [True, False, False]


def test_gaps_where_there_is_no_number():
    html = curves([row(step, score=math.nan if step == 3 else step / 10) for step in range(1, 7)])
    lines = [len(line.split()) for line in re.findall(r'points="([^"]+)"', html)]
    assert lines == [6, 2, 3]  # loss, score before and after the gap
    assert "nan" not in html


def test_a_log_of_one_report_and_of_no_numbers(tmp_path):
    Page(curves([row(1)]))
    Page(curves([row(1, loss=math.inf, score=math.nan, dice_0=math.nan, dice_1=0.0)] * 2))


def test_scores_of_classes_share_a_plot():
    page = Page(curves([row(1, dice_0=0.4, dice_1=0.6)] * 2, class_names=["membrane", "cell"]))
    assert len(page.all("svg")) == 3  # loss, score, Dice
    assert "membrane" in page.text


def test_the_learning_rate_has_a_plot_of_its_own():
    page = Page(learning_rate([row(1), row(2)]))
    assert len(page.all("svg")) == 1
    assert "Learning rate" in page.text
    assert not learning_rate([])
