"""Decoders: an image in memory and its tiles give the same pixels, for every output of every task."""

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.config.object_rules import ObjectRules
from biounet.config.tasks import TASKS
from biounet.data.normalize import Normalization
from biounet.inference.decoding import DECODERS, decoder_of
from biounet.models.model_file import ModelCard

CLASSES = {"classes": 3, "border": 3, "distance": 5, "image": 1}
"""Classes of the targets that have not two."""


def card(target: str, classes: int | None = None) -> ModelCard:
    model = ModelConfig(classes=classes or CLASSES.get(target, 2))
    rules = ObjectRules(target=target) if target in ("border", "distance") else None
    return ModelCard(model=model, normalization=Normalization(), target=target, threshold=0.4, rules=rules)


def probabilities(classes: int) -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(classes), (12, 10)).transpose(2, 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("target", "save"), [(target, save) for task in TASKS.values() for target in task.targets for save in task.outputs]
)
def test_pixels_follow_from_their_own_probabilities(target, save):
    classes = 2 if (target, save) == ("classes", "objects") else CLASSES.get(target, 2)
    given, model = probabilities(classes), card(target, classes)
    decoder = decoder_of(model, save=save)
    whole = decoder.encode(given, model)
    halves = [decoder.encode(part, model) for part in (given[:, :5], given[:, 5:])]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), whole)


def test_two_classes_are_told_apart_by_the_threshold_of_the_model():
    given = np.array([[[0.7, 0.55, 0.1]], [[0.3, 0.45, 0.9]]], np.float32)
    assert decoder_of(card("classes", 2)).segment(given, card("classes", 2)).tolist() == [[0, 1, 1]]
    assert decoder_of(card("foreground")).segment(given, card("foreground")).tolist() == [[0, 1, 1]]
    gap = given[..., [2, 0, 1]]
    assert decoder_of(card("foreground")).segment(gap, card("foreground")).tolist() == [[1, 0, 2]]
    assert decoder_of(card("foreground"), save="classes").segment(gap, card("foreground")).tolist() == [[1, 0, 1]]


def test_only_the_foreground_of_two_classes_is_saved():
    for classes, kept in ((2, 1), (3, 3)):
        pixels = DECODERS["probabilities"].encode(probabilities(classes), card("classes", classes))
        np.testing.assert_array_equal(pixels, probabilities(classes)[-kept:])
