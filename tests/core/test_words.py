"""Shares, counts and names as messages show them."""

from biounet.core.words import percent


def test_a_share_that_is_not_whole_is_not_rounded_to_all_or_nothing():
    assert [percent(share) for share in (0.0, 0.004, 0.5, 0.996, 1.0)] == ["0 %", "0.4 %", "50 %", "99.6 %", "100 %"]
