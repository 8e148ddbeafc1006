"""Networks made ready for prediction compute what they computed before."""

import copy

import pytest
import torch
from torch import nn

from architectures import KINDS, NORMS, make
from biounet.models.fused import FusedConv, fold_batch_norm, freeze, fuse_activations


def trained(**settings) -> nn.Module:
    """A network whose normalisation layers look as after training."""
    return make(**({"width": 4} | settings))


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


@pytest.mark.parametrize(
    "shape",
    [
        {"depth": 1},
        {"depth": 2},
        {"depth": 3},
        {"depth": 2, "pooling": ((1, 2), (2, 2))},
        {"depth": 2, "coarse": 2},
        {"dims": 3},
        {"dims": 3, "pooling": ((1, 2, 2), (2, 2, 2))},
    ],
    ids=str,
)
def test_frozen_network_gives_the_same_middle(shape):
    check_middle(trained(**shape))


@pytest.mark.parametrize("name", [name for name, padding, dims in KINDS if (padding, dims) == ("same", 2)])
def test_every_frozen_network_gives_the_same_middle(name):
    check_middle(make(name))


def check_middle(net: nn.Module) -> None:
    """What of the output no zeros of padding have reached does not change by more than rounding."""
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
    torch.testing.assert_close(cut, whole, atol=1e-5, rtol=1e-5)


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
