"""Numbers as people read them."""

import math

from biounet.report.numbers import breakable, number


def test_numbers_are_written_for_people():
    assert [number(value) for value in (0.0, 1.0, 0.5, 0.000346, math.nan, -math.inf, 0, 1234)] == [
        *("0.0000", "1.0000", "0.5000", "0.000346", "–", "−∞", "0", "1,234")
    ]


def test_names_break_at_words_and_stay_text():
    assert breakable("a_b-<c>.tif") == "a_<wbr>b-<wbr>&lt;c&gt;<wbr>.tif"
