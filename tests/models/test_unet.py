"""The U-Net against its paper (Ronneberger et al. 2015), and the sizes it says it needs against NaN."""

import math

import pytest
import torch
from torch import nn

from architectures import CONVOLUTIONS, nan_outputs, reach
from biounet.config import ModelConfig
from biounet.models import build
from biounet.models.fused import freeze
from biounet.models.receptive_field import valid_output_size

PAPER = ModelConfig()
NORMS = nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm

SHAPES = [
    {"dims": 2, "depth": 1},
    {"dims": 2, "depth": 2},
    {"dims": 2, "depth": 3},
    {"dims": 2, "depth": 3, "pooling": ((1, 2), (2, 2), (2, 1))},
    {"dims": 3, "depth": 2},
    {"dims": 3, "depth": 2, "pooling": ((1, 2, 2), (2, 2, 2))},
]


def small(name: str, padding: str, **shape) -> nn.Module:
    return build(ModelConfig(name=name, width=1, padding=padding, dropout=0.0, **shape)).eval()


@pytest.fixture(scope="module")
def paper() -> nn.Module:
    return build(PAPER)


def test_the_network_of_the_paper_has_its_layers_and_parameters(paper):
    layers = [layer for layer in paper.modules() if isinstance(layer, CONVOLUTIONS)]
    assert len(layers) == 23
    assert sum(weight.numel() for weight in paper.parameters()) == 31_030_658
    assert not [layer for layer in paper.modules() if isinstance(layer, NORMS)]
    widths = [layer.out_channels for layer in layers if layer.kernel_size == (3, 3)]
    assert widths[:10:2] == [64, 128, 256, 512, 1024]


@pytest.mark.parametrize(("size", "left"), [(572, 388), (188, 4)])
def test_the_network_of_the_paper_takes_away_what_figure_1_says(paper, size, left):
    scores = build(PAPER).to("meta")(torch.empty(1, 1, size, size, device="meta"))
    assert scores.shape == (1, 2, left, left)


def test_weights_are_drawn_with_the_standard_deviation_of_the_paper(paper):
    for name, layer in paper.named_modules():
        if not isinstance(layer, CONVOLUTIONS):
            continue
        # An up-convolution sends each input pixel to its own four outputs: its channels are the incoming nodes.
        pixels = 1 if isinstance(layer, nn.ConvTranspose2d) else math.prod(layer.kernel_size)
        expected = math.sqrt(2 / (layer.in_channels * pixels))
        error = expected / math.sqrt(2 * layer.weight.numel())  # standard error of a standard deviation
        assert abs(layer.weight.std().item() - expected) < 5 * error, name
        assert abs(layer.weight.mean().item()) < 5 * expected / math.sqrt(layer.weight.numel()), name
        assert not layer.bias.any()


def test_feature_maps_keep_their_second_moment():
    # E[y^2] after a ReLU is E[x^2] before the convolution, in the mean over weights. Pooling, which takes the
    # largest of four, is what raises it; averaging in the expanding path brings it back.
    net = build(ModelConfig(width=32, depth=3)).eval()
    gains, moments = {}, {}

    def watch(name):
        def hook(layer, inputs, output):
            moments[name] = output.relu().square().mean().item()
            gains[name] = moments[name] / inputs[0].square().mean().item()

        return hook

    for name, layer in net.named_modules():
        if isinstance(layer, CONVOLUTIONS) and name != "head":
            layer.register_forward_hook(watch(name))
    with torch.no_grad():
        net(torch.randn(1, 1, 124, 124, generator=torch.Generator().manual_seed(1)))
    assert len(gains) == 2 * 3 + 2 + 3 * 3
    assert all(1 / 2 < gain < 2 for gain in gains.values()), gains
    assert 0.8 < math.exp(sum(map(math.log, gains.values())) / len(gains)) < 1.25
    assert all(1 / 2 < moment < 8 for moment in moments.values()), moments


def test_drop_out_stands_at_the_end_of_the_contracting_path_while_training():
    net = build(ModelConfig(width=8, depth=2))
    seen = []
    net.dropout.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0].shape[1]))
    image = torch.ones(1, 1, 60, 60)
    net.train()
    assert not torch.equal(net(image), net(image))
    assert seen == [16, 32] * 2  # the last contracting level and the bottom
    net.eval()
    assert torch.equal(net(image), net(image))


def test_drop_out_sets_single_values_to_0_and_not_channels():
    net, seen = build(ModelConfig(width=8, depth=1)).train(), []
    net.dropout.register_forward_hook(lambda layer, inputs, output: seen.append(output == 0))
    net.dropout(torch.ones(1, 8, 20, 20))
    share = seen[0].flatten(2).float().mean(dim=2)  # of each channel, 400 values
    assert ((share > 0.35) & (share < 0.65)).all()


def test_equal_seeds_give_equal_weights_and_leave_chance_alone():
    config = ModelConfig(width=2, depth=2)
    state = torch.get_rng_state()
    first, second, other = build(config, seed=3), build(config, seed=3), build(config, seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert not torch.equal(first.head.weight, other.head.weight)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_skips_are_cropped_around_the_middle(depth):
    # With mirror-symmetric filters a mirrored image has a mirrored result, unless something is off centre.
    net = small("unet", "valid", depth=depth).double()
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, CONVOLUTIONS):
                layer.weight.copy_((layer.weight + layer.weight.flip((-2, -1))) / 2)
        image = torch.randn(1, 1, *net.geometry.input_size((9, 20)), dtype=torch.float64)
        torch.testing.assert_close(net(image.flip((-2, -1))).flip((-2, -1)), net(image))


def rows_needed(row: int, depth: int) -> range:
    """Input rows that an output row of the unpadded network needs, walked back through figure 1."""
    first = last = row
    for _ in range(depth):
        first, last = first // 2, (last + 4) // 2  # two 3x3 convolutions, up-convolution
    last += 4
    for _ in range(depth):
        first, last = 2 * first, 2 * last + 1 + 4  # pooling, two 3x3 convolutions
    return range(first, last + 1)


def test_every_output_of_the_smallest_input_needs_all_of_it():
    net = small("unet", "valid", depth=4)
    assert [rows_needed(row, 4) for row in range(4)] == [range(188)] * 4
    for corner in ((0, 0), (0, 187), (187, 0), (187, 187)):
        assert nan_outputs(net, (188, 188), corner).all()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_receptive_field_is_that_of_figure_1(depth):
    net = small("unet", "valid", depth=depth)
    size = net.geometry.input_size((20,) * 2)[0]
    left = valid_output_size(size, depth=depth)
    for row in range(size):
        reached = nan_outputs(net, (size, size), (row, size // 2)).any(dim=1)
        for out in range(left):
            assert bool(reached[out]) <= (row in rows_needed(out, depth))
            # The skips and the way through the bottom together leave no hole at the ends.
            assert reached[out] or row not in (rows_needed(out, depth)[0], rows_needed(out, depth)[-1])


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_margin_is_enough_and_tight(padding, shape):
    net = small("unet", padding, **shape)
    for axis, (margin, grid) in enumerate(zip(net.geometry.margin, net.geometry.grid, strict=True)):
        needed = reach(net, axis)
        assert margin - grid < needed <= margin + (0 if padding == "same" else grid)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sizes_are_those_that_the_network_takes(padding, shape):
    net = small("unet", padding, **shape)
    dims = len(net.geometry.grid)
    for wanted in (1, 5, 17):
        size = net.geometry.input_size((wanted,) * dims)
        got = net(torch.zeros(1, 1, *size)).shape[2:]
        exact = net.geometry.output_size(size)
        assert all(pixels >= wanted for pixels in exact)
        assert got == (size if net.geometry.padded else exact)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_volumes_and_channels(padding):
    net = build(ModelConfig(dims=3, in_channels=2, classes=3, width=2, depth=2, padding=padding, norm="batch")).eval()
    size = net.geometry.input_size((8, 8, 8))
    assert net(torch.zeros(1, 2, *size)).shape[:2] == (1, 3)
    assert len([layer for layer in net.modules() if isinstance(layer, nn.Conv3d)]) == 2 * 5 + 1


def test_tiles_of_any_phase_give_the_same_pixels_when_they_lie_on_the_grid():
    for padding in ("valid", "same"):
        net = freeze(small("unet", padding, depth=2))
        image = torch.randn(1, 1, 200, 200, generator=torch.Generator().manual_seed(0))
        size = net.geometry.input_size((8, 8))[0]
        with torch.inference_mode():
            first = net(image[..., 4 : 4 + size, 8 : 8 + size])
            second = net(image[..., 8 : 8 + size, 8 : 8 + size])
        torch.testing.assert_close(first[:, :, 4:], second[:, :, : first.shape[2] - 4], atol=1e-6, rtol=0)
