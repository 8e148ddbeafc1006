"""A network on the image at a fraction of its size: sizes, reach, and the same scores on every tile."""

import numpy as np
import pytest
import torch

from architectures import make, nan_outputs
from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.data.normalize import Normalization
from biounet.inference.overlap_tile import predict_array
from biounet.models import build
from biounet.models.downsampled import Downsampled
from biounet.models.model_file import ModelCard, load_network, save_network

CPU = {"device": torch.device("cpu"), "precision": torch.float32}


def image(*size):
    return np.random.default_rng(0).normal(size=(1, *size)).astype(np.float32)


def test_squares_are_averaged_and_scores_interpolated_between_their_centres():
    class Echo(torch.nn.Module):
        geometry = make(depth=1).geometry

        def forward(self, seen):
            return seen

    seen = torch.tensor([[[[0.0, 2.0, 4.0, 6.0], [0.0, 2.0, 4.0, 6.0]]]])
    assert Downsampled(Echo(), 2)(seen)[0, 0, 0].tolist() == [1, 2, 4, 5]  # of 1 and 5, a quarter and three of the way


@pytest.mark.parametrize("factor", [2, 4])
def test_nothing_beyond_the_margin_is_seen(factor):
    net = make(depth=1, coarse=factor)
    grid, margin = net.geometry.grid[0], net.geometry.margin[0]
    size = net.geometry.input_size((2 * margin + 4 * grid,) * 2)
    for phase in range(grid):
        at = size[0] // 2 // grid * grid + phase
        nan = nan_outputs(net, size, (at, at))
        taken = (size[0] - nan.shape[0]) // 2
        assert (nan.any(dim=1).nonzero().flatten() + taken - at).abs().max() <= margin


@pytest.mark.parametrize("kind", ["unet same", "unet valid", "unet++ same", "attention-unet same"])
@pytest.mark.parametrize("size", [(64, 64), (37, 91)])
def test_tiles_give_what_the_whole_image_gives(kind, size):
    net = make(*kind.split(), coarse=2)
    whole = predict_array(net, image(*size), tile=(96, 96), **CPU)
    parts = predict_array(net, image(*size), tile=(16, 32), **CPU)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert whole.shape == (2, *size)


def test_all_outputs_are_enlarged_in_training():
    net = make("unet++", coarse=2, deep_supervision=True).train()
    assert net(torch.zeros(2, 1, 16, 32)).shape == (2, 2, 2, 16, 32)


def test_it_is_kept_in_the_model_file(tmp_path):
    config = ModelConfig(width=2, depth=1, padding="same", coarse=4)
    save_network(tmp_path / "a.safetensors", build(config), ModelCard(model=config, normalization=Normalization()))
    net, card = load_network(tmp_path / "a.safetensors")
    assert (net.factor, card.model.coarse) == (4, 4)


def test_volumes_are_refused():
    with pytest.raises((ConfigError, ValueError), match="images"):
        ModelConfig(dims=3, coarse=2)
