"""Batch normalisation that is adapted to an image: by hand, whatever the tiles, and never without a word."""

import numpy as np
import pytest
import torch
from torch import nn

from biounet.config import ModelConfig
from biounet.core.boxes import ArrayReader, Box
from biounet.core.errors import ConfigError, OutputError
from biounet.core.geometry import Geometry
from biounet.data.normalize import Normalization
from biounet.inference.adaptation import adapted_net
from biounet.inference.files import predict_files
from biounet.inference.model import load_model
from biounet.inference.scaling import Scale, ScaledReader
from biounet.io import Image, read, write
from biounet.models import build
from biounet.models.model_file import ModelCard, save_network

PLAIN = Normalization(offset=(0.0,), scale=(1.0,))


class OneLayer(nn.Module):
    """Batch normalisation of the pixels."""

    geometry = Geometry(grid=(1, 1), margin=(0, 0), remainder=(0, 0), padded=True)

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, image):
        return self.norm(image)


def adapt(net, image, *, factor=1.0, way=PLAIN):
    scale = Scale.near(factor, grid=1)
    return adapted_net(net, ArrayReader(image), way, scale=scale, device=torch.device("cpu"), precision=torch.float32)


def statistics(net):
    return [numbers for name, numbers in net.named_buffers() if "running" in name]


def test_statistics_are_half_those_of_the_image_and_half_those_learnt():
    net = OneLayer().eval()  # has learnt mean 0 and variance 1
    image = np.array([[[2.0, 6.0], [2.0, 6.0]]], np.float32)  # mean 4, variance 16 / 3
    adapted = adapt(net, image)
    assert adapted.norm.running_mean.item() == 2
    assert adapted.norm.running_var.item() == pytest.approx((1 + 16 / 3) / 2)
    assert (net.norm.running_mean.item(), net.norm.running_var.item()) == (0, 1)
    assert not adapted.training


def test_four_parts_of_a_large_image_stand_for_it():
    image = np.full((1, 1024, 1024), 9.0, np.float32)
    image[:, 128:384, 128:384] = 1.0  # the middle of the first quarter
    image[:, 128:384, 640:896] = image[:, 640:896, 128:384] = 2.0
    image[:, 640:896, 640:896] = 3.0
    assert adapt(OneLayer().eval(), image).norm.running_mean.item() == (1 + 2 + 2 + 3) / 4 / 2


@pytest.mark.parametrize("shape", [(255, 258), (300, 40), (257, 1)])
def test_parts_do_not_reach_outside(shape):
    image = np.full((1, *shape), 4.0, np.float32)
    assert adapt(OneLayer().eval(), image).norm.running_mean.item() == 2


def test_a_scaled_image_is_measured_as_it_is_predicted():
    image = np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32)
    half = ScaledReader(ArrayReader(image), Scale(1, 2)).read(Box((0, 0, 0), (1, 32, 32)))
    found, expected = adapt(OneLayer().eval(), image, factor=0.5), adapt(OneLayer().eval(), half)
    torch.testing.assert_close(statistics(found), statistics(expected))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dims", [2, 3])
def test_statistics_do_not_depend_on_the_number_of_threads(padding, dims):
    net = build(ModelConfig(width=4, depth=1, dims=dims, norm="batch", padding=padding)).eval()
    image = np.random.default_rng(0).normal(size=(1, *(70, 90, 80)[-dims:])).astype(np.float32)
    found = []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(statistics(adapt(net, image)))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


# Files


@pytest.fixture
def place(tmp_path):
    """A model that has learnt quiet images, one without batch normalisation, and a noisy image of two sections."""
    for name, norm in (("quiet", "batch"), ("without", "none")):
        config = ModelConfig(width=4, depth=2, norm=norm)
        torch.manual_seed(0)
        net = build(config)
        save_network(tmp_path / f"{name}.safetensors", net, ModelCard(model=config, normalization=Normalization()))
    noise = np.random.default_rng(0).normal(100, 40, (2, 150, 170)).astype(np.float32)
    write(tmp_path / "noisy.tif", Image(noise, "ZYX"))
    return tmp_path


def predict(place, out, *, model="quiet", **options):
    options = {"save": "probabilities", "precision": "float32"} | options
    predict_files(place / f"{model}.safetensors", [place / "noisy.tif"], place / out, **options)
    return read(place / out).array


def test_an_adapted_network_gives_the_same_pixels_in_any_tiles_and_in_memory(place):
    adapted = predict(place, "adapted.tif", adapt=True)
    assert not np.allclose(adapted, predict(place, "plain.tif"), atol=0.01)
    np.testing.assert_allclose(predict(place, "small.tif", adapt=True, tile=32), adapted, atol=1e-6)
    in_memory = load_model(place / "quiet.safetensors").predict(place / "noisy.tif", adapt=True, precision="float32")
    np.testing.assert_allclose(in_memory[1], adapted, atol=1e-6)


def test_workers_adapt_to_the_same_bytes(place):
    pytest.importorskip("distributed", reason="workers need the extra cluster")
    from biounet.inference.cluster import local_workers

    alone = predict(place, "alone.zarr", adapt=True, tile=64)
    with local_workers(2) as run:
        np.testing.assert_array_equal(predict(place, "together.zarr", adapt=True, tile=64, run=run), alone)


def test_a_network_without_batch_normalisation_is_refused(place):
    with pytest.raises(ConfigError, match="--adapt measures batch normalisation anew, which this network lacks"):
        predict(place, "out.tif", model="without", adapt=True)
    assert not (place / "out.tif").exists()


def test_a_run_is_resumed_adapted_only_if_it_was(place):
    predict(place, "out.zarr")
    with pytest.raises(OutputError, match="was begun with adapt False, this run has True"):
        predict(place, "out.zarr", adapt=True, resume=True)
