"""Suggestions: the word that was meant is named, and nothing where none is near."""

import pytest

from biounet.core.suggestions import did_you_mean

KNOWN = ("train.batch", "train.patch", "train.learning_rate", "train.validation", "model.width", "model.depth")


@pytest.mark.parametrize("word", KNOWN)
def test_a_letter_too_few_is_no_riddle(word):
    for left_out in range(len(word)):
        if word[left_out] != ".":
            assert word in did_you_mean(word[:left_out] + word[left_out + 1 :], KNOWN)


def test_a_setting_is_found_without_its_group():
    assert did_you_mean("learning_rate", KNOWN) == "did you mean train.learning_rate?"
    assert did_you_mean("learning_rte", KNOWN) == "did you mean train.learning_rate?"
    assert did_you_mean("seed", ["train.seed", "rules.seed"]) == "did you mean train.seed or rules.seed?"


def test_what_is_near_nothing_gets_no_suggestion():
    assert did_you_mean("zzz", KNOWN) == ""
