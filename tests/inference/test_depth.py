"""The shallower networks in a UNet++: the outputs of the whole network, tile by tile, for less work."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from architectures import make, settings_of
from biounet.core.errors import ConfigError, OutputError
from biounet.data.normalize import Normalization
from biounet.inference.files import predict_files
from biounet.inference.job import JobSettings, load_ensemble
from biounet.inference.model import load_model
from biounet.io import Image, read, write
from biounet.models.model_file import ModelCard, save_network
from biounet.models.unetpp import UNetPlusPlus

NESTED = {"depth": 3, "dropout": 0.0}


@pytest.fixture
def model(tmp_path):
    """A model file with a UNet++ whose normalisations look as after training."""
    return save(tmp_path / "nested.safetensors", "unet++")


def save(path, name, **settings):
    settings = NESTED | settings
    card = ModelCard(model=settings_of(name, **settings), normalization=Normalization("percentile"))
    save_network(path, make(name, **settings), card)
    return path


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


def outputs_of_the_whole(path, image: np.ndarray) -> list[np.ndarray]:
    """Probabilities of the outputs L1, L2, L3 of the whole network, on the image mirrored far enough."""
    whole = load_model(path)
    around, inside = 64, slice(64, 64 + image.shape[0])
    pixels = whole.card.normalization.measured(image[np.newaxis]).apply(image[np.newaxis])
    pixels = np.pad(pixels, [(0, 0), (around, around), (around, around)], mode="reflect")
    for layer in whole.net.modules():
        layer.training = isinstance(layer, UNetPlusPlus)  # all outputs, but frozen normalisation
    with torch.inference_mode():
        scores = whole.net(torch.from_numpy(pixels)[np.newaxis])
    return [scores[0, :, head].softmax(dim=0).numpy()[:, inside, inside] for head in range(3)]


def test_a_depth_gives_its_output_of_the_whole_network(model):
    image = noise(80, 80)
    for depth, expected in enumerate(outputs_of_the_whole(model, image), start=1):
        small = load_model(model, depth=depth)
        assert small.card.model.depth == depth
        for tile in (None, 24):
            found = small.predict(image, tile=tile, precision="float32")
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_smaller_depth_is_less_work_in_less_memory(model):
    costs, margins = [], []
    for depth in (1, 2, 3, None):
        net = load_ensemble(JobSettings((model,), Path("in.tif"), depth=depth))
        cost = net.cost((64, 64), channels=1)
        costs.append((cost.operations, cost.bytes))
        margins.append(net.geometry.margin[0])
    assert all(small < large for small, large in pairwise(costs))
    assert margins == [10, 24, 56, 56]


def test_the_command_takes_a_depth(model, tmp_path, command):
    image = noise(50, 60)
    write(tmp_path / "in.tif", Image(image, "YX"))
    words = [model, tmp_path / "in.tif", "--out", tmp_path / "out.tif", "--save", "probabilities", "--depth", 2]
    assert command("predict", *words)[0] == 0
    expected = load_model(model, depth=2).predict(image)[1]
    np.testing.assert_allclose(read(tmp_path / "out.tif").array, expected, atol=1e-5)
    assert np.abs(expected - load_model(model).predict(image)[1]).max() > 1e-3


def test_a_run_is_resumed_with_the_same_depth_only(model, tmp_path):
    pytest.importorskip("zarr")
    write(tmp_path / "in.tif", Image(noise(20, 20), "YX"))
    inputs, out = [tmp_path / "in.tif"], tmp_path / "out.zarr"
    predict_files(model, inputs, out, save="classes", depth=1)
    with pytest.raises(OutputError, match="was begun with depth 1, this run has 2"):
        predict_files(model, inputs, out, save="classes", depth=2, resume=True)


@pytest.mark.parametrize(
    ("name", "settings", "depth", "said"),
    [
        ("unet++", {}, 4, "the network has outputs of depth 1 to 3, got 4"),
        ("unet++", {}, 0, "the network has outputs of depth 1 to 3, got 0"),
        ("unet++", {"deep_supervision": False}, 1, "the network has outputs of depth 3 to 3, got 1"),
        ("unet", {}, 1, "only unet++ has outputs of several depths, got UNet; leave the depth away"),
    ],
)
def test_a_depth_that_is_not_there_is_refused_with_the_file(tmp_path, name, settings, depth, said):
    path = save(tmp_path / "model.safetensors", name, **settings)
    with pytest.raises(ConfigError, match=re.escape(f"{path}: {said}")):
        load_model(path, depth=depth)


def test_a_network_on_the_image_at_half_its_size_is_cut_too(tmp_path):
    coarse = load_model(save(tmp_path / "coarse.safetensors", "unet++", coarse=2), depth=1)
    fine = load_model(save(tmp_path / "fine.safetensors", "unet++"), depth=1)
    assert coarse.net.geometry.grid == tuple(2 * grid for grid in fine.net.geometry.grid)
    assert coarse.predict(noise(40, 52)).shape == (2, 40, 52)
