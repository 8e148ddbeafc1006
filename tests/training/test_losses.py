"""Losses: values by hand, gradients, and pixels that nobody knows."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from biounet.config.tasks import TASKS
from biounet.core.errors import ShapeError
from biounet.core.labels import IGNORE
from biounet.training.losses import LOSSES, cross_entropy, cross_entropy_dice, dice, focal

EVERY = pytest.mark.parametrize("name", TASKS["classes"].losses)


def drawn(*, classes=3, size=(5, 6), ignored=True, dtype=torch.float64):
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(2, classes, *size, generator=generator, dtype=dtype)
    target = torch.randint(IGNORE if ignored else 0, classes, (2, *size), generator=generator)
    return logits, target, torch.rand(2, *size, generator=generator, dtype=dtype) + 0.1


def logits(*probabilities):
    """Logits (1, 2, pixels) that make class 1 as probable as said."""
    p = torch.tensor(probabilities, dtype=torch.float64)
    return torch.stack([(1 - p).log(), p.log()])[None]


def test_cross_entropy_is_the_weighted_mean_by_hand():
    # -(1 ln 0.5 + 3 ln 0.8) / 4; the third pixel is unknown, whatever it weighs.
    loss = cross_entropy(logits(0.5, 0.8, 0.1), torch.tensor([[0, 1, IGNORE]]), torch.tensor([[1.0, 3.0, 9.0]]))
    assert float(loss) == pytest.approx(-(np.log(0.5) + 3 * np.log(0.8)) / 4)


def test_cross_entropy_is_that_of_torch():
    logits, target, _ = drawn()
    assert torch.allclose(
        cross_entropy(logits, target, None), functional.cross_entropy(logits, target, ignore_index=-1)
    )


def test_focal_by_hand():
    loss = focal(logits(0.5, 0.8), torch.tensor([[0, 1]]), torch.tensor([[1.0, 3.0]]))
    assert float(loss) == pytest.approx(-(0.25 * np.log(0.5) + 3 * 0.04 * np.log(0.8)) / 4)


def test_focal_without_focus_is_cross_entropy():
    assert torch.allclose(focal(*drawn(), gamma=0.0), cross_entropy(*drawn()))


def test_dice_by_hand():
    # Class 1: both 0.8, called 0.5 + 0.8, true 1. Class 0: both 0.5, called 0.5 + 0.2, true 1. One pixel more each.
    loss = dice(logits(0.5, 0.8, 0.1), torch.tensor([[0, 1, IGNORE]]), None)
    assert float(loss) == pytest.approx(1 - ((2 * 0.8 + 1) / (1.3 + 1 + 1) + (2 * 0.5 + 1) / (0.7 + 1 + 1)) / 2)


def test_a_pixel_of_weight_two_counts_as_two_in_dice():
    twice = dice(logits(0.5, 0.8, 0.8), torch.tensor([[0, 1, 1]]), None)
    assert torch.allclose(dice(logits(0.5, 0.8), torch.tensor([[0, 1]]), torch.tensor([[1.0, 2.0]])), twice)


def test_dice_of_a_class_that_is_nowhere_costs_nothing():
    logits = torch.tensor([50.0, 0.0, 0.0]).view(1, 3, 1).expand(1, 3, 9)
    assert float(dice(logits, torch.zeros(1, 9, dtype=torch.int64), None)) == pytest.approx(0, abs=1e-6)


def test_both_together_are_the_sum():
    assert torch.allclose(cross_entropy_dice(*drawn()), cross_entropy(*drawn()) + dice(*drawn()))


@EVERY
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("classes", [2, 4])
def test_gradient(name, weighted, classes):
    logits, target, weight = drawn(classes=classes, size=(2, 3))
    assert torch.autograd.gradcheck(
        lambda s: LOSSES[name](s, target, weight if weighted else None), logits.requires_grad_()
    )


@EVERY
def test_right_is_zero_and_wrong_is_not(name):
    _, target, weight = drawn(ignored=False)
    right = 100.0 * functional.one_hot(target, 3).movedim(-1, 1).double()
    assert float(LOSSES[name](right, target, weight)) == pytest.approx(0, abs=1e-6)
    assert float(LOSSES[name](-right, target, weight)) > 0.3


@EVERY
def test_unknown_pixels_change_neither_loss_nor_gradient(name):
    logits, target, weight = drawn()
    unknown = target < 0
    assert unknown.any()
    other = torch.where(unknown[:, None], -7 * logits + 3, logits).requires_grad_()
    heavier = torch.where(unknown, 99 * weight, weight)
    logits.requires_grad_()
    loss, changed = LOSSES[name](logits, target, weight), LOSSES[name](other, target.where(~unknown, -9), heavier)
    loss.backward()
    changed.backward()
    assert torch.equal(loss, changed)
    assert torch.equal(logits.grad, other.grad)
    assert not logits.grad.movedim(1, -1)[unknown].any()


@EVERY
def test_a_batch_of_unknown_pixels_has_no_loss_and_no_gradient(name):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = LOSSES[name](logits, torch.full((2, 4, 4), IGNORE), None)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@EVERY
def test_classes_have_no_order(name):
    logits, target, weight = drawn()
    renamed = torch.where(target < 0, target, (target + 1) % 3)
    assert torch.allclose(LOSSES[name](logits.roll(1, dims=1), renamed, weight), LOSSES[name](logits, target, weight))


@EVERY
def test_volumes_are_only_more_pixels(name):
    logits, target, weight = drawn(size=(2, 3, 4))
    flat = LOSSES[name](logits.flatten(2), target.flatten(1), weight.flatten(1))
    assert torch.allclose(LOSSES[name](logits, target, weight), flat)


@EVERY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_scores_are_summed_in_float32(name, dtype):
    logits, target, weight = drawn(size=(100, 100), dtype=torch.float32)
    rounded = logits.to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = LOSSES[name](rounded, target, weight)
    assert loss.dtype == torch.float32
    assert torch.allclose(loss, LOSSES[name](rounded.double(), target, weight.double()).float(), rtol=1e-4)


@EVERY
@pytest.mark.parametrize(
    "wrong", [{"target": torch.zeros(2, 5, 5, dtype=torch.int64)}, {"weight": torch.ones(2, 1, 1)}]
)
def test_arrays_that_do_not_fit_are_refused(name, wrong):
    given = dict(zip(("logits", "target", "weight"), drawn(), strict=True)) | wrong
    with pytest.raises(ShapeError, match="must fit"):
        LOSSES[name](given["logits"], given["target"], given["weight"])
