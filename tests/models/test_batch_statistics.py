"""Statistics of batch normalisation are those of the images that are given."""

import torch
from torch import nn

from biounet.models.batch_statistics import measure_statistics


def test_measured_statistics_are_those_of_the_images_and_weights_stay():
    net = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout2d(0.9))
    weights = {name: value.clone() for name, value in net.named_parameters()}
    images = torch.randn(6, 1, 8, 8)
    measure_statistics(net, images.split(2))
    features = net[0](images).detach()
    torch.testing.assert_close(net[1].running_mean, features.mean((0, 2, 3)))
    parts = torch.stack([part.var((0, 2, 3)) for part in features.split(2)])
    torch.testing.assert_close(net[1].running_var, parts.mean(0))  # the plain mean over batches
    assert all(torch.equal(value, weights[name]) for name, value in net.named_parameters())
    assert (net[1].momentum, any(layer.training for layer in net.modules())) == (0.1, False)
