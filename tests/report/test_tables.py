"""Tables of a page."""

import numpy as np

from biounet.report.tables import confusion_table, score_table
from html_page import Page


def test_confusion_counts_and_shares():
    page = Page(confusion_table(np.array([[1500, 500], [0, 0]]), ["membrane", "cell"]))
    assert confusion_table(None, []) == ""
    assert "75.0%1,50025.0%5002,000" in page.text
    assert "–0–00" in page.text


def test_below_the_table_stand_the_mean_of_scores_and_the_sum_of_counts():
    few, many = ({"ap": ap, "missed": missed} for ap, missed in ((0.25, 1), (0.75, 1200)))
    text = Page(score_table({"a": few, "b": many}, [])).text.replace("\n", "")
    assert text.startswith("imageapmisseda0.25001b0.75001,200mean, of counts the sum0.50001,201")
    assert Page(score_table({"a": {"dice": 0.5}}, [])).text.replace("\n", "") == "imagedicea0.5000mean0.5000"
    assert score_table({"a": {}}, []) == ""
