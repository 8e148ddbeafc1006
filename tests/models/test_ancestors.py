"""What holds alike for what is for images only: the sliding window, the FCNs and TernausNet; reach, tiles, learning."""

import numpy as np
import pytest
import torch
from torch import nn

from architectures import PLANAR, make
from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.data.synthetic import draw_membranes
from biounet.inference.overlap_tile import predict_array
from biounet.models import build
from biounet.models.fcn import Score
from biounet.training.losses import cross_entropy


def trained(name: str, **settings) -> nn.Module:
    """A small network whose scores on poolings, which begin at zero, look as after training."""
    net = make(name, **settings)
    generator = torch.Generator().manual_seed(1)
    for layer in net.modules():
        if isinstance(layer, Score):
            nn.init.normal_(layer.weight, generator=generator)
    return net


@pytest.mark.parametrize("name", PLANAR)
def test_margin_is_enough_and_tight(name):
    # NaN passes through every layer: row by row of one period of the poolings, see how far it gets.
    net = make(name, width=1, norm="none")
    grid, margin = net.geometry.grid[0], net.geometry.margin[0]
    middle = margin // grid * grid + grid
    images = torch.zeros(grid, 1, 2 * middle + grid, grid)
    for phase in range(grid):
        images[phase, 0, middle + phase, grid // 2] = torch.nan
    with torch.inference_mode():
        lost = net(images).isnan().any(dim=1)
    farthest = [(at.nonzero()[:, 0] - middle - phase).abs().max().item() for phase, at in enumerate(lost)]
    assert lost.shape == images[:, 0].shape
    assert margin - grid < max(farthest) <= margin


@pytest.mark.parametrize("name", PLANAR)
def test_tiles_equal_the_whole(name):
    net, image = trained(name), np.random.default_rng(0).normal(size=(1, 75, 40)).astype(np.float32)
    options = {"device": torch.device("cpu"), "precision": torch.float32}
    tiled = predict_array(net, image, tile=32, **options)
    (above, left), sizes = net.geometry.margin, net.geometry.input_size(image.shape[1:])
    around = [(above, sizes[0] - above - 75), (left, sizes[1] - left - 40)]
    mirrored = torch.from_numpy(np.pad(image, [(0, 0), *around], mode="reflect"))
    with torch.inference_mode():
        whole = net(mirrored[None]).softmax(dim=1)[0, :, above : above + 75, left : left + 40]
    assert np.abs(tiled - whole.numpy()).max() <= 1e-5
    assert whole.std() > 1e-4, "the scores say something"


@pytest.mark.parametrize("name", PLANAR)
def test_a_few_steps_on_one_section_lower_the_loss(name):
    section, labels = draw_membranes(np.random.default_rng(0), size=(64, 64))
    image = torch.from_numpy(section / 255.0).float()[None, None]
    image, target = (image - image.mean()) / image.std(), torch.from_numpy(labels > 0).long()[None]
    net = build(ModelConfig(name=name, width=4, padding="same", norm="batch", dropout=0.0)).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(20):
        loss = cross_entropy(net(image), target, torch.where(target > 0, 0.5 / target.float().mean(), 2.0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.9 * losses[0], losses


@pytest.mark.parametrize("name", PLANAR)
def test_what_the_papers_do_not_have_is_refused(name):
    with pytest.raises(ConfigError, match=r"takes images \(Y, X\), got 3"):
        build(ModelConfig(name=name, dims=3, padding="same"))
    with pytest.raises(ConfigError, match="pools by 2"):
        build(ModelConfig(name=name, padding="same", depth=1, pooling=((1, 2),)))
