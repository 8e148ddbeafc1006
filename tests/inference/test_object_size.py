"""The factor by which images are scaled: what was said is compared with what the network learnt."""

import pytest

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.data.learnt_images import LearntImages
from biounet.data.normalize import Normalization
from biounet.inference.object_size import Sizes
from biounet.models.model_file import ModelCard


def card(*, spacing=None, **learnt):
    return ModelCard(
        model=ModelConfig(),
        normalization=Normalization(),
        spacing=spacing,
        learnt=LearntImages(**learnt) if learnt else None,
    )


OBJECTS = {"diameter": 20, "diameters": (15, 40), "magnified": 1.5}


@pytest.mark.parametrize(("diameter", "factor"), [(13, 20 / 13), (14, 1), (39, 1), (41, 20 / 41)])
def test_objects_are_scaled_where_they_are_outside_of_the_range_that_was_learnt(diameter, factor):
    assert Sizes(diameter).factor(card(**OBJECTS))[0] == factor


def test_pixels_are_scaled_to_the_size_that_was_learnt():
    known = card(spacing=(2.0, 0.5, 0.5), **OBJECTS)
    assert Sizes(pixel_size=1.0).factor(known)[0] == 2.0
    factor, said = Sizes(pixel_size=0.7).factor(known)
    assert factor == 1.0
    assert said == "images are not scaled: the network knows pixels of 0.333 to 0.75 um"


def test_nothing_said_scales_nothing():
    assert Sizes().factor(card()) == (1.0, "")


@pytest.mark.parametrize(
    ("sizes", "learnt", "message"),
    [
        ({"diameter": 0}, {}, "--diameter must be a positive number of pixels, got 0"),
        ({"pixel_size": float("nan")}, {}, "--pixel-size must be a positive number of micrometres, got nan"),
        ({"diameter": 3, "pixel_size": 3}, {}, "give either"),
        ({"diameter": 30}, {}, "does not know how large the objects were"),
        ({"diameter": 30}, {"looks": ()}, "does not know how large the objects were"),
        ({"pixel_size": 0.5}, OBJECTS, "does not know the pixel size"),
        ({"diameter": 400}, OBJECTS, "scaled by 0.05: objects of 400 px .* more than 16 times"),
    ],
)
def test_a_size_that_does_not_help_is_refused(sizes, learnt, message):
    with pytest.raises(ConfigError, match=message):
        Sizes(**sizes).factor(card(**learnt))
