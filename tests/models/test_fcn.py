"""FCNs against the paper (Long et al. 2015) and the Caffe networks that its authors published."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from architectures import make
from biounet.config import ModelConfig
from biounet.models import MODELS, build
from biounet.models.fcn import Bilinear, Score, bilinear_filter
from biounet.training.losses import cross_entropy

VGG16 = 14_714_688  # Simonyan and Zisserman 2015, table 1 column D, convolutions only
FULLY_CONNECTED = 4096 * (512 * 49 + 1) + 4096 * (4096 + 1)
SCORES = 21 * 4097
LEARNED = {  # by hand, for the 21 classes of PASCAL VOC: scores on poolings and 4x4 enlargements
    "fcn-32s": VGG16 + FULLY_CONNECTED + SCORES,
    "fcn-16s": VGG16 + FULLY_CONNECTED + SCORES + 21 * 513 + 16 * 21**2,
    "fcn-8s": VGG16 + FULLY_CONNECTED + SCORES + 21 * 513 + 21 * 257 + 2 * 16 * 21**2,
}
CAFFE = {  # all values in the layers of voc-fcn{32s,16s,8s}/net.py, the fixed bank of the last enlargement too
    "fcn-32s": 136_152_917,
    "fcn-16s": 134_815_994,
    "fcn-8s": 134_489_759,
}


@pytest.mark.parametrize("name", LEARNED)
def test_parameters_are_those_of_the_paper(name):
    config = ModelConfig(name=name, in_channels=3, classes=21, padding="same")
    with torch.device("meta"):
        net = MODELS[name](config)
    learned = sum(weight.numel() for weight in net.parameters())
    stride = int(name[4:-1])
    assert learned == LEARNED[name]
    assert learned + (2 * stride * 21) ** 2 == CAFFE[name]
    assert round(learned / 1e6) == 134  # table 1


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("size", [(32, 32), (64, 160), (480, 320)])
def test_the_score_has_the_size_of_the_image(name, size):
    net = make(name).to("meta")
    assert net(torch.empty(1, 1, *size, device="meta")).shape == (1, 2, *size)


@pytest.mark.parametrize("name", LEARNED)
def test_maps_lie_on_one_another(name):
    # 58 + 2 * 100 - 2 = 8 * 32: no pooling is left with half a window, so that nothing but a wrong crop
    # tells the left side from the right, once the filters do not.
    net = make(name).double()
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_((layer.weight + layer.weight.flip((-2, -1))) / 2)
            if isinstance(layer, Score):
                nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
        image = torch.randn(1, 1, 58, 90, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(net(image.flip((-2, -1))).flip((-2, -1)), net(image))


def test_new_skips_change_nothing_at_first():
    net, seen = make("fcn-8s", width=2), []
    for score in net.scores:
        score.register_forward_hook(lambda layer, inputs, output: seen.append((inputs[0], output)))
    net(torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert [maps.shape[1] for maps, _ in seen] == [16, 8]  # pooling 4, then pooling 3
    assert all(maps.any() and not scores.any() for maps, scores in seen)


@pytest.mark.parametrize("stride", [2, 8, 16, 32])
def test_enlargement_begins_bilinear(stride):
    x = torch.randn(1, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        enlarged = Bilinear(2, stride)(x)
    expected = interpolate(x, scale_factor=stride, mode="bilinear", align_corners=False)
    first = stride // 2
    inside = enlarged[:, :, first:-first, first:-first]
    edge = stride  # at the edge torch repeats pixels, a transposed convolution adds zeros
    torch.testing.assert_close(
        inside[:, :, edge:-edge, edge:-edge], expected[:, :, edge:-edge, edge:-edge], atol=1e-6, rtol=0
    )
    assert bilinear_filter(stride).sum().item() == pytest.approx(stride**2)


def test_the_wide_layers_learn_no_faster_than_the_others():
    # At the learning rate of the default; without their normalisation the loss rises to 150.
    net = build(ModelConfig(name="fcn-32s", width=8, padding="same", norm="batch", dropout=0.0)).train()
    generator = torch.Generator().manual_seed(0)
    image, target = torch.randn(2, 1, 64, 64, generator=generator), torch.zeros(2, 64, 64, dtype=torch.int64)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    losses = []
    for step in range(4):
        loss = cross_entropy(net(image), (target + step) % 2, None)  # what was learnt is wrong in the next step
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert max(losses) < 15, losses
