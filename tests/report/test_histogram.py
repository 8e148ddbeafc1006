"""The histogram of sizes."""

import numpy as np

from biounet.report.histogram import histogram
from html_page import Page


def test_every_object_is_in_a_bar():
    page = Page(histogram(np.array([10, 10, 1000]), np.array([10]), unit="px"))
    bars = [tag["class"] for tag in page.all("rect")]
    assert (bars.count("expert"), bars.count("network")) == (2, 1)
    assert "expert: 2 of 9 to" in page.text
    assert "expert: 3 objects, median 10 px" in page.words
    assert "network: 1 object, median 10 px" in page.words


def test_bars_are_as_high_as_their_counts():
    page = Page(histogram(None, np.array([10, 10, 1000])))
    low, high = sorted(float(tag["height"]) for tag in page.all("rect"))
    assert abs(high - 2 * low) <= 0.1
    assert "expert" not in page.text


def test_nothing_without_objects():
    none = np.array([], int)
    assert histogram(none, none) == ""
    assert "network: 0 objects" in Page(histogram(np.array([5]), none)).words
