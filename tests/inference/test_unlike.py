"""Images unlike those learnt from: by their look, and by the size of what was found in them."""

from pathlib import Path

import numpy as np
import pytest

from biounet.config import ModelConfig
from biounet.core.errors import ShapeError
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.measure_learnt import measure_learnt
from biounet.data.normalize import Normalization
from biounet.inference.unlike import tell_unlike, unlike
from biounet.io import Image, write
from biounet.models.model_file import ModelCard


def cells(*, side=20, seed=0):
    """Squares of two grey levels, with noise."""
    labels = np.zeros((120, 120), np.int64)
    for number, (y, x) in enumerate(np.ndindex(4, 4)):
        labels[30 * y + 2 : 30 * y + 2 + side, 30 * x + 2 : 30 * x + 2 + side] = number + 1
    image = 50 + 100 * (labels > 0) + 3 * np.random.default_rng(seed).normal(size=labels.shape)
    return image.astype(np.float32), labels


@pytest.fixture
def card():
    image, labels = cells()
    normalised = Normalization().measured(image[None]).apply(image[None])
    learnt = measure_learnt([AnnotatedImage("a", normalised, labels, labels)], numbered=True)
    return ModelCard(model=ModelConfig(), normalization=Normalization(), target="foreground", learnt=learnt)


@pytest.fixture
def saved(tmp_path):
    def save(image, labels):
        write(tmp_path / "image.tif", Image(image, "YX"), overwrite=True)
        write(tmp_path / "labels.tif", Image(labels.astype(np.uint16), "YX"), overwrite=True)
        return {"image": tmp_path / "image.tif", "labels": tmp_path / "labels.tif"}

    return save


def test_an_image_of_the_kind_is_like_it(card, saved):
    assert unlike(card, **saved(*cells(seed=1))) == ""


def test_noise_is_unlike_it(card, saved):
    image, labels = cells()
    image += 60 * np.random.default_rng(2).normal(size=image.shape).astype(np.float32)
    assert "more noise" in unlike(card, **saved(image, labels))


def test_objects_of_another_size_are_named_with_the_option_that_helps(card, saved):
    image, _ = cells()
    _, small = cells(side=10)
    assert unlike(card, **saved(image, small)) == (
        "small objects of 11.3 px, where the model knows 18.8 to 27.1 px, try --diameter 11.3"
    )
    assert unlike(card, **saved(image, np.where(small > 4, 0, small))) == ""  # four objects are few
    assert unlike(card, saved(image, small)["image"]) == ""


def test_an_image_that_is_scaled_is_compared_as_the_network_sees_it(card, saved):
    image, labels = (np.kron(each, np.ones((3, 3), each.dtype)) for each in cells())
    files = saved(image, labels)
    assert "large objects of 67.7 px" in unlike(card, **files)
    assert "px" not in unlike(card, **files, factor=1 / 3)


def test_pixels_of_another_size_are_named_with_the_option_that_helps(card, tmp_path):
    image, _ = cells()
    write(tmp_path / "image.tif", Image(image, "YX", (0.25, 0.25)))
    for known, reason in (
        (None, ""),
        (0.3, ""),
        (1.0, "small pixels of 0.25 um, where the model knows 0.833 to 1.2 um, try --pixel-size 0.25"),
        (0.1, "large pixels of 0.25 um, where the model knows 0.0833 to 0.12 um, try --pixel-size 0.25"),
    ):
        spacing = known and (known, known)
        assert unlike(card.model_copy(update={"spacing": spacing}), tmp_path / "image.tif") == reason


def test_the_middle_frame_is_looked_at(card, tmp_path):
    image, _ = cells()
    film = np.stack([np.zeros_like(image), image, np.zeros_like(image)])
    write(tmp_path / "film.tif", Image(film, "TYX"))
    assert unlike(card, tmp_path / "film.tif") == ""


def test_a_model_that_remembers_nothing_says_nothing(card, saved):
    old = card.model_copy(update={"learnt": None})
    assert (
        unlike(old, **saved(np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32), cells()[1][:64, :64]))
        == ""
    )


def test_other_channels_are_refused(card, tmp_path):
    write(tmp_path / "rgb.tif", Image(np.zeros((2, 30, 30), np.uint8) + np.arange(30, dtype=np.uint8), "CYX"))
    grey = card.model_copy(update={"model": ModelConfig(in_channels=3)})
    with pytest.raises(ShapeError, match="takes 3 channels, the image has 2"):
        unlike(grey, tmp_path / "rgb.tif")


def test_a_line_names_the_first_images():
    found = {Path(f"{number}.png"): "more noise" * (number < 5) for number in range(7)}
    assert tell_unlike(found) == (
        "5 of 7 images are unlike those that the model learnt from: 0.png (more noise), 1.png (more noise), "
        "2.png (more noise), ...; look at their results"
    )
    assert tell_unlike({Path("a.png"): "more noise"}).startswith("the image is unlike those")
    assert tell_unlike({Path("a.png"): "more noise"}, adaptable=True).endswith("; look at its result, or try --adapt")
    assert tell_unlike({Path("a.png"): ""}) == ""
