"""Size of the objects of an image, measured by the network, where it is not the size that the network knows."""

from types import SimpleNamespace

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.core.boxes import ArrayReader
from biounet.core.components import label_objects
from biounet.core.errors import ConfigError
from biounet.data.learnt_images import LearntImages
from biounet.data.normalize import Normalization
from biounet.inference import measured_size
from biounet.inference.measured_size import measured_diameter, tell_scaled
from biounet.models.model_file import ModelCard

PLAIN = Normalization(offset=(0.0,), scale=(1.0,))
CARD = ModelCard(
    model=ModelConfig(),
    normalization=PLAIN,
    target="distance",
    learnt=LearntImages(diameter=20, diameters=(10, 50)),
)


def discs(diameter, *, side=1200):
    """An image of discs, 1 on 0, in rows."""
    step = 2 * diameter
    y, x = np.mgrid[:side, :side]
    return ((y % step - diameter) ** 2 + (x % step - diameter) ** 2 <= (diameter / 2) ** 2).astype(np.float32)[None]


class Finds:
    """Networks that find bright objects of those sizes, in pixels of the scaled image, that they are made for."""

    def __init__(self, sees, *, factor=1.0, asked=None):
        self.sees, self.scale, self.dims, self.card = sees, factor, 2, CARD
        self.normalizations, self.asked = (PLAIN,), [] if asked is None else asked
        self.asked.append(factor)

    def scaled(self, factor):
        return Finds(self.sees, factor=factor, asked=self.asked)


@pytest.fixture
def thresholds(monkeypatch):
    """Predicts the brightness, and numbers what is bright and of a size that the network sees."""

    def predict(net, image, ways, *, tile):
        yield 1.0, (net, image.read(measured_size.Box((0,) * len(image.shape), image.shape)))

    def segment(given, card):
        net, pixels = given
        labels = label_objects(pixels[0] > 0.5)
        numbers, counts = np.unique(labels, return_counts=True)
        diameters = np.sqrt(counts * 4 / np.pi) * net.scale
        seen = numbers[(diameters >= net.sees[0]) & (diameters <= net.sees[1]) & (numbers > 0)]
        return np.where(np.isin(labels, seen), labels, 0)

    monkeypatch.setattr(measured_size, "measured_ways", lambda frame, net: net.normalizations)
    monkeypatch.setattr(measured_size, "predict_whole_in_steps", predict)
    monkeypatch.setattr(measured_size, "decoder_of", lambda card: SimpleNamespace(segment=segment))


@pytest.mark.parametrize(
    ("diameter", "asked"),
    [(20, [1]), (12, [1]), (48, [1]), (6, [1, 4]), (100, [1, 4, 0.25])],
)
def test_objects_are_looked_for_at_other_scales_only_where_they_are_not_found(thresholds, diameter, asked):
    net = Finds((9, 60))
    found = measured_diameter(net, ArrayReader(discs(diameter)), steps=(1, 1))
    assert net.asked == asked
    if len(asked) == 1:
        assert found is None
    else:
        assert found == pytest.approx(diameter, rel=0.1)


def test_large_objects_that_are_found_in_parts_are_not_taken_for_small_ones(thresholds):
    net = Finds((9, 400))
    assert measured_diameter(net, ArrayReader(discs(100)), steps=(1, 1)) == pytest.approx(100, rel=0.1)
    assert net.asked == [1, 0.25]


def test_few_objects_tell_nothing(thresholds):
    image = discs(100)
    image[:, 200:] = 0
    image[:, :, 400:] = 0
    assert measured_diameter(Finds((9, 60)), ArrayReader(image), steps=(1, 1)) is None


def test_a_network_that_knows_no_size_is_refused():
    net = SimpleNamespace(card=CARD.model_copy(update={"learnt": None}))
    with pytest.raises(ConfigError, match="does not know how large the objects were"):
        measured_diameter(net, ArrayReader(discs(20)), steps=(1, 1))


def test_one_image_is_told_as_the_image(tmp_path):
    said = tell_scaled({tmp_path / "a.png": 5.0}, 1, CARD)
    assert said == "the image is scaled to objects of 20 px: a.png by 4 (objects of 5 px); --diameter PX sets the size"
