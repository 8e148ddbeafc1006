"""Tests of the training images that rules are tuned on: whole images, or parts of images that are too large."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from biounet.config.object_rules import ObjectRules
from biounet.core.geometry import Geometry
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.subset import spread_crops
from biounet.data.training_set import TrainingSet
from biounet.training.finalise import finalise
from biounet.training.tuning_images import LARGE, choose_tuning_images
from biounet.training.validation import Validation, predict

SIDE = 64
CELLS = np.kron(np.arange(1, 257, dtype=np.int32).reshape(16, 16), np.pad(np.ones((2, 2), np.int32), 1))
PLACES = np.arange(SIDE**2, dtype=np.float32).reshape(1, SIDE, SIDE)
"""An image whose pixels have their position as value."""


def item(name, *, side=SIDE, rows=slice(None)):
    labels = CELLS[rows, :side][:side]
    return AnnotatedImage(name, PLACES[:, rows, :side][:, :side], labels, np.minimum(labels, 1).astype(np.int64))


def data(train, *, held_out):
    return TrainingSet(train, held_out, "objects", (), "foreground")


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setitem(spread_crops.__kwdefaults__, "least", 16)


def check_parts(parts, pixels, *, most):
    """Parts are the pixels of the image that they say; cells that they do not hold whole are unknown."""
    assert parts
    assert pixels == sum(part.labels.size for part in parts) <= most
    cells = 0
    for part in parts:
        truth = CELLS.ravel()[part.image[0].astype(int)]
        np.testing.assert_array_equal(part.labels, np.where(part.labels < 0, -1, truth))
        assert (truth[part.labels < 0] > 0).all()
        numbers, counts = np.unique(part.labels[part.labels > 0], return_counts=True)
        assert (counts == 4).all()
        cells += len(numbers)
        assert part.image.flags.owndata, "the whole image would be held by it"
        assert part.target.flags.owndata
    assert cells


def test_of_a_single_image_that_is_too_large_parts_are_taken():
    """For 64 pixels held out 128 are taken; the image has 4096."""
    few = data([item("a")], held_out=[item("b", side=8)])
    check_parts(*choose_tuning_images(few, None), most=128)


def test_of_an_image_in_strips_the_first_that_has_objects_is_read():
    asked = []

    def strips():
        for top, labelled in ((0, False), (20, True), (40, True)):
            asked.append(top)
            strip = item("a", rows=slice(top, top + 20))
            yield (
                (strip if labelled else AnnotatedImage("a", strip.image, 0 * strip.labels, 0 * strip.target)),
                slice(2, 18),
            )

    statistics = SimpleNamespace(shape=(1, SIDE, SIDE), counts=np.array([0, SIDE**2 - 1024, 1024]), classes=2)
    huge = data([SimpleNamespace(strips=strips, statistics=statistics)], held_out=[item("b", side=8)])
    check_parts(*choose_tuning_images(huge, None), most=128)
    assert asked == [0, 20]


def test_of_many_large_images_parts_of_a_few_are_taken():
    many = data([item(str(number)) for number in range(10)], held_out=[item("b", side=16)])
    parts, pixels = choose_tuning_images(many, None)
    check_parts(parts, pixels, most=512)
    images = {part.name.split(" from ")[0] for part in parts}
    assert images == {"0", "3", "6", "9"}
    assert len(images) == LARGE


@pytest.mark.parametrize(("enough", "most_held_out", "chosen"), [(560, 300, False), (500, 250, True)])
def test_where_many_are_held_out_parts_are_taken_of_images_with_more_pixels_than_are_left(
    enough, most_held_out, chosen
):
    """Of 560 pixels 260 are left, more than the 256 of an image; of 500 pixels 250 are left, and parts are taken."""
    pairs = [item(str(number), side=16) for number in range(6)]
    images, _ = choose_tuning_images(
        data(pairs[:3], held_out=pairs[3:]), None, enough=enough, most_held_out=most_held_out
    )
    assert bool(images) == chosen


class Sure(nn.Module):
    """Knows where cells are."""

    geometry = Geometry((1, 1), (0, 0), (0, 0), padded=True)

    def forward(self, image):
        inside = torch.from_numpy(CELLS.ravel())[image.long()] > 0
        return torch.cat([torch.zeros_like(image), torch.where(inside, 3.0, -3.0)], dim=1)


def finalised(held_out, images, pixels):
    options = {"rules": ObjectRules(), "tuning_images": images, "tuning_pixels": pixels}
    validation = Validation(held_out, torch.device("cpu"), torch.float32, **options)
    return finalise(Sure(), predict(Sure(), validation).probabilities, validation)


def test_rules_are_tuned_on_parts():
    held_out = [item("b", side=8)]
    parts, pixels = choose_tuning_images(data([item("a")], held_out=held_out), None)
    end = finalised(held_out, parts, pixels)
    assert end.settings["rules"].foreground <= 0.95
    assert end.result.per_image[0]["ap"] == 1


def test_tuning_images_are_read_once_where_memory_does_not_hold_them():
    read, held_out = [], [item("b", side=16)]
    sources = [item(name, side=16) for name in "cdef"]
    files = [
        SimpleNamespace(statistics=image.statistics, read=lambda image=image: (read.append(image.name), image)[1])
        for image in sources
    ]
    chosen = data(files, held_out=held_out)
    images, pixels = choose_tuning_images(chosen, None)
    assert (len(images), read) == (2, [])
    assert finalised(held_out, images, pixels).settings["rules"].foreground <= 0.95
    assert read == ["c", "e"]
