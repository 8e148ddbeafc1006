"""Networks made ready for prediction compute what they computed before."""

import copy

import pytest
import torch
from torch import nn

from biounet.config import ModelConfig
from biounet.models import MODELS, build
from biounet.models.frozen import FusedConv, fold_batch_norm, freeze, fuse_activations

NORMS = nn.BatchNorm2d | nn.BatchNorm3d


def trained(**settings) -> nn.Module:
    """A network whose normalisation layers look as after training."""
    net = build(ModelConfig(**({"width": 4, "depth": 2, "padding": "same", "norm": "batch"} | settings))).eval()
    generator = torch.Generator().manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, NORMS):
            nn.init.normal_(layer.running_mean, 0, 0.2, generator=generator)
            nn.init.uniform_(layer.running_var, 0.5, 2.0, generator=generator)
            nn.init.uniform_(layer.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(layer.bias, 0, 0.2, generator=generator)
    return net


def noise(*size: int) -> torch.Tensor:
    return torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dims", [2, 3])
def test_folded_normalisation_gives_the_same_scores(dims):
    net = trained(dims=dims)
    image = noise(*(32,) * dims)
    with torch.inference_mode():
        expected = net(image)
        folded = fold_batch_norm(copy.deepcopy(net))
        assert not [layer for layer in folded.modules() if isinstance(layer, NORMS)]
        torch.testing.assert_close(folded(image).softmax(1), expected.softmax(1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "shape",
    [
        {"depth": 1},
        {"depth": 2},
        {"depth": 3},
        {"depth": 2, "pooling": ((1, 2), (2, 2))},
        {"dims": 3},
        {"dims": 3, "pooling": ((1, 2, 2), (2, 2, 2))},
    ],
    ids=str,
)
def test_frozen_network_gives_the_same_middle(name, shape):
    net = trained(name=name, **shape)
    frozen = freeze(net)
    outer = net.geometry.input_size((8,) * len(net.geometry.grid))
    image = noise(*outer)
    skip = [a - b for a, b in zip(net.geometry.margin, frozen.geometry.margin, strict=True)]
    inner = frozen.geometry.input_size(
        [size - 2 * margin for size, margin in zip(outer, net.geometry.margin, strict=True)]
    )
    part = image[(..., *(slice(at, at + size) for at, size in zip(skip, inner, strict=True)))]
    with torch.inference_mode():
        whole, cut = net(image), frozen(part)
    for axis, size in enumerate(outer):
        delivered = size - 2 * net.geometry.margin[axis]
        whole = whole.narrow(axis + 2, net.geometry.margin[axis], delivered)
        taken = (inner[axis] - cut.shape[axis + 2]) // 2
        cut = cut.narrow(axis + 2, frozen.geometry.margin[axis] - taken, delivered)
    torch.testing.assert_close(cut, whole, atol=1e-5, rtol=0)


def test_frozen_network_needs_less_and_the_original_is_untouched():
    net = trained(depth=3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    frozen = freeze(net)
    assert frozen.geometry.margin < net.geometry.margin
    assert not any(weight.requires_grad for weight in frozen.parameters())
    assert net.geometry.padded
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("dims", [2, 3])
def test_fused_activations_give_the_same_scores(dims):
    net = freeze(trained(dims=dims, padding="valid"))
    image = noise(*net.geometry.input_size((8,) * dims))
    with torch.inference_mode():
        expected = net(image)
        fused = fuse_activations(net)
        assert len([layer for layer in fused.modules() if isinstance(layer, FusedConv)]) == 10 + 1
        torch.testing.assert_close(fused(image), expected, atol=1e-5, rtol=0)
