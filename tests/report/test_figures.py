"""Figures of a page: layers to choose from, sliders, and what a pointer is told."""

import json

import numpy as np
import pytest

from biounet.report import Picture
from biounet.report.figures import draw_figures
from html_page import Page
from report_pictures import classes_picture, objects_picture


def modes(page):
    return [tag["value"] for tag in page.all("input") if tag.get("type") == "radio"]


def told(page):
    (figure,) = [tag for tag in page.all("figure") if tag.get("class") == "picture"]
    return json.loads(figure["data-told"])


def test_objects_can_be_seen_as_the_expert_or_the_network_drew_them():
    scores = {"objects": 2, "found": 1, "missed": 1, "false": 0, "merges": 0, "splits": 0}
    page = Page(draw_figures([objects_picture([[1, 1, 0, 2]], [[5, 5, 0, 0]], scores=scores)], ["", ""]))
    assert modes(page) == ["both", "expert", "network", "image"]
    assert told(page) == {"expert": {"1": [2, 1.0], "2": [1, 0.0]}, "network": {"5": [2, 1.0]}}
    assert "found 1 of 2 missed 1" in page.words
    assert "merges" not in page.text, "mistakes that were not made are not listed"
    assert len(page.all("svg")) == 6, "a drawing for each case"


def test_without_an_expert_there_are_objects_of_the_network():
    page = Page(draw_figures([objects_picture(None, [[5, 5, 0, 0]])], ["", ""]))
    assert modes(page) == ["network", "image"]
    assert told(page) == {"network": {"5": [2, -1]}}


def test_classes_have_names_and_two_classes_a_probability():
    page = Page(draw_figures([classes_picture(classes=3)], ["membrane", "cell", "mitochondrion"]))
    assert modes(page) == ["both", "expert", "network", "image"]
    assert told(page) == {"classes": ["membrane", "cell", "mitochondrion"]}
    assert "mitochondrion" in page.text
    assert modes(Page(draw_figures([classes_picture()], ["a", "b"])))[3] == "probability"


def test_images_are_compared_with_their_targets():
    image = np.random.default_rng(0).random((1, 6, 6))
    page = Page(draw_figures([Picture("a", image, image, image, "image", {"r2": 0.5})], []))
    assert modes(page) == ["network", "expert", "image", "difference"]
    assert "r2 0.5000" in page.words


def test_a_stack_has_a_slider_for_each_axis():
    page = Page(draw_figures([objects_picture(np.zeros((4, 6, 6), int), np.ones((4, 6, 6), int))], []))
    assert [tag["max"] for tag in page.all("input") if tag["type"] == "range"] == ["3", "5", "5"]
    assert [tag["data-axis"] for tag in page.all("div") if "data-axis" in tag] == ["Z", "Y", "X"]
    assert told(page)["network"] == {"1": [144, 0.0]}
    assert "voxels" in str(page.tags)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'])
def test_names_stay_text(name):
    page = Page(draw_figures([classes_picture(name, classes=3)], ["a", "b", name]))
    assert not page.all("script")
    assert all("onerror" not in tag for tag in page.all("img"))
    assert told(page)["classes"][2] == name


def test_nothing_without_pictures():
    assert draw_figures([], []) == ""
