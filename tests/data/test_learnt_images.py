"""What a model remembers of its training images, and what it says of others."""

import numpy as np
import pytest
from pydantic import ValidationError

from biounet.data.learnt_images import LearntImages
from biounet.data.looks import FEATURES

STILL = dict(zip(FEATURES, (-1.0, 0.0, 3.0, -4.0, *(-2.0,) * 6, 0.0), strict=True))


def changed(**features):
    names = {name.replace("_", " "): value for name, value in features.items()}
    return tuple((STILL | names).values())


LEARNT = LearntImages(looks=(changed(), changed(middle=2.0)))


@pytest.mark.parametrize(
    ("look", "reason"),
    [
        (changed(), ""),
        (changed(middle=2.1, noise=-3.5), ""),
        (changed(noise=-1.5), "more noise"),
        (changed(noise=-6.5), "less noise"),
        (changed(middle=-3.0), "other brightness"),
        (changed(colour=0.6), "more colour"),
    ],
)
def test_what_differs_most_is_named(look, reason):
    assert LEARNT.unlike(look) == reason


def test_sharpness_and_texture_are_named_with_their_direction():
    sharp = {"1 px": 0.5, "2 px": 0.5}
    assert LEARNT.unlike(tuple((STILL | sharp).values())) == "more sharpness"
    coarse = {f"{side} px": -4.5 for side in (4, 8, 16, 32)}
    assert LEARNT.unlike(tuple((STILL | coarse).values())) == "less texture"


def test_nothing_is_unlike_where_nothing_is_known():
    assert LearntImages().unlike(changed(noise=5.0)) == ""
    assert LearntImages().known is None


def test_objects_are_known_as_large_as_in_some_image_or_magnified():
    assert LearntImages(diameter=20, diameters=(15, 60), magnified=1.6).known == pytest.approx((12.5, 60))
    assert LearntImages(diameter=20, diameters=(20, 20)).known == pytest.approx((20 / 1.2, 24))


def test_a_look_of_another_length_is_refused():
    with pytest.raises(ValidationError, match="a look has 11 numbers"):
        LearntImages(looks=((1.0, 2.0),))


def test_it_survives_json():
    learnt = LearntImages(diameter=20, diameters=(15, 60), magnified=1.6, looks=(tuple(np.arange(11.0)),))
    assert LearntImages.model_validate_json(learnt.model_dump_json()) == learnt
