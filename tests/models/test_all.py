"""What holds for every architecture: sizes, reach, gradients, weights, files that other software reads."""

import math

import pytest
import torch

from architectures import CONVOLUTIONS, FAMILY, KINDS, UNPADDED, WIDTHS, make, reach, settings_of
from biounet.config import ARCHITECTURES, ModelConfig, RunConfig
from biounet.core.errors import ConfigError
from biounet.models import MODELS, build, geometry_of

TRACED = [*((kind, {}) for kind in KINDS if kind[0] in FAMILY and kind[1] == "same" and kind[0] != "unet")]
TRACED += [((name, "same", 2), {"pooling": ((1, 2), (2, 1))}) for name in FAMILY if name != "unet"]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_the_settings_know_every_architecture():
    assert tuple(MODELS) == ARCHITECTURES


@pytest.mark.parametrize("name", FAMILY)
def test_the_family_comes_in_the_plane_and_in_space_and_unpadded_where_its_paper_does(name):
    assert {kind for kind in KINDS if kind[0] == name} == {
        (name, padding, dims) for padding in (("valid", "same") if name in UNPADDED else ("same",)) for dims in (2, 3)
    }


@pytest.mark.parametrize("name", [name for name in MODELS if name not in UNPADDED])
def test_unpadded_convolutions_are_refused_where_the_paper_has_none(name):
    with pytest.raises(ConfigError, match=r"set model\.padding to 'same'"):
        build(settings_of(name, "valid"))


@pytest.mark.parametrize("name", MODELS)
def test_a_name_is_enough_to_build_a_network(name):
    width = WIDTHS.get(name, 4)
    published = "valid" if name in UNPADDED else "same"
    for config in (ModelConfig(name=name, width=width), paper(name, width)):
        assert config.padding == published
        assert build(config).geometry.padded == (published == "same")


def paper(name: str, width: int) -> ModelConfig:
    return RunConfig.preset("paper").updated({"model.name": name, "model.width": width}).model


def test_an_unknown_name_is_said():
    with pytest.raises(ConfigError, match=r"one of unet, .*unet\+\+"):
        build(ModelConfig(name="u-net"))


@pytest.mark.parametrize(("name", "padding", "dims"), KINDS)
def test_sizes_are_those_that_the_network_takes(name, padding, dims):
    net = make(name, padding, dims, in_channels=2, classes=3)
    for wanted in (1, 9):
        size = net.geometry.input_size((wanted, wanted + 4, wanted)[:dims])
        with torch.inference_mode():
            scores = net(noise(1, 2, *size))
        assert scores.shape == (1, 3, *(size if net.geometry.padded else net.geometry.output_size(size)))
        assert scores.std() > 1e-3, "a network that has died proves nothing in other tests"


@pytest.mark.parametrize(("kind", "settings"), TRACED, ids=str)
def test_margin_is_enough_and_tight(kind, settings):
    net = make(*kind, **settings)
    for axis in (0, 1) if kind[2] == 2 else (0,):  # volumes of the size of the context take long
        margin, grid = net.geometry.margin[axis], net.geometry.grid[axis]
        assert margin - grid < reach(net, axis) <= margin


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_reaches_all_weights(name):
    net = make(name, dropout=0.0, width=8).train()
    scores = net(noise(2, 1, *(max(16, 2 * grid) for grid in net.geometry.grid)))
    (scores * noise(*scores.shape)).mean().backward()
    for key, weight in net.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.isfinite().all(), key
        assert weight.grad.any(), key


@pytest.mark.parametrize("name", MODELS)
def test_equal_seeds_give_equal_weights(name):
    config = settings_of(name)
    first, second, other = (build(config, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(weight, second[key]) for key, weight in first.items())
    assert not all(torch.equal(weight, other[key]) for key, weight in first.items())


@pytest.mark.parametrize("name", MODELS)
def test_geometry_is_known_without_weights_and_without_chance(name):
    config, before = settings_of(name, coarse=2), torch.get_rng_state()
    assert geometry_of(config) == build(config).geometry
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", FAMILY)
def test_weights_have_variance_two_over_the_incoming_nodes_and_one_where_no_relu_is_before(name):
    net = build(settings_of(name, width=16))
    straight = [getattr(block, key) for block in net.modules() for key in getattr(block, "unrectified", ())]
    assert bool(straight) == (name in ("residual-unet", "recurrent-residual-unet"))
    parts = []
    for layer in net.modules():
        if isinstance(layer, CONVOLUTIONS):
            gain = 1 if layer in straight else 2
            pixels = math.prod(layer.kernel_size)
            if isinstance(layer, torch.nn.ConvTranspose2d):
                pixels = pixels / math.prod(layer.stride)
            parts.append(layer.weight.flatten() * math.sqrt(layer.in_channels * pixels / gain))
            assert layer.bias is None or not layer.bias.any()
    weights = torch.cat(parts).detach()
    assert abs(weights.mean().item()) < 5 / math.sqrt(len(weights))
    assert abs(weights.std().item() - 1) < 5 / math.sqrt(2 * len(weights))


@pytest.mark.parametrize("name", MODELS)
def test_a_graph_without_python_gives_the_same_scores(name):
    net = make(name)
    image = noise(1, 1, *net.geometry.input_size((16, 16)))
    graph = torch.export.export(net, (image,))  # what the exporter of ONNX begins with
    with torch.inference_mode():
        torch.testing.assert_close(graph.module()(image), net(image), atol=1e-5, rtol=0)
