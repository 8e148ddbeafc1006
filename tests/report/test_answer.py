"""The answer that a report begins with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biounet.report.answer import answer_classes, answer_images, answer_objects, range_of_share, so_far


def counts(objects, predicted, found, *, missed=0, false=0, merges=0, splits=0):
    given = {"objects": objects, "predicted": predicted, "found": found}
    return given | {"missed": missed, "false": false, "merges": merges, "splits": splits}


def test_objects_in_a_sentence():
    two = {"a.tif": counts(30, 25, 24, missed=4, merges=1), "b.tif": counts(24, 21, 19, missed=4, merges=1)}
    answer = answer_objects(two)
    assert answer.sentence == "43 of 54 objects found on 2 images never trained on; 8 missed, 0 false, 2 merged"
    assert answer.verdict == "usable"  # F1 is 2 * 43 / (54 + 46) = 0.86
    assert answer.advice[0] == "Counts are 15 % too low in all: 46 for 54."
    assert answer.advice[1] == "Most mistakes are missed objects: label more images like b.tif, and train longer."
    assert answer.doubt.startswith("2 images are few: on others like these expect 67 % to 88 % found")


@pytest.mark.parametrize(
    ("given", "verdict", "heading"),
    [
        (counts(100, 100, 95), "good", "Good enough for counting"),
        (counts(100, 80, 85), "usable", "Usable after a look at the results"),  # F1 of 0.94, but 20 % too few
        (counts(100, 100, 60), "poor", "Not good enough yet"),
        (counts(100, 40, 0, false=40), "nothing", "Nothing found"),
        (counts(100, 0, 0, missed=100), "nothing", "Nothing found"),
        (counts(0, 3, 0), "unknown", "Not known: no object is labelled here"),
    ],
)
def test_verdicts_on_objects(given, verdict, heading):
    answer = answer_objects({"a.tif": given})
    assert (answer.verdict, answer.heading) == (verdict, heading)


def test_nothing_found_says_what_to_do():
    advice = " ".join(answer_objects({"a.tif": counts(5, 0, 0)}).advice)
    assert "drew no object at all" in advice
    assert "Train longer" in advice
    assert "drew 2 objects, none of which matches" in answer_objects({"a.tif": counts(5, 2, 0)}).advice[0]


@pytest.mark.parametrize(
    ("mistakes", "said"),
    [({"false": 20}, "false objects"), ({"merges": 20}, "merged"), ({"splits": 20}, "into pieces")],
)
def test_advice_follows_the_most_frequent_mistake(mistakes, said):
    assert said in answer_objects({"a.tif": counts(100, 100, 80, **mistakes)}).advice[1]


def test_the_image_with_most_of_a_mistake_is_named_though_another_is_worse():
    few = {"worse.tif": counts(9, 8, 8, missed=1), "a.tif": counts(16, 23, 15, false=4, splits=3)}
    assert answer_objects(few).advice[1].endswith("as in a.tif.")


def test_range_of_few_images_is_that_of_wilson_and_of_many_that_of_images():
    # Wilson 1927 for 8 of 10: statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson")
    low, high = range_of_share(np.array([8.0]), np.array([10.0]))
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    same = range_of_share(np.full(6, 8.0), np.full(6, 10.0))
    assert same == pytest.approx((0.8, 0.8)), "images that are alike leave no doubt"
    apart = range_of_share(np.array([10.0, 10, 10, 10, 10, 0]), np.full(6, 10.0))
    # Residuals from 5/6: five of 10/6 and one of -50/6, so the error is sqrt(6/5 * 2500/30) / 60 = 1/6
    assert apart == pytest.approx((5 / 6 - 1.96 / 6, 1.0))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=9))
def test_a_range_lies_around_its_share(images):
    whole = np.array([max(pair) for pair in images], float)
    part = np.array([min(pair) for pair in images], float)
    low, high = range_of_share(part, whole)
    assert 0 <= low <= part.sum() / whole.sum() + 1e-9
    assert part.sum() / whole.sum() - 1e-9 <= high <= 1


def test_classes_in_a_sentence():
    table = np.array([[80, 5, 0], [0, 10, 0], [5, 0, 0]])
    answer = answer_classes(table, ["background", "nucleus", "fibre"], 3, worst="b.tif")
    assert answer.sentence == (
        "Dice of nucleus 0.800, fibre 0.000 on 3 images never trained on; 90 % of all pixels have the right class"
    )
    assert answer.verdict == "poor"
    assert answer.advice == (
        "fibre is the weakest class: label more of it, such as b.tif.",
        "fibre is never predicted.",
    )
    assert answer.doubt.startswith("3 images are few.")


@pytest.mark.parametrize(
    ("table", "verdict"),
    [
        ([[90, 0], [0, 10]], "good"),
        ([[90, 3], [2, 8]], "usable"),
        ([[90, 0], [10, 0]], "nothing"),
        ([[100, 0], [0, 0]], "unknown"),
        ([[0, 0], [0, 0]], "unknown"),
    ],
)
def test_verdicts_on_classes(table, verdict):
    assert answer_classes(np.array(table), ["background", "cell"], 9).verdict == verdict


@pytest.mark.parametrize(("r2", "verdict"), [(0.95, "good"), (0.8, "usable"), (0.2, "poor"), (-1, "nothing")])
def test_verdicts_on_images(r2, verdict):
    assert answer_images({"a": {"r2": r2}}).verdict == verdict
    assert answer_images({"a": {"r2": float("nan")}}).verdict == "unknown"


def test_a_run_that_goes_on_has_no_verdict_yet():
    nothing = answer_objects({"a.tif": counts(5, 0, 0, missed=5)})
    answer = so_far(nothing, rules=True)
    assert answer.sentence == nothing.sentence
    assert (answer.verdict, answer.advice) == ("unknown", ())
    assert "may find a few more" in answer.doubt
    assert so_far(nothing, rules=False).doubt == ""
