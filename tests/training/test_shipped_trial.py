"""Shipped models tried on annotated images, and the advice that follows."""

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.training_set import TrainingSet
from biounet.training.shipped_trial import tell_shipped_models, warn_of_few_images

CENTRES = [(y, x) for y in (20, 60, 100) for x in (20, 60, 100)]
SIZE = (128, 128)


def discs(*, channels=1):
    """Nine bright discs, 11 px across, in dark noise; their labels."""
    rows, columns = np.indices(SIZE)
    labels = np.zeros(SIZE, np.int32)
    for number, (y, x) in enumerate(CENTRES, start=1):
        labels[(rows - y) ** 2 + (columns - x) ** 2 < 36] = number
    grey = np.random.default_rng(0).normal(10, 2, SIZE) + 100 * (labels > 0)
    pixels = np.stack([grey + 3 * channel for channel in range(channels)]).astype(np.float32)
    return AnnotatedImage.of("discs", pixels, labels, target="distance")


def training_set(images, *, kind="objects", target="distance"):
    return TrainingSet(images, [], kind, (), target)


def test_the_model_that_finds_most_is_advised():
    line = tell_shipped_models(training_set([discs()] * 2))
    assert line.startswith("shipped models, as they are, find of 18 objects on 2 images: cells ")
    assert line.endswith("nuclei 18; begin with nuclei: --from nuclei")


def test_models_of_other_channels_are_left_out():
    line = tell_shipped_models(training_set([discs(channels=3)]))
    assert ": nuclei 9; " in line


def test_nothing_is_advised_where_few_objects_are_found():
    blank = discs()
    line = tell_shipped_models(
        training_set([AnnotatedImage.of("blank", 0 * blank.image, blank.labels, target="distance")])
    )
    assert line == "shipped models, as they are, find of 9 objects on 1 image: cells 0, nuclei 0"


def test_three_images_are_looked_at_in_their_middle():
    one = discs()
    large = AnnotatedImage.of("large", np.tile(one.image, (1, 9, 1)), np.tile(one.labels, (9, 1)), target="distance")
    line = tell_shipped_models(training_set([large] * 5))
    assert "objects on 3 images" in line
    counted = int(line.split(" of ")[1].split()[0])
    assert counted == 3 * 9  # one number in all repetitions: the middle has them all


def test_nothing_is_said_where_no_shipped_model_is_for_it():
    one = discs()
    assert tell_shipped_models(training_set([one], kind="classes", target="classes")) == ""
    volume = AnnotatedImage.of("volume", one.image[:, None], one.labels[None], target="distance")
    assert tell_shipped_models(training_set([volume])) == ""
    empty = AnnotatedImage.of("empty", one.image, 0 * one.labels, target="distance")
    assert tell_shipped_models(training_set([empty])) == ""


@pytest.mark.parametrize(
    ("images", "pretrained", "kind", "notes"),
    [(9, None, "objects", 1), (10, None, "objects", 0), (2, "vgg11", "objects", 0), (2, None, "classes", 0)],
)
def test_few_images_are_told(images, pretrained, kind, notes):
    target = "distance" if kind == "objects" else "classes"
    model = ModelConfig().model_copy(update={"pretrained": pretrained})
    assert len(warn_of_few_images(model, training_set([discs()] * images, kind=kind, target=target))) == notes
