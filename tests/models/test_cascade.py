"""The cascade: a fine network that computes only where the coarse one saw something, and the same on every tile."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from architectures import make
from biounet.inference.cost import count_cost, meta_copy
from biounet.inference.overlap_tile import predict_array
from biounet.models import cascade
from biounet.models.fused import freeze

CPU = {"device": torch.device("cpu"), "precision": torch.float32}


class Brightness(nn.Module):
    """In place of a trained coarse network: what is bright is foreground, by a score of 6 times the pixel."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(image), 6 * image], dim=1)


def cascade_of(dims: int = 2, **options) -> nn.Module:
    net = make("cascade-unet", dims=dims, **({"depth": 1, "width": 8} | options))
    net.coarse = Brightness()
    return net


def score(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def spotted(*shape: int, spots: dict[tuple[int, ...], float]) -> torch.Tensor:
    """An image (1, 1, *shape) of noise, and squares of 2 pixels a side in which foreground has some probability."""
    image = torch.rand((1, 1, *shape), generator=torch.Generator().manual_seed(0)) / 4 - 2  # scores of -12 to -10.5
    for at, probability in spots.items():
        image[(0, 0, *(slice(start, start + 2) for start in at))] = score(probability) / 6
    return image


def everywhere(net: nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of both networks for all pixels."""
    coarse = net.enlarge(net.coarse(net.shrink(image)))
    return coarse, net.fine(torch.cat([image, coarse.softmax(dim=1)], dim=1))


@pytest.fixture
def inputs(monkeypatch):
    """The shapes of what the fine network gets."""
    shapes, refine = [], cascade.CascadeUNet._refine

    def spy(net, image, small):
        shapes.append(tuple(image.shape))
        return refine(net, image, small)

    monkeypatch.setattr(cascade.CascadeUNet, "_refine", spy)
    return shapes


@pytest.mark.parametrize(("probability", "share"), [(0.09, 0), (0.1002, 0.002), (0.15, 0.5), (0.21, 1)])
def test_the_fine_scores_count_in_blocks_around_likely_foreground(probability, share):
    net, image = cascade_of(), spotted(32, 40, spots={(12, 22): probability})  # in the block of rows 12-15, 20-23
    with torch.inference_mode():
        scores, (coarse, fine) = net(image), everywhere(net, image)
    expected = coarse.clone()
    near = (..., slice(8, 20), slice(16, 28))
    expected[near] = (1 - share) * coarse[near] + share * fine[near]
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-3 if 0 < share < 1 else 1e-5)
    assert fine[near].std() > 0.1, "a network that has died proves nothing"


def test_the_fine_network_gets_boxes_and_their_context_and_nothing_where_nothing_is(inputs):
    net = cascade_of()
    assert net.fine.geometry.margin == (10, 10)
    with torch.inference_mode():
        net(spotted(96, 96, spots={}))
        assert inputs == []
        net(spotted(96, 96, spots={(48, 48): 0.5}))  # blocks of rows 44-55
        assert inputs == [(1, 1, 12 + 20, 12 + 20)]
        net(spotted(96, 96, spots={(0, 0): 0.5, (92, 92): 0.5}))  # two blocks of each side in either corner
        assert inputs[1:] == [(1, 1, 8 + 10, 8 + 10)] * 2


@pytest.mark.parametrize("dims", [2, 3])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_tiles_equal_the_whole_where_the_networks_disagree(dims, data):
    net = cascade_of(dims)
    shape = data.draw(st.tuples(*[st.integers(2, 70 if dims == 2 else 14)] * dims))
    spots = st.tuples(*(st.integers(0, size - 1) for size in shape))
    probabilities = st.sampled_from([0.1, 0.15, 0.2, 0.5, 1 - 1e-6])
    image = spotted(*shape, spots=data.draw(st.dictionaries(spots, probabilities, max_size=3)))[0].numpy()
    whole = predict_array(net, image, **CPU)
    tiles = data.draw(st.tuples(*[st.integers(8, 40)] * dims))
    parts = predict_array(net, image, tile=tiles, batch=data.draw(st.sampled_from([1, 2])), **CPU)
    assert np.abs(parts - whole).max() <= 1e-5


@pytest.mark.parametrize("at", [0.1, 0.2])
def test_rounding_in_the_coarse_network_makes_no_more_than_rounding(at):
    net = cascade_of()
    with torch.inference_mode():
        below, above = (net(spotted(32, 32, spots={(12, 12): at * (1 + sign * 1e-6)})) for sign in (-1, 1))
    assert (above - below).abs().max() < 1e-3  # scores go up to 12


@pytest.mark.parametrize("dims", [2, 3])
def test_a_graph_computes_for_any_image_what_boxes_give(dims):
    net, shape = cascade_of(dims), (32, 24, 16)[:dims]
    graph = torch.export.export(net, (spotted(*shape, spots={}),)).module()
    image = spotted(*shape, spots={(4,) * dims: 0.5, (10,) * dims: 0.15})
    with torch.inference_mode():
        torch.testing.assert_close(graph(image), net(image), atol=1e-5, rtol=1e-5)


def test_every_image_of_a_batch_has_boxes_of_its_own(inputs):
    net = cascade_of()
    images = [spotted(48, 48, spots=spots) for spots in ({}, {(4, 4): 0.5}, {(40, 30): 0.15})]
    with torch.inference_mode():
        together = net(torch.cat(images))
        assert len(inputs) == 2
        torch.testing.assert_close(together, torch.cat([net(image) for image in images]), atol=1e-5, rtol=1e-5)


def test_what_is_cut_off_is_not_computed(inputs):
    net = cascade_of()
    margin = net.geometry.margin[0]
    size = 2 * margin + 16
    with torch.inference_mode():
        frozen, image = freeze(net), spotted(size, size, spots={(margin - 8, 40): 0.5, (margin, margin): 0.5})
        scores, expected = frozen(image), net(image)
    assert inputs[0] == (1, 1, 8 + 20, 8 + 20)  # the second spot without one block of three
    inner = (..., slice(margin, -margin), slice(margin, -margin))
    torch.testing.assert_close(scores[inner], expected[inner], atol=1e-5, rtol=1e-5)


def test_memory_and_operations_are_counted_as_if_everything_were_computed(inputs):
    net = make("cascade-unet", depth=1)
    count_cost(meta_copy(net), (2, 1, 64, 64), torch.float32)
    assert inputs == [(2, 1, 64, 64)]


def test_without_a_lesson_of_its_own_the_coarse_network_decides_nothing(inputs):
    net = cascade_of(deep_supervision=False)
    with torch.inference_mode():
        net(spotted(32, 32, spots={}))
    assert inputs == [(1, 1, 32, 32)]


def test_scores_have_gradients_outside_of_training_too():
    net, image = make("cascade-unet", depth=1), spotted(16, 16, spots={(4, 4): 0.5}).requires_grad_()
    net(image).square().sum().backward()
    assert image.grad.any()
    assert all(weight.grad is not None for weight in net.parameters())
