"""The sliding window against its paper (Ciresan et al. 2012), and its dense form against window by window."""

import pytest
import torch
from torch import nn

from architectures import make
from biounet.config import ModelConfig
from biounet.models.sliding_window import PixelClassifier, SlidingWindow

PAPER = ModelConfig(name="sliding-window", width=48, dropout=0.0)


def test_the_window_of_95_has_the_maps_and_weights_of_table_1():
    sides = []
    pixelwise = PixelClassifier(SlidingWindow(PAPER))
    for layer in pixelwise.layers:
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            layer.register_forward_hook(lambda layer, inputs, output: sides.append(output.shape[1:3]))
    pixelwise(torch.zeros(1, 1, 95, 95))
    assert sides == [(48, n) for n in (92, 46, 42, 21, 18, 9, 6, 3)] + [(200, 1), (2, 1)]
    # Filters 4x4, 5x5, 4x4, 4x4 on 1, 48, 48, 48 maps; 200 neurons on 3x3x48; 2 on 200. One bias each.
    by_hand = 48 * 17 + 48 * (48 * 25 + 1) + 2 * 48 * (48 * 16 + 1) + 200 * (9 * 48 + 1) + 2 * 201
    assert sum(weight.numel() for weight in pixelwise.parameters()) == by_hand == 219_290


def test_no_window_has_a_pixel_that_a_pooling_leaves_out():
    for window in (65, 95):
        net = PixelClassifier(SlidingWindow(PAPER.model_copy(update={"window": window, "width": 1})))
        image = torch.randn(1, 1, window, window, generator=torch.Generator().manual_seed(0), requires_grad=True)
        # Averages in place of maxima, so that every pixel counts.
        layers = [nn.AvgPool2d(2) if isinstance(layer, nn.MaxPool2d) else layer for layer in net.layers]
        nn.Sequential(*layers)(image).sum().backward()
        assert (image.grad != 0).all()


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("window", [65, 95])
def test_the_dense_form_gives_the_numbers_of_every_window(window, norm):
    net = make("sliding-window", "valid", window=window, norm=norm, width=4, classes=3, in_channels=2)
    image = torch.randn(2, 2, window + 4, window + 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        dense, scanned = net(image), PixelClassifier(net).scan(image)
    assert dense.shape == (2, 3, 5, 9)
    torch.testing.assert_close(dense, scanned, atol=1e-5, rtol=1e-5)
    assert dense.std() > 0.01


def test_both_forms_learn_the_same():
    net = make("sliding-window", "valid", window=65, norm="none", width=4).double()
    image = torch.randn(1, 1, 69, 70, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradients = []
    for form in (net, PixelClassifier(net).scan):
        net.zero_grad()
        form(image).square().sum().backward()
        gradients.append([weight.grad.clone() for weight in net.parameters()])
    for dense, pixelwise in zip(*gradients, strict=True):
        torch.testing.assert_close(dense, pixelwise)


def test_the_size_of_the_image_can_be_kept():
    net = make("sliding-window", "same", window=65, width=2)
    assert net.geometry.margin == (32, 32)
    assert net(torch.zeros(1, 1, 20, 30)).shape == (1, 2, 20, 30)
