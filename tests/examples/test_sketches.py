"""Style transfer for sketches of examples/sketches: where the style enters, losses by hand, and a short training."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from biounet.io import read

EXAMPLE = "sketches"


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_without_a_style_the_painter_is_a_unet(example):
    painter = example("painter").Painter(5, width=4).eval()
    sketch = noise(2, 1, 16, 16)
    for weight in painter.style.parameters():
        weight.data.zero_()
    painting, grey, colour = painter(sketch, noise(2, 5))
    torch.testing.assert_close(painting, painter.unet(sketch).sigmoid())
    assert (painting.shape, grey.shape, colour.shape) == ((2, 3, 16, 16), (2, 1, 16, 16), (2, 3, 16, 16))


def test_the_style_enters_at_the_bottom_and_so_behind_the_grey_guide(example):
    painter = example("painter").Painter(5, width=4).eval()
    sketch, styles = noise(1, 1, 16, 16), noise(2, 5)
    (painting, grey, colour), (other, same, another) = (painter(sketch, style[None]) for style in styles)
    assert torch.equal(grey, same), "the grey guide hangs before the style"
    assert not torch.allclose(painting, other)
    assert not torch.allclose(colour, another)


def test_every_guide_reaches_the_encoder_past_the_rest_of_the_decoder(example):
    painter = example("painter").Painter(5, width=4)
    first = painter.unet.contracting[0][0].weight
    _, grey, colour = painter(noise(2, 1, 16, 16), noise(2, 5))
    for guide in (grey, colour):
        painter.zero_grad()
        guide.mean().backward(retain_graph=True)
        assert first.grad.abs().max() > 0
        assert painter.unet.head.weight.grad is None


def test_all_weights_learn(example):
    painter, discriminator = (example("painter").Painter(5, width=4), example("painter").StyleDiscriminator(3, width=4))
    outputs = painter(noise(2, 1, 32, 32), noise(2, 5))
    verdict, styles = discriminator(noise(2, 1, 32, 32), outputs[0])
    assert (verdict.shape[:2], styles.shape) == ((2, 1), (2, 3))
    sum(map(torch.mean, (*outputs, verdict))).add(functional.cross_entropy(styles, torch.tensor([0, 2]))).backward()
    for net in (painter, discriminator):
        assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in net.parameters())


def test_l1_loss_by_hand(example):
    train = example("train")
    painting = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1)  # its brightness is 0.299 + 0.587 / 2 = 0.5925
    outputs = (torch.full((1, 3, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.5), torch.zeros(1, 3, 1, 1))
    expected = (0.5 + 0 + 0.5) / 3 + 0.3 * 0.0925 + 0.9 * (1 + 0.5 + 0) / 3
    assert train.l1_loss(outputs, painting).item() == pytest.approx(expected)


def test_verdict_loss_by_hand(example):
    logits = torch.tensor([math.log(3)])  # true with a probability of 3 / 4
    verdict_loss = example("train").verdict_loss
    assert verdict_loss(logits, true=True).item() == pytest.approx(math.log(4 / 3))
    assert verdict_loss(logits, true=False).item() == pytest.approx(math.log(4))


def test_a_painting_has_the_colours_of_its_stain_and_lines_where_parts_meet(example):
    drawings = example("drawings")
    lines, paintings = drawings.draw_cells(np.random.default_rng(0), np.arange(8))
    assert (lines.shape, paintings.shape) == ((8, 1, 48, 48), (8, 3, 48, 48))
    assert set(np.unique(lines)) == {0, 1}
    assert 0 <= paintings.min() < paintings.max() <= 1
    for painting, (background, *_) in zip(paintings, drawings.STAINS.values(), strict=True):
        assert np.abs(painting - np.reshape(background, (3, 1, 1))).max(axis=0).min() < 0.1
    slope = np.abs(np.diff(paintings, axis=2)).sum(axis=1)
    assert slope[lines[:, 0, 1:] == 0].mean() > 4 * slope[lines[:, 0, 1:] == 1].mean()
    again, _ = drawings.draw_cells(np.random.default_rng(0), np.arange(8))
    np.testing.assert_array_equal(again, lines)


def test_training_lowers_the_loss(example):
    train, painter = example("train"), example("painter")
    torch.manual_seed(0)
    features = painter.StyleFeatures(8, width=4).eval().requires_grad_(False)
    training = train.Training(features, width=4, rate=5e-3)
    batch = train.draw(0, 0, 4, stream="drawings")
    losses = [training.step(*batch) for _ in range(15)]
    assert np.mean(losses[-3:]) < 0.8 * losses[0]


def test_the_command_writes_what_it_says(example, tmp_path, capsys):
    example("train").main(["--out", str(tmp_path), "--steps", "1", "--batch", "2", "--width", "4"])
    assert capsys.readouterr().out.count("mean absolute difference") == 3
    assert read(tmp_path / "painted.png").array.shape == (3, 7 * 96, 9 * 96)
    assert (tmp_path / "model.safetensors").exists()
