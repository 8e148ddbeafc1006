"""TernausNet against the network that its authors published (ternaus/TernausNet, unet_models.py, UNet11)."""

import torch

from architectures import make
from biounet.config import ModelConfig
from biounet.models import MODELS

VGG11 = 9_220_480  # Simonyan and Zisserman 2015, table 1 column A, convolutions only


def count(*layers) -> int:
    return sum(weight.numel() for layer in layers for weight in layer.parameters())


def test_parameters_are_those_of_the_authors():
    with torch.device("meta"):
        net = MODELS["ternausnet"](ModelConfig(name="ternausnet", in_channels=3, padding="same"))
    assert count(net.features) == VGG11
    assert count(net) == 22_927_393 + 33  # theirs scores one class, from 32 channels
    assert [layer[0].out_channels for layer in (net.center, *net.expanding)] == [512, 512, 512, 256, 128, 32]
    assert [layer[2].out_channels for layer in (net.center, *net.expanding[:4])] == [256, 256, 128, 64, 32]


def test_skips_come_from_before_each_pooling():
    net = make("ternausnet", width=2)
    seen = []
    for expand in net.expanding:
        expand.register_forward_hook(lambda layer, inputs, output: seen.append(tuple(inputs[0].shape[1:])))
    net(torch.zeros(1, 1, 64, 96))
    assert seen == [(24, 4, 6), (24, 8, 12), (12, 16, 24), (6, 32, 48), (3, 64, 96)]


def test_the_score_has_the_size_of_the_image():
    assert make("ternausnet")(torch.zeros(2, 1, 32, 64)).shape == (2, 2, 32, 64)
