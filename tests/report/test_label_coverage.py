"""Shares of labelled pixels."""

import numpy as np

from biounet.core.labels import IGNORE
from biounet.report.label_coverage import LISTED, coverage, coverage_of_pictures
from html_page import Page
from report_pictures import objects_picture


def test_coverage_counts_classes_objects_and_the_unknown():
    truth = np.array([[0, 0, 5, 9], [IGNORE, IGNORE, IGNORE, 9]])
    item = objects_picture(truth, np.zeros((2, 4), int))
    text = Page(coverage_of_pictures([item], ["background", "cell"])).words
    assert text == "background 25.0%cell 37.5%not labelled 37.5%2 objects"


def test_coverage_of_few_images_by_hand():
    counts = {"a": np.array([0, 3, 1]), "b": np.array([4, 0, 0])}
    text = Page(coverage(counts, ["background", "cell"])).words
    assert text == (
        "background 37.5%cell 12.5%not labelled 50.0% imagebackgroundcellnot labelled a75.0%25.0%–b––100.0%"
    )
    assert coverage({}, ["background", "cell"]) == ""


def test_of_many_images_those_with_the_fewest_labels_are_listed():
    known = {f"known {number}": np.array([0, 3, 1]) for number in range(LISTED)}
    assert not Page(coverage({**known, "one more": np.array([0, 1, 1])}, ["background", "cell"])).all("table")
    page = Page(coverage({**known, "b": np.array([1, 3, 0]), "a": np.array([2, 1, 1])}, ["background", "cell"]))
    assert page.words.endswith(
        "those of 26 images with the fewest labelsbackgroundcellnot labelled a25.0%25.0%50.0%b75.0%–25.0%"
    )
