"""A trained model takes arrays and files, says which axes it understood, and refuses what it cannot."""

import numpy as np
import pytest

import biounet
from biounet.config import ModelConfig
from biounet.core.errors import ConfigError, ImageError, ModelFileError, ShapeError
from biounet.data.normalize import Normalization
from biounet.inference.network_input import NetworkInput
from biounet.io import Image, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network


def model_of(folder, *, others=(), **changes):
    """A small network, with the card of a run."""
    config = ModelConfig(**{"width": 2, "depth": 1, "padding": "same", "classes": 3, **changes})
    training = {"step": 40, "scores": {"score": 0.875, "dice_1": 0.9, "log_loss": 0.25}}
    card = ModelCard(model=config, normalization=Normalization(), training=training, spacing=(0.5, 0.5))
    save_network(folder / "model.safetensors", build(config), card)
    return biounet.load_model(folder, others=others)


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_a_file_is_predicted_as_the_array_in_it(tmp_path):
    model, image = model_of(tmp_path), noise(20, 24)
    write(tmp_path / "image.tif", Image(image, "YX"))
    for path in (tmp_path / "image.tif", str(tmp_path / "image.tif")):
        np.testing.assert_array_equal(model.predict(path), model.predict(image))
        np.testing.assert_array_equal(model.segment(path), model.segment(image))
    write(tmp_path / "movie.tif", Image(noise(2, 20, 24), "TYX"))
    with pytest.raises(ShapeError, match=r"movie.tif: one image is wanted, got T=2 time points of an image of Y=20"):
        model.predict(tmp_path / "movie.tif")
    with pytest.raises(ImageError, match="no such file"):
        model.predict(tmp_path / "nothing.tif")


def test_a_stack_in_a_file_is_predicted_section_by_section(tmp_path):
    model, stack = model_of(tmp_path), noise(2, 20, 24)
    write(tmp_path / "stack.tif", Image(stack, "ZYX"))
    np.testing.assert_array_equal(model.predict(tmp_path / "stack.tif")[:, 1], model.predict(stack[1]))
    assert model.segment(tmp_path / "stack.tif").shape == (2, 20, 24)
    assert model.understand(tmp_path / "stack.tif") == "Z=2 sections of Y=20 X=24, 1 channel"


@pytest.mark.parametrize(
    ("shape", "axes", "network", "understood"),
    [
        ((20, 24), None, {}, "an image of Y=20 X=24, 1 channel"),
        ((1, 20, 24), None, {}, "an image of Y=20 X=24, 1 channel"),
        ((5, 20, 24), None, {}, "Z=5 sections of Y=20 X=24, 1 channel"),
        ((3, 20, 24), None, {"in_channels": 3}, "an image of Y=20 X=24, 3 channels"),
        ((20, 24), None, {"in_channels": 3}, "an image of Y=20 X=24, 1 channel (the network takes 3)"),
        ((20, 24, 3), "YXC", {"in_channels": 3}, "an image of Y=20 X=24, 3 channels"),
        ((24, 20), "xy", {}, "an image of Y=20 X=24, 1 channel"),
        ((20, 24, 3), "ZYX", {}, "Z=20 sections of Y=24 X=3, 1 channel"),
        ((5, 3, 20, 24), "ZCYX", {"in_channels": 3}, "Z=5 sections of Y=20 X=24, 3 channels"),
        ((5, 20, 24), None, {"dims": 3}, "a volume of Z=5 Y=20 X=24, 1 channel"),
        ((1, 20, 24), "TYX", {}, "an image of Y=20 X=24, 1 channel"),
    ],
)
def test_the_axes_of_an_array_are_said_and_predicted(tmp_path, shape, axes, network, understood):
    model, image = model_of(tmp_path, **network), noise(*shape)
    assert model.understand(image, axes=axes) == understood
    sizes = [int(word.split("=")[1].rstrip(",")) for word in understood.split() if "=" in word]
    assert model.predict(image, axes=axes).shape == (3, *sizes)
    assert model.segment(image, axes=axes).shape == tuple(sizes)


def test_colours_at_the_end_are_predicted_as_colours_in_front(tmp_path):
    model, image = model_of(tmp_path, in_channels=3), noise(20, 24, 3)
    np.testing.assert_array_equal(model.predict(image, axes="YXC"), model.predict(np.moveaxis(image, -1, 0)))
    stack = np.stack([image, 2 * image])
    np.testing.assert_array_equal(model.predict(stack, axes="ZYXC")[:, 0], model.predict(image, axes="YXC"))


@pytest.mark.parametrize(
    ("shape", "axes", "network", "said"),
    [
        ((256, 200, 3), None, {}, r"Z=256 sections of Y=200 X=3; name its axes: axes='YXC'"),
        ((256, 200, 2), None, {"dims": 3}, r"Z=256 sections of Y=200 X=2; name its axes: axes='YXC'"),
        ((20, 24, 3), None, {"in_channels": 3}, r"3 channels and 2 spatial axes, got an image of shape \(20, 24, 3\)"),
        ((20,), None, {}, "1 channel and 2 spatial axes"),
        ((20, 24), None, {"dims": 3}, "1 channel and 3 spatial axes"),
        ((20, 24), "YX", {"dims": 3}, "takes volumes, got an image of Y=20 X=24, 1 channel"),
        ((20, 24, 3), "YXC", {}, r"an image of Y=20 X=24, 3 channels \(the network takes 1\): 1 channels are wanted"),
        ((20, 24, 2), "YXC", {"in_channels": 3}, r"got an image of Y=20 X=24, 2 channels \(the network takes 3\)"),
        ((5, 20, 24), "TYX", {}, "one image is wanted, got T=5 time points of an image of Y=20 X=24"),
        ((20, 24, 3), "YX", {}, "axes must be 3 different letters"),
        ((20, 24, 3), "YYX", {}, "axes must be 3 different letters"),
        ((20, 24, 3), "YXS", {}, "axes must be 3 different letters"),
    ],
)
def test_what_the_network_cannot_mean_is_refused_with_what_to_do(tmp_path, shape, axes, network, said):
    model = model_of(tmp_path, **network)
    with pytest.raises(ShapeError, match=said):
        model.predict(noise(*shape), axes=axes)


def test_a_model_says_in_five_lines_what_it_is(tmp_path):
    task, network, images, scores, source = repr(model_of(tmp_path)).splitlines()
    assert task == "Model for 3 classes"
    assert network.startswith("  network: unet, 2D, 1 channel, width 2, depth 1, ")
    assert images == "  images: pixel size 0.5 x 0.5 um, z-score normalisation of each image"
    assert scores == "  on held-out images: score 0.875, log_loss 0.25"
    assert source == f"  from: {tmp_path}"


def test_a_model_of_several_networks_says_so(tmp_path):
    (tmp_path / "other").mkdir()
    model_of(tmp_path / "other")
    model = model_of(tmp_path, others=[tmp_path / "other"])
    assert repr(model).splitlines()[0] == "Model for 3 classes, the mean of 2 networks"
    image = noise(20, 24)
    np.testing.assert_allclose(model.predict(image), biounet.load_model(tmp_path).predict(image), atol=1e-6)


@pytest.mark.parametrize("dtype", [complex, object, str])
def test_an_array_that_holds_no_real_numbers_is_refused(dtype):
    with pytest.raises(ImageError, match="an image of real numbers is wanted, got an array of"):
        NetworkInput.of(np.zeros((20, 24)).astype(dtype), ModelConfig())


@pytest.mark.parametrize("tile", [1.5, 0, -3, "64", True, [64], (64, 64, 64), (64, 0)])
def test_a_tile_is_a_whole_number_of_pixels(tmp_path, tile):
    model = model_of(tmp_path)
    for use in (model.predict, model.segment):
        with pytest.raises(ConfigError, match="tile must be a whole number of pixels, at least 1, or 2 of them, got"):
            use(np.zeros((20, 20), np.uint8), tile=tile)


@pytest.mark.parametrize("path", [None, 3, b"model", "", ["model"]])
def test_what_is_no_path_is_no_model(path):
    with pytest.raises(ModelFileError, match="the path of a model file or of a run is wanted, got"):
        biounet.load_model(path)
