"""A layer is predicted as its array is, over all its axes, and shows the same array while it fills."""

import numpy as np
import pytest

import biounet
from biounet.core.errors import ConfigError, ModelFileError, ShapeError
from biounet.napari.prediction import TILE, predict_layer
from layers_of_tests import layer


def end_of(work):
    """All progress of a work, and what it returns."""
    seen = []
    while True:
        try:
            seen.append(next(work))
        except StopIteration as end:
            return seen, end.value


def test_labels_are_those_of_the_model_and_lie_over_the_layer(model, noise):
    image = noise(30, 40)
    seen, predicted = end_of(predict_layer(layer(image, scale=(0.5, 0.5), translate=(3, 4)), str(model)))
    np.testing.assert_array_equal(predicted.pixels, biounet.load_model(model).segment(image))
    assert predicted.labels
    assert (predicted.place.scale, predicted.place.translate) == ((0.5, 0.5), (3, 4))
    assert [progress.share for progress in seen] == sorted(progress.share for progress in seen)
    assert seen[-1].share == 1


def test_the_probabilities_fill_tile_by_tile(model, noise):
    image = noise(600, 20)
    shown = [
        (progress.share, progress.shown.pixels, np.count_nonzero(progress.shown.pixels))
        for progress in predict_layer(layer(image), str(model))
        if progress.shown
    ]
    whole = biounet.load_model(model).predict(image, tile=TILE)[
        1
    ]  # with other tiles, threads round 1 pixel in 24,000 otherwise
    np.testing.assert_array_equal(shown[-1][1], whole)
    assert all(pixels is shown[0][1] for _, pixels, _ in shown)
    assert 0 < shown[0][2] < whole.size == shown[-1][2]


def test_every_time_point_of_every_section_is_predicted(model, noise):
    film = noise(2, 3, 20, 24)
    _, predicted = end_of(predict_layer(layer(film), str(model)))
    trained = biounet.load_model(model)
    assert predicted.pixels.shape == film.shape
    np.testing.assert_array_equal(predicted.pixels[1], trained.segment(film[1]))
    assert len(predicted.place.scale) == 4


def test_work_that_is_closed_stops(model, noise):
    work = predict_layer(layer(noise(5, 20, 24)), str(model))
    next(work), next(work), next(work)
    work.close()
    assert list(work) == []


@pytest.mark.parametrize(
    ("path", "shape", "error", "words"),
    [
        ("", (20, 24), ConfigError, "a model is wanted"),
        ("nothing", (20, 24), ModelFileError, "nothing"),
        (None, (2, 2, 2, 20, 24), ShapeError, "cells: a 2D network was given a layer of 5 axes; name them"),
    ],
)
def test_what_cannot_be_predicted_is_refused_in_words(model, noise, path, shape, error, words):
    with pytest.raises(error, match=words):
        end_of(predict_layer(layer(noise(*shape)), str(model) if path is None else path))
