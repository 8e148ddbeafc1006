"""Feature maps are cropped and joined as ever, and their gradients keep the memory order."""

import pytest
import torch

from biounet.models.blocks import crop_center, join

ORDERS = (torch.contiguous_format, torch.channels_last)


def maps(*channels: int, order: torch.memory_format) -> list[torch.Tensor]:
    drawn = [torch.randn(2, count, 4, 6, dtype=torch.float64) for count in channels]
    return [part.contiguous(memory_format=order).requires_grad_() for part in drawn]


@pytest.mark.parametrize("order", ORDERS)
def test_joined_maps_are_those_of_cat_with_gradients_without_gaps(order):
    parts = maps(3, 2, 5, order=order)
    joined = join(*parts)
    assert torch.equal(joined, torch.cat(parts, dim=1))
    factor = torch.randn_like(joined)
    gradients = torch.autograd.grad((joined * factor).sum(), parts)
    for gradient, expected in zip(gradients, factor.split([3, 2, 5], dim=1), strict=True):
        assert torch.equal(gradient, expected)
        assert gradient.is_contiguous(memory_format=order)
    assert torch.autograd.gradcheck(join, parts)


@pytest.mark.parametrize("order", ORDERS)
def test_the_gradient_of_a_map_cropped_to_its_own_size_keeps_the_memory_order(order):
    (whole,) = maps(3, order=order)
    (gradient,) = torch.autograd.grad(crop_center(whole, (4, 6)).square().sum(), whole)
    assert torch.equal(gradient, 2 * whole)
    assert gradient.is_contiguous(memory_format=order)
    assert crop_center(whole, (2, 6)).shape == (2, 3, 2, 6)
