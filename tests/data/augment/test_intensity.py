"""Changes of light, by hand and against scipy."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from biounet.config import AugmentConfig
from biounet.core.random import generator
from biounet.data.augment.intensity import INTENSITY, add_noise, bend_grey, blur, draw_change, stretch

FULL = AugmentConfig(brightness=0.5, contrast=1.5, gamma=1.5, noise=0.3, blur=2.0, intensity_probability=1.0)


def test_contrast_stretches_about_the_mean_of_each_channel():
    image = torch.tensor([[0.0, 2.0], [10.0, 30.0]])
    assert stretch(image, gain=np.array([2.0, 0.5])).tolist() == [[-1, 3], [15, 25]]


def test_gamma_keeps_darkest_and_brightest_and_constant_images():
    image = torch.tensor([[-1.0, 0.0, 1.0], [5.0, 5.0, 5.0]])
    assert bend_grey(image, gamma=np.array([2.0, 2.0])).tolist() == [[-1, -0.5, 1], [5, 5, 5]]


def test_noise_has_the_standard_deviation_asked_for_in_each_channel():
    noisy = add_noise(np.random.default_rng(0), torch.zeros(2, 300, 300), np.array([0.5, 2.0]))
    assert noisy.std(dim=(1, 2)).tolist() == pytest.approx([0.5, 2], rel=0.02)
    assert noisy.mean(dim=(1, 2)).tolist() == pytest.approx([0, 0], abs=0.02)


def test_noise_is_normal():
    noise = add_noise(np.random.default_rng(0), torch.zeros(1, 401, 499), np.ones(1)).flatten().double()
    assert kstest(noise.numpy(), "norm").pvalue > 0.01
    assert noise.std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("shape", [(1, 40, 30), (3, 4, 40, 30), (1, 5, 3)])
def test_blur_is_that_of_scipy_in_the_plane(sigma, shape):
    image = torch.rand(shape, dtype=torch.float64)
    expected = gaussian_filter(image.numpy(), sigma, mode="mirror", radius=int(np.ceil(3 * sigma)), axes=(-2, -1))
    assert np.allclose(blur(image, sigma).numpy(), expected, atol=1e-9)


def test_no_blur_changes_nothing():
    image = torch.rand(1, 8, 8)
    assert torch.equal(blur(image, 0.0), image)


def test_changes_happen_as_often_as_asked_and_are_within_bounds():
    config = AugmentConfig(intensity_probability=0.3)
    drawn = np.array([draw_change(generator(0, step, 0), config, low=-2, high=4, count=3) for step in range(1000)])
    happened = drawn.any(axis=1)
    assert happened.mean() == pytest.approx(0.3, abs=0.05)
    assert drawn[happened].min() == pytest.approx(-2, abs=0.05)
    assert drawn[happened].max() == pytest.approx(4, abs=0.05)
    assert (drawn[happened] != 0).all()


@pytest.mark.parametrize("name", INTENSITY)
def test_every_change_is_a_pure_function_of_the_generator(name):
    image = torch.rand(2, 30, 30)
    before = image.clone()
    once, again = (INTENSITY[name](generator(0, 1, 2), image, FULL) for _ in range(2))
    other = INTENSITY[name](generator(0, 1, 3), image, FULL)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(image, before), "the image it was given stays as it was"
    assert once.shape == image.shape
    assert once.dtype == image.dtype


@pytest.mark.parametrize("name", INTENSITY)
@pytest.mark.parametrize("config", [AugmentConfig(), FULL.model_copy(update={"intensity_probability": 0.0})])
def test_a_change_that_is_off_changes_nothing(name, config):
    image = torch.rand(2, 30, 30)
    assert torch.allclose(INTENSITY[name](generator(0, 0, 0), image, config), image, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in INTENSITY if name != "noise"])
def test_a_change_takes_as_many_numbers_whether_it_happens_or_not(name):
    image, on, off = torch.rand(2, 9, 9), generator(0, 0, 0), generator(0, 0, 0)
    INTENSITY[name](on, image, FULL)
    INTENSITY[name](off, image, AugmentConfig(intensity_probability=0.0))
    assert on.random() == off.random()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", INTENSITY)
def test_gpu_agrees_with_cpu(name):
    image = torch.rand(2, 30, 30)
    there = INTENSITY[name](generator(0, 0, 0), image.cuda(), FULL).cpu()
    assert torch.allclose(there, INTENSITY[name](generator(0, 0, 0), image, FULL), atol=1e-5)
