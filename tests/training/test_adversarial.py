"""Tests of adversarial training: losses by hand, which network moves when, and resuming to the same bytes."""

import math
from functools import partial

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from biounet.config import RunConfig
from biounet.core.errors import ConfigError
from biounet.data.patches import Batch
from biounet.models.pix2pix import PatchGAN
from biounet.training import adversarial as module
from biounet.training.adversarial import Adversary, counterparts
from biounet.training.checkpoint import load_state
from biounet.training.step import State, train_step

FABRIC = Fabric(accelerator="cpu", devices=1)
TINY = {"model.width": 2, "model.depth": 1, "model.norm": "none", "train.batch": 3, "train.clip": None}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    monkeypatch.setattr(module, "PatchGAN", partial(PatchGAN, width=4))


def config(**changes):
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    return RunConfig.preset("default").updated(TINY | {"train.adversarial": 0.1} | changes)


def batch(*, size=24, drawn=False):
    chance = torch.Generator().manual_seed(0)
    labels = torch.randn((3, 2, size, size), generator=chance) if drawn else torch.zeros(3, size, size).long()
    if not drawn:
        labels[:, 4:9], labels[0, 12:] = 1, -1
    return Batch(torch.randn((3, 1, size, size), generator=chance), labels, None)


class Undecided(nn.Module):
    """A discriminator with one weight, which gives every patch the same logit."""

    def __init__(self, logit):
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(float(logit)))

    def forward(self, image, counterpart):
        return self.logit + 0 * counterpart.mean(dim=1, keepdim=True)


def undecided(logit, weight=1.0):
    discriminator = Undecided(logit)
    return Adversary(discriminator, torch.optim.SGD(discriminator.parameters(), lr=1.0), weight)


def test_there_is_no_discriminator_unless_asked_for():
    assert State.begin(config(train__adversarial=0.0), torch.device("cpu")).adversary is None


def test_the_generator_loss_is_the_negative_log_likelihood_of_a_drawn_image_being_true():
    given = batch()
    logits = torch.zeros(3, 2, 24, 24)
    generator_loss = undecided(math.log(3), weight=0.5).generator_loss(given.image, logits, given.labels, FABRIC)
    assert float(generator_loss) == pytest.approx(
        -0.5 * math.log(3 / 4)
    )  # the discriminator says true with probability 3/4


def test_the_discriminator_learns_at_half_speed_from_true_and_drawn_alike():
    given, adversary = batch(), undecided(math.log(3))
    adversary.add_gradients(given.image, torch.zeros(3, 2, 24, 24), given.labels, FABRIC)
    # Half of (p - 1) for what is true and of p for what is drawn, p = 3/4.
    assert float(adversary.discriminator.logit.grad) == pytest.approx((3 / 4 - 1 + 3 / 4) / 2)


def test_the_generator_loss_moves_the_network_and_not_the_discriminator():
    adversary = Adversary.begin(config(), torch.device("cpu"))
    given, logits = batch(), torch.zeros(3, 2, 24, 24, requires_grad=True)
    adversary.generator_loss(given.image, logits, given.labels, FABRIC).backward()
    assert logits.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in adversary.discriminator.parameters())


def test_what_nobody_knows_moves_nothing():
    adversary = Adversary.begin(config(), torch.device("cpu"))
    given, logits = batch(), torch.randn(3, 2, 24, 24, generator=torch.Generator().manual_seed(1)).requires_grad_()
    adversary.generator_loss(given.image, logits, given.labels, FABRIC).backward()
    assert not logits.grad[0, :, 12:].any()
    assert logits.grad[0, :, :12].any()


def test_the_discriminator_sees_images_as_they_are_and_unknown_pixels_as_zero():
    labels = torch.tensor([[[2.0, torch.nan]]])
    true, drawn = counterparts(torch.tensor([[[3.0, 5.0]]]), labels)
    assert (true.tolist(), drawn.tolist()) == ([[[2.0, 0.0]]], [[[3.0, 0.0]]])


def test_of_several_heads_the_discriminator_sees_the_last():
    logits = torch.stack([torch.zeros(1, 2, 4), torch.tensor([[[9.0] * 4, [0.0] * 4]])], dim=2)
    _, drawn = counterparts(logits, torch.zeros(1, 4, dtype=torch.int64))
    torch.testing.assert_close(drawn, logits[:, :, 1].softmax(1))


def test_the_discriminator_sees_the_output_of_an_unpadded_network():
    given = batch(size=24)
    wide = torch.nn.functional.pad(given.image, (5, 5, 5, 5))
    adversary, logits = Adversary.begin(config(), torch.device("cpu")), torch.zeros(3, 2, 24, 24)
    assert torch.equal(
        adversary.generator_loss(wide, logits, given.labels, FABRIC),
        adversary.generator_loss(given.image, logits, given.labels, FABRIC),
    )


def test_patches_that_are_too_small_are_refused():
    with pytest.raises(ConfigError, match="24 px or more per axis, the network gives 16 x 16"):
        train_step(
            State.begin(config(), torch.device("cpu")), batch(size=16), config().train, fabric=FABRIC, progress=0
        )


@pytest.mark.parametrize("drawn", [False, True])
def test_each_side_gets_better_at_its_own_game(drawn):
    """Against a network that stands still the discriminator learns to tell."""
    settings = config(train__loss="l1" if drawn else "cross-entropy")
    state, given = State.begin(settings, torch.device("cpu")), batch(size=32, drawn=drawn)
    adversary, logits = state.adversary, torch.zeros(3, 2, 32, 32)
    before = float(adversary.generator_loss(given.image, logits, given.labels, FABRIC))
    for _ in range(5):
        adversary.add_gradients(given.image, logits, given.labels, FABRIC)
        adversary.optimizer.step()
    assert float(adversary.generator_loss(given.image, logits, given.labels, FABRIC)) > before


@pytest.mark.parametrize("drawn", [False, True])
def test_a_resumed_state_goes_on_to_the_same_bytes(tmp_path, drawn):
    settings, given = config(train__loss="l1" if drawn else "cross-entropy"), batch(drawn=drawn)

    def steps(state, count):
        for _ in range(count):
            train_step(state, given, settings.train, fabric=FABRIC, progress=0.5)
        return state

    whole = steps(State.begin(settings, torch.device("cpu")), 4)
    steps(State.begin(settings, torch.device("cpu")), 2).save(tmp_path / "broken")
    resumed = State.begin(settings, torch.device("cpu"))
    resumed.resume(tmp_path / "broken")
    steps(resumed, 2).save(tmp_path / "resumed")
    whole.save(tmp_path / "whole")
    expected, got = load_state(tmp_path / "whole")[0], load_state(tmp_path / "resumed")[0]
    assert any(name.startswith("discriminator-optimizer.") for name in got)
    assert any(name.startswith("discriminator.layers") for name in got)
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_pieces_give_the_gradients_of_the_batch():
    gradients = []
    for pieces in (1, 3):
        state = State.begin(config(), torch.device("cpu"))
        state.pieces = pieces
        train_step(state, batch(), config().train, fabric=FABRIC, progress=0.5)
        gradients.append(
            [weight.grad for net in (state.net, state.adversary.discriminator) for weight in net.parameters()]
        )
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)
