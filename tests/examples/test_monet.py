"""MONet of examples/monet: masks, decoder and loss against other ways to write them, and a short training."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion
from torch import nn
from torch.distributions import Categorical, Normal, kl_divergence
from torch.nn import functional

from biounet.io import Image, read, write
from biounet.models.blocks import draw_weights

EXAMPLE = "monet"


@pytest.fixture
def monet(example):
    return example("monet")


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def small(monet, *, channels=1, slots=3):
    net = monet.MONet(channels, 16, slots=slots, width=4)
    draw_weights(net, torch.Generator().manual_seed(2))
    return net


def attention_by_hand(net, x):
    """The attention network of the paper, written down: one block per level, the skip taken before resizing."""
    weights = dict(net.named_parameters())

    def block(name, x):
        x = functional.conv2d(x, weights[f"{name}.layers.0.weight"], padding=1)
        x = functional.instance_norm(
            x, weight=weights[f"{name}.layers.1.weight"], bias=weights[f"{name}.layers.1.bias"]
        )
        return x.relu()

    skips = []
    for level in range(len(net.contracting)):
        skips.append(block(f"contracting.{level}", x))
        x = functional.interpolate(skips[-1], scale_factor=0.5, mode="nearest")
    bottom = block("bottom.down", x)
    x = bottom.flatten(1)
    for layer in (0, 2, 4):
        x = functional.linear(x, *(weights[f"bottom.connected.{layer}.{part}"] for part in ("weight", "bias"))).relu()
    x = block("bottom.up", torch.cat([bottom, x.view(bottom.shape)], dim=1))
    for level, skip in enumerate(reversed(skips)):
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        x = block(f"expanding.{level}", torch.cat([skip, x], dim=1))
    return functional.conv2d(x, weights["head.weight"], weights["head.bias"])


def test_attention_network_is_the_unet_of_the_paper(monet):
    net = monet.attention_network(2, 32, width=4)
    draw_weights(net, torch.Generator().manual_seed(2))
    image = noise(2, 3, 32, 32)
    torch.testing.assert_close(net(image), attention_by_hand(net, image))
    blocks = sum(isinstance(layer, nn.InstanceNorm2d) for layer in net.modules())
    assert blocks == 2 * (int(math.log2(32)) - 1), "as many blocks down as up; the innermost has 4 x 4 pixels"


def test_masks_share_every_pixel(monet):
    net = small(monet, slots=4)
    masks = monet.masks_of(net.attention, noise(2, 1, 16, 16), 4)
    assert masks.shape == (2, 4, 16, 16)
    torch.testing.assert_close(masks.exp().sum(dim=1), torch.ones(2, 16, 16))


def test_masks_peel_off_a_share_of_what_is_left(monet):
    logits = iter(torch.tensor([0.25, 0.5]).logit())
    scopes = []

    def attention(seen):
        scopes.append(seen[0, 1, 0, 0].exp().item())
        return torch.full((1, 1, 2, 2), next(logits).item())

    masks = monet.masks_of(attention, torch.zeros(1, 1, 2, 2), 3).exp()[0, :, 0, 0]
    assert masks.tolist() == pytest.approx([1 / 4, 3 / 8, 3 / 8])
    assert scopes == pytest.approx([1, 3 / 4])


def test_decoder_equals_convolutions_of_a_vector_at_every_pixel(monet):
    decoder = monet.BroadcastDecoder(5, 2, 8, width=6)
    latent = noise(3, 5)
    everywhere = latent[..., None, None].expand(-1, -1, 16, 16)
    broadcast = torch.cat([everywhere, decoder.coordinates.expand(3, -1, -1, -1)], dim=1)
    image = decoder(latent)
    assert image.shape == (3, 2, 8, 8)
    torch.testing.assert_close(image, decoder.rest(decoder.first(broadcast)))


def test_loss_by_hand_of_one_pixel(monet):
    # Two slots of shares 1/4 and 3/4 draw 0.5 and 0.3 where 0.5 is seen; one latent value N(1, e^0.2), one N(0, 1).
    found = monet.Decomposition(
        masks=torch.tensor([1 / 4, 3 / 4]).log().view(1, 2, 1, 1),
        images=torch.tensor([0.5, 0.3]).view(1, 2, 1, 1, 1),
        drawn_masks=torch.tensor([1 / 2, 1 / 2]).log().view(1, 2, 1, 1),
        mean=torch.tensor([1.0, 0.0]).view(1, 2, 1),
        log_variance=torch.tensor([0.2, 0.0]).view(1, 2, 1),
    )
    pixels = -math.log(1 / 4 / 0.09 + 3 / 4 / 0.11 * math.exp(-(0.2**2) / (2 * 0.11**2)))
    latents = (1 + math.exp(0.2) - 1 - 0.2) / 2
    masks = 1 / 4 * math.log(1 / 2) + 3 / 4 * math.log(3 / 2)
    image = torch.full((1, 1, 1, 1), 0.5)
    assert [term.item() for term in monet.losses_of(image, found)] == pytest.approx([pixels, latents, masks])
    assert monet.loss_of(image, found).item() == pytest.approx(pixels + latents / 2 + masks / 2)


def test_loss_equals_that_of_distributions(monet):
    image, net = noise(2, 3, 16, 16).sigmoid(), small(monet, channels=3)
    found = net(image)
    deviations = torch.tensor([0.09, 0.11, 0.11]).view(1, 3, 1, 1, 1)
    density = Normal(found.images, deviations).log_prob(image[:, None]).sum(dim=2)
    density = density + 3 * math.log(2 * math.pi) / 2  # the constant part
    pixels = -(found.masks.exp() * density.exp()).sum(dim=1).log().sum(dim=(1, 2)).mean()
    latent = Normal(found.mean, (found.log_variance / 2).exp())
    masks = (Categorical(logits=logits.movedim(1, -1)) for logits in (found.masks, found.drawn_masks))
    expected = (
        pixels,
        kl_divergence(latent, Normal(0.0, 1.0)).sum(dim=(1, 2)).mean(),
        kl_divergence(*masks).sum(dim=(1, 2)).mean(),
    )
    for ours, theirs in zip(monet.losses_of(image, found), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_a_decomposition_has_its_shapes_and_gives_gradients_to_all_weights(monet):
    image, net = noise(2, 3, 16, 16).sigmoid(), small(monet, channels=3)
    found = net(image)
    assert found.images.shape == (2, 3, 3, 16, 16)
    assert found.drawn_masks.shape == found.masks.shape == (2, 3, 16, 16)
    assert found.mean.shape == found.log_variance.shape == (2, 3, 16)
    assert found.mixture().shape == image.shape
    assert set(found.labels().unique().tolist()) <= {1, 2, 3}
    monet.loss_of(image, found).backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in net.parameters())


def test_chance_is_in_training_only(monet):
    image, net = noise(1, 1, 16, 16).sigmoid(), small(monet)
    first, second = (net(image).images for _ in range(2))
    assert not torch.equal(first, second)
    net.eval()
    first, second = (net(image).images for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("grey", [False, True])
def test_scenes_show_their_labels(example, grey):
    images, labels = example("scenes").draw_scenes(np.random.default_rng(3), 40, grey=grey)
    assert images.shape == (40, 1 if grey else 3, 32, 32)
    assert images.dtype == np.float32
    assert 0 <= images.min() < images.max() <= 1
    assert {int(label.max()) for label in labels} == {2, 3}
    for image, label in zip(images, labels, strict=True):
        colours = [np.median(image[:, label == number], axis=1) for number in range(label.max() + 1)]
        gaps = [np.abs(a - b).max() for i, a in enumerate(colours) for b in colours[:i]]
        assert min(gaps) > 0.1, "blobs differ from each other and from the background"
    again, _ = example("scenes").draw_scenes(np.random.default_rng(3), 40, grey=grey)
    np.testing.assert_array_equal(again, images)


def test_a_blob_has_one_colour_and_hard_edges_if_not_asked_for_soft_ones(example):
    draw_scenes = example("scenes").draw_scenes
    (hard, labels), (soft, same), (alike, _) = (
        draw_scenes(np.random.default_rng(4), 10, **options) for options in ({}, {"soft": True}, {"alike": True})
    )
    np.testing.assert_array_equal(labels, same)
    for sharp, blurred, even, label in zip(hard, soft, alike, labels, strict=True):
        colours = np.stack([np.median(sharp[:, label == number], axis=1) for number in range(label.max() + 1)])
        assert np.abs(sharp - colours[label].transpose(2, 0, 1)).max() < 0.1, "noise has a standard deviation of 0.02"
        assert np.ptp(even[:, label > 0], axis=1).max() < 0.2
        rim = (label > 0) & ~binary_erosion(label > 0)
        assert (blurred[:, rim].max(axis=0) < sharp[:, rim].max(axis=0) - 0.1).mean() > 0.5


def test_crops_hold_a_few_nuclei_of_grey_images(example, tmp_path):
    labels = np.zeros((200, 200), np.uint8)
    for number, (y, x) in enumerate([(10, 10), (10, 120), (120, 40), (160, 40), (160, 90)], 1):
        labels[y : y + 16, x : x + 16] = number
    grey = np.where(labels > 0, 200, 10).astype(np.uint8)
    stained = np.stack([grey, grey, 255 - grey])  # another kind of image, which is left out
    for name, image in (("grey", np.stack([grey] * 3)), ("stained", stained)):
        write(tmp_path / "images" / f"{name}.png", Image(image, "CYX"))
        write(tmp_path / "masks" / f"{name}.tif", Image(labels, "YX"))
    crops = example("crops")
    nuclei = crops.read_nuclei(tmp_path)
    assert [image.shape for image, _ in nuclei] == [(100, 100)]
    images, found = crops.draw_crops(np.random.default_rng(0), nuclei, 20)
    assert images.shape == (20, 3, 32, 32)
    assert all(2 <= len(np.unique(label[label > 0])) <= 3 for label in found)
    assert (images[:, 0][found > 0] > 0.9).all()
    with pytest.raises(ValueError, match="found 0 of 2 crops"):
        crops.draw_crops(np.random.default_rng(0), [(image, np.zeros_like(label)) for image, label in nuclei], 2)


def test_training_lowers_the_loss_and_writes_what_the_command_says(example, tmp_path, capsys, monkeypatch):
    train = example("train")
    monkeypatch.setattr(train, "UNSEEN", 5)
    torch.manual_seed(0)
    net = example("monet").MONet(1, 16, slots=3, width=4)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    images = torch.from_numpy(example("scenes").draw_scenes(np.random.default_rng(0), 4, size=16, grey=True)[0])
    losses = [train.train_step(net, optimizer, images) for _ in range(40)]
    assert np.mean(losses[-3:]) < 0.6 * losses[0]
    train.main(["--out", str(tmp_path), "--steps", "1", "--batch", "2", "--grey"])
    said = capsys.readouterr().out
    assert "step 1, " in said
    assert said.count("Dice of all slots but the first") == 3
    assert read(tmp_path / "slots.png").array.shape == (3, 8 * 96, 10 * 96)
    again = tmp_path / "again"
    train.main(
        ["--out", str(again), "--steps", "1", "--batch", "2", "--grey", "--start", f"{tmp_path}/model.safetensors"]
    )
    assert "before training: adjusted Rand index" in capsys.readouterr().out
    assert (again / "model.safetensors").stat().st_size == (tmp_path / "model.safetensors").stat().st_size


def test_the_score_knows_slots_by_no_number_and_counts_each_pixel_of_a_blob(example, capsys, monkeypatch):
    train, monet = example("train"), example("monet")
    labels = np.array([[[0, 1], [2, 2]]])
    shares = torch.tensor([[[[0.9, 0.1], [0.1, 0.1]], [[0.05, 0.1], [0.8, 0.8]], [[0.05, 0.8], [0.1, 0.1]]]])
    found = monet.Decomposition(shares.log(), *([torch.zeros(1)] * 4))
    assert found.labels().tolist() == [[[1, 3], [2, 2]]]
    assert train.score(found, labels) == 1
    lost = torch.tensor([[[[0.9, 0.1], [0.9, 0.1]], [[0.05, 0.1], [0.05, 0.8]], [[0.05, 0.8], [0.05, 0.1]]]])
    found = monet.Decomposition(lost.log(), *([torch.zeros(1)] * 4))
    assert train.score(found, labels) == 0  # one pixel of the second blob is in the slot of the background: 1, 2, 3
    monkeypatch.setattr(train, "decompose", lambda net, images: found)
    train.print_scores(None, "one scene", (np.zeros((1, 3, 2, 2)), labels))
    assert "foreground 0.000, Dice of all slots but the first 0.800" in capsys.readouterr().out  # 2 x 2 / (3 + 2)
