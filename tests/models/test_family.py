"""Each variant of the U-Net against its paper, or the code of its authors."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from architectures import CONVOLUTIONS, NORMS, gate_coefficients, gates_of, make, settings_of
from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.models import MODELS, build
from biounet.models.attention import AttentionMaps
from biounet.models.pix2pix import PatchGAN, Pix2Pix
from biounet.models.recurrent import RecurrentConv
from biounet.models.residual import ResidualBlock
from biounet.models.unetpp import UNetPlusPlus, prune


def sketch(name: str, **settings) -> nn.Module:
    """A network without numbers."""
    with torch.device("meta"):
        return MODELS[name](ModelConfig(name=name, **settings))


def count(net: nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


def kernels(net: nn.Module) -> int:
    """Weights of convolutions, without biases and normalisations."""
    return sum(layer.weight.numel() for layer in net.modules() if isinstance(layer, CONVOLUTIONS))


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_unet_plus_plus_has_the_parameters_that_its_authors_state():
    # github.com/MrGiovanni/UNetPlusPlus, keras/helper_functions.py, of one class by a sigmoid; a second class of
    # the soft-max has 32 weights and a bias more. Table 3 of the paper: 7.76M and 9.04M.
    small = {"width": 32, "padding": "same", "deep_supervision": False}
    assert count(sketch("unet", **small)) == 7_759_521 + 33
    assert count(sketch("unet++", **small)) == 9_041_601 + 33
    assert count(sketch("unet++", **{**small, "deep_supervision": True})) == 9_041_601 + 33 + 3 * 66


def test_attention_unet_has_the_parameters_of_its_paper():
    # Oktay et al. 2018, table 1: 5.88M without gates, for volumes and 16 channels at first; 8 % more with gates.
    net = sketch("attention-unet", dims=3, width=16, padding="same", norm="batch")
    gates = gates_of(net)
    convolutions = kernels(net) - sum(map(kernels, gates)) - 2 * 16
    encoder = 16 + 16 * 16 + sum(c * c // 2 + c * c for c in (32, 64, 128, 256))
    decoder = sum((2 * c + c) * c + c * c for c in (16, 32, 64, 128))
    assert convolutions == 27 * (encoder + decoder) == 5_882_544
    # Equation 1 for skips of 128, 64 and 32 channels and signals of twice as many: W_x of 2x2x2, W_g and psi of 1.
    assert list(map(count, gates)) == [8 * c * c + (2 * c * c + c) + (c + 1) for c in (128, 64, 32)]


def test_unet3d_has_the_parameters_of_its_paper():
    # Cicek et al. 2016, section 2: 19069955. Scales of batch normalisation are not counted.
    net = sketch("unet3d", dims=3, in_channels=3, classes=3, depth=3, norm="batch")
    scales = sum(layer.weight.numel() for layer in net.modules() if isinstance(layer, NORMS))
    assert count(net) - scales == 19_069_955


def test_unet3d_doubles_the_channels_before_the_pooling():
    # Figure 2: 3-32-64 | 64-64-128 | 128-128-256 | 256-256-512 | 512+256-256-256 | 256+128-128-128 | 128+64-64-64 | 3
    net = sketch("unet3d", dims=3, in_channels=3, classes=3, depth=3)
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv3d)]
    assert [(layer.in_channels, layer.out_channels) for layer in layers] == [
        *((3, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512)),
        *((768, 256), (256, 256), (384, 128), (128, 128), (192, 64), (64, 64), (64, 3)),
    ]
    assert net.geometry.output_size((132, 132, 116)) == (44, 44, 28)


def test_residual_unet_has_the_parameters_of_its_paper():
    # Zhang et al. 2018, table I, row by row, and 7.8M in section III; 1x1 convolutions bring inputs to their sums.
    net = sketch("residual-unet", in_channels=3, depth=3, padding="same", norm="batch")
    rows = [(3, 64), (64, 128), (128, 256), (256, 512), (512 + 256, 256), (256 + 128, 128), (128 + 64, 64)]
    shortcuts = sum(before * after for before, after in rows)
    assert kernels(net) - shortcuts == sum(9 * (before + after) * after for before, after in rows) + 64 * 2
    assert round((kernels(net) - shortcuts) / 1e6, 1) == 7.8
    strides = [layer.stride[0] for layer in net.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size[0] > 1]
    assert strides == [1, 1, *(2, 1) * 3, *(1, 1) * 3]  # table I, column "Stride"


@pytest.mark.parametrize("stride", [(2, 2), (1, 2)])
def test_the_gradient_of_a_residual_with_a_stride_is_the_same_in_any_order_of_memory(stride):
    # That of a 1x1 convolution with a stride is wrong in oneDNN, of few channels and with channels last.
    drawn = ResidualBlock(8, 16, dims=2, padded=True, norm=False, stride=stride)
    gradients = []
    for order in (torch.contiguous_format, torch.channels_last):
        block = copy.deepcopy(drawn).to(memory_format=order)
        image = noise(2, 8, 64, 64).contiguous(memory_format=order)
        scores = block(image)
        scores.backward(noise(*scores.shape))
        gradients.append([weight.grad for weight in block.parameters()])
        plain = conv2d(image, block.shortcut.weight, stride=stride)
        torch.testing.assert_close(scores, plain + block.residual(image))
    torch.testing.assert_close(*gradients, atol=1e-3, rtol=1e-4)


def test_recurrent_residual_unet_has_the_layers_of_its_paper():
    # Alom et al. 2018: 1-16-32-64-128-64-32-16-1, each block two recurrent convolutions of two kernels (equation 1).
    net = sketch("recurrent-residual-unet", width=16, depth=3, padding="same", norm="batch")
    rows = [(1, 16), (16, 32), (32, 64), (64, 128), (128, 64), (64, 32), (32, 16)]
    blocks = sum(before * after + 2 * 2 * 9 * after * after for before, after in rows)
    assert kernels(net) == blocks + 4 * (128 * 64 + 64 * 32 + 32 * 16) + 16 * 2


def test_recurrent_convolution_is_equation_1():
    layer = RecurrentConv(2, dims=2, norm=False, steps=2)
    x = noise(1, 2, 6, 7)
    state = torch.zeros_like(x)
    for _ in range(3):
        feed = conv2d(x, layer.see.weight, layer.see.bias, padding=1)
        state = (feed + conv2d(state, layer.recall.weight, padding=1)).relu()
    torch.testing.assert_close(layer(x), state)


def test_dense_unet_has_the_layers_of_its_paper():
    # Guan et al. 2020: four layers of 1x1 (as many as entered) and 3x3 (a quarter of them) double the channels.
    net = sketch("dense-unet", width=64, depth=4, padding="same", norm="batch")
    widths, entering = (64, 128, 256, 512, 1024), (32, 64, 128, 256, 512, 256, 128, 64, 32)
    blocks = [(c + step * c // 4) * c + 9 * c * c // 4 for c in entering for step in range(4)]
    adapted = 9 * 32 + sum(2 * width * width // 2 for width in widths[:-1])
    widened = 4 * sum(below * width for below, width in zip(widths[1:], widths, strict=False))
    assert kernels(net) == sum(blocks) + adapted + widened + 64 * 2
    with pytest.raises(ConfigError, match="a width of 8 N, got 12"):
        sketch("dense-unet", width=12, padding="same")


def test_inception_unet_has_the_module_of_its_paper():
    # Szegedy et al. 2015, figure 2b: 1x1 | 1x1, 3x3 | 1x1, 5x5 | pooling, 1x1.
    net = sketch("inception-unet", width=16, depth=1, padding="same", norm="batch")
    modules = [(1, 16), (16, 16), (16, 32), (32, 32), (32, 16), (16, 16)]
    filters = sum(4 * before * (after // 4) + (9 + 25) * (after // 4) ** 2 for before, after in modules)
    assert kernels(net) == filters + 4 * 32 * 16 + 16 * 2
    with pytest.raises(ConfigError, match="a width of 4 N, got 6"):
        sketch("inception-unet", width=6, padding="same")


def test_the_cascade_is_two_unets_the_second_of_which_sees_the_classes_too():
    assert count(sketch("cascade-unet", padding="same")) == 2 * 31_030_658 + 2 * 64 * 9


def test_pix2pix_has_the_parameters_that_its_authors_state():
    # github.com/junyanz/pytorch-CycleGAN-and-pix2pix prints 54.414 M for unet_256 and 2.769 M for its discriminator.
    config = {"in_channels": 3, "classes": 3, "max_width": 512, "depth": 8, "padding": "same", "norm": "batch"}
    net = sketch("pix2pix", **config)
    assert round(count(net) / 1e6, 3) == 54.414
    assert net.geometry.grid == (256, 256)
    with torch.device("meta"):
        assert round(count(PatchGAN(6)) / 1e6, 3) == 2.769


def test_the_judge_looks_at_patches_of_70_pixels():
    discriminator, images = PatchGAN(2, width=2).eval(), noise(2, 1, 1, 128, 128).requires_grad_()
    discriminator(*images)[0, 0, 7, 7].backward()
    for axis in (0, 1):
        seen = images.grad[0, 0, 0].any(dim=axis).nonzero()
        assert seen.max() - seen.min() + 1 == 70


def test_the_drawn_image_of_pix2pix_does_not_depend_on_chance_or_on_the_batch():
    net = build(settings_of("pix2pix", width=4, dropout=0.5)).eval()
    assert isinstance(net, Pix2Pix)
    images = noise(2, 1, 16, 16)
    torch.testing.assert_close(net(images)[:1], net(images[:1]))
    net.train()
    assert not torch.equal(net(images), net(images))


@pytest.mark.parametrize("dims", [2, 3])
def test_unet_plus_plus_holds_unets_of_all_depths(dims):
    net = make("unet++", dims=dims, depth=3, dropout=0.0)
    image = noise(1, 1, *(16,) * dims)
    with torch.inference_mode():
        mean = net(image).softmax(dim=1)
        for layer in net.modules():
            layer.training = isinstance(layer, UNetPlusPlus)  # all heads, but frozen normalisation
        heads = net(image).unbind(dim=2)
        net.eval()
        assert len(heads) == 3
        torch.testing.assert_close(mean, sum(head.softmax(dim=1) for head in heads) / 3)
        for depth, head in enumerate(heads, start=1):
            torch.testing.assert_close(prune(net, depth)(image), head)


def test_pruning_saves_context_and_weights_and_says_where_it_cannot():
    net = make("unet++", depth=3)
    margins = [prune(net, depth).geometry.margin[0] for depth in (1, 2, 3)]
    assert margins == sorted(set(margins))
    assert margins[-1] == net.geometry.margin[0]
    assert count(prune(net, 1)) < count(prune(net, 2)) < count(net)
    with pytest.raises(ConfigError, match="depth 1 to 3, got 4"):
        prune(net, 4)
    with pytest.raises(ConfigError, match="depth 2 to 2, got 1"):
        prune(make("unet++", deep_supervision=False), 1)
    with pytest.raises(ConfigError, match=r"only unet\+\+"):
        prune(make("unet"), 1)


def test_training_gives_the_scores_of_every_supervised_output():
    image = noise(2, 1, 16, 16)
    for name, outputs in (("unet++", 3), ("cascade-unet", 2)):
        assert make(name, depth=3).train()(image).shape == (2, 2, outputs, 16, 16)
        assert make(name, deep_supervision=False).train()(image).shape == (2, 2, 16, 16)


def test_gates_multiply_the_skips_by_what_the_maps_show():
    net, image = make("attention-unet", depth=3), noise(1, 1, 32, 24)
    maps = gate_coefficients(net, image)
    assert [tuple(map.shape) for map in maps] == [(1, 1, 8, 6), (1, 1, 16, 12)]
    assert all(map.min() > 0 and map.max() < 1 for map in maps)
    gate, skip, below = net.gates[1], noise(1, 8, 16, 12), noise(1, 16, 8, 6)
    with torch.inference_mode():
        before = gate(skip, below)
        gate.coefficients[1].bias.fill_(-math.inf)
        assert not gate(skip, below).any()
        gate.coefficients[1].bias.fill_(math.inf)
        assert torch.equal(gate(skip, below), skip)
    assert 0 < (before / skip).min() < (before / skip).max() < 1
    with pytest.raises(ConfigError, match="no attention gates"):
        AttentionMaps(make("unet"))


def test_the_fine_network_of_the_cascade_knows_what_the_coarse_one_saw():
    net, image = make("cascade-unet"), noise(1, 1, 16, 16)
    with torch.inference_mode():
        before = net(image)
        net.coarse.head.bias += torch.tensor([3.0, -3.0])
        assert not torch.equal(net(image), before)


def test_blocks_change_nothing_of_what_others_still_need():
    # ReLU works in place; what stands beside it, a shortcut or a skip, must be spared. Without normalisation too.
    for name in ("residual-unet", "recurrent-residual-unet", "dense-unet", "inception-unet", "attention-unet"):
        net, image = build(settings_of(name, norm="none", dropout=0.0)), noise(1, 1, 16, 16)
        expected = net(image)
        for layer in net.modules():
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        torch.testing.assert_close(net(image), expected)
