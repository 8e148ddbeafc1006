"""Thumbnails of images with their labels."""

import numpy as np

from biounet.core.labels import IGNORE
from biounet.report.thumbnails import SIDE, draw_strip, thumbnail
from html_page import Page, pixels


def test_labels_are_coloured_and_the_background_is_not():
    labels = np.zeros((SIDE, SIDE), int)
    labels[20:40, 20:40], labels[20:40, 40:60] = 1, 2
    image = np.linspace(0, 255, SIDE) * np.ones((SIDE, 1))
    drawn = pixels(thumbnail("a", image, labels, numbered=True).source)
    assert len(set(drawn[100, 100, :3])) == 1
    assert drawn[30, 30].tolist() != drawn[30, 50].tolist()
    assert len(set(drawn[30, 30, :3])) > 1


def test_sizes_are_bounded_and_small_images_are_enlarged():
    for size in ((3000, 200), (20, 10), (1, 1), (5, 30, 40)):
        drawn = pixels(thumbnail("a", np.zeros(size), np.zeros(size, int), numbered=False).source)
        assert SIDE / 2 <= max(drawn.shape[:2]) <= SIDE


def test_the_middle_section_of_a_volume_is_shown():
    labels = np.zeros((3, 50, 50), int)
    labels[1] = 1
    drawn = pixels(thumbnail("a", np.zeros((2, 3, 50, 50)), labels, numbered=False).source)
    assert len(set(drawn[9, 9, :3])) > 1


def test_the_unknown_has_stripes():
    drawn = pixels(thumbnail("a", np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), IGNORE), numbered=True).source)
    assert len(np.unique(drawn[0], axis=0)) == 2


def test_strip():
    item = thumbnail("<b>_1.tif", np.zeros((9, 9)), None, numbered=False, notes=["3 objects"])
    page = Page(draw_strip([item], "All 1 images"))
    assert page.words == "All 1 images <b>_1.tif3 objects"
    assert draw_strip([], "none") == ""
