"""Augmentation of intensities: blur, contrast, brightness, gamma and noise, on normalised images.

Intensities are in standard deviations, as after z-score. Each change is drawn independently for each
channel, since channels have their own lamps and filters. It takes the same count of numbers from the
generator whether it is applied or not.
"""

import math
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from biounet.config import AugmentConfig
from biounet.data.augment.resample import mirrored

__all__ = ["INTENSITY", "add_noise", "bend_grey", "blur", "draw_change", "stretch"]


def draw_change(
    rng: np.random.Generator, config: AugmentConfig, *, low: float = 0.0, high: float, count: int = 1
) -> np.ndarray:
    """Strength of a change: uniform numbers between `low` and `high`, or zeros, as often as the settings say.

    >>> draw_change(np.random.default_rng(0), AugmentConfig(intensity_probability=0), high=1.0, count=2)
    array([0., 0.])
    """
    happens = rng.random() < config.intensity_probability
    return rng.uniform(low, high, count) * happens


def stretch(image: Tensor, *, gain: np.ndarray) -> Tensor:
    """Contrast: stretch each channel about its mean.

    Parameters
    ----------
    image : (C, ...), float
    gain : (C,), no unit

    Examples
    --------
    >>> stretch(torch.tensor([[1.0, 3.0]]), gain=np.array([2.0]))
    tensor([[0., 4.]])
    """
    mean = image.mean(_pixels(image), keepdim=True)
    return (image - mean).mul_(_per_channel(gain, image)).add_(mean)


def bend_grey(image: Tensor, *, gamma: np.ndarray) -> Tensor:
    """Gamma: each channel is scaled to [0, 1], raised to a power, and scaled back.

    Darkest and brightest pixel stay what they are, and so does a constant image.

    >>> bend_grey(torch.tensor([[0.0, 1.0, 2.0]]), gamma=np.array([2.0]))
    tensor([[0.0000, 0.5000, 2.0000]])
    """
    low, high = (extreme(_pixels(image), keepdim=True) for extreme in (image.amin, image.amax))
    extent = (high - low).clamp(min=torch.finfo(image.dtype).tiny)
    # As exp(gamma log x), which is several times faster than pow; log 0 is -infinity, and exp of it 0.
    return ((image - low) / extent).log_().mul_(_per_channel(gamma, image)).exp_().mul_(extent).add_(low)


def add_noise(rng: np.random.Generator, image: Tensor, sigma: np.ndarray) -> Tensor:
    """Add Gaussian noise of standard deviation `sigma`, one number per channel.

    Drawn on the CPU, so that it is the same on every device. Of the normal distribution 65 536 values are
    drawn, all equally often, up to 4.2 standard deviations; an image has 8 bits, at most 16.

    >>> add_noise(np.random.default_rng(0), torch.ones(1, 2), np.zeros(1))
    tensor([[1., 1.]])
    """
    words = rng.integers(2**64, size=-(-image.numel() // 4), dtype=np.uint64).view(np.uint16)[: image.numel()]
    noise = _quantiles().index_select(0, torch.from_numpy(words).int()).view(image.shape)
    return noise.to(image).mul_(_per_channel(sigma, image)).add_(image)


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur in the plane YX, mirrored at the edge; what lies beyond 3 sigma is left out.

    Parameters
    ----------
    image : (..., Y, X), float
    sigma : pixels
        Thick slices of a stack are not mixed.

    Examples
    --------
    >>> blur(torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]]), 0.4).round(decimals=2)
    tensor([[0.0000, 0.0400, 0.9200, 0.0400, 0.0000]])
    """
    radius = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-9)) ** 2)
    for axis in (-2, -1):
        size = image.shape[axis]
        reach = torch.arange(-radius, size + radius, device=image.device)
        wide = image.index_select(axis, mirrored(reach, size))
        first, *others = (weights / weights.sum()).tolist()
        image = wide.narrow(axis, 0, size) * first
        for start, weight in enumerate(others, start=1):
            image.add_(wide.narrow(axis, start, size), alpha=weight)
    return image


def _blur(rng: np.random.Generator, image: Tensor, config: AugmentConfig) -> Tensor:
    """One blur for all channels, which share the focus."""
    sigma = float(draw_change(rng, config, high=config.blur)[0])
    return blur(image, sigma) if sigma else image


def _contrast(rng: np.random.Generator, image: Tensor, config: AugmentConfig) -> Tensor:
    most = math.log(config.contrast)
    drawn = draw_change(rng, config, low=-most, high=most, count=len(image))
    return stretch(image, gain=np.exp(drawn)) if drawn.any() else image


def _brightness(rng: np.random.Generator, image: Tensor, config: AugmentConfig) -> Tensor:
    offset = draw_change(rng, config, low=-config.brightness, high=config.brightness, count=len(image))
    return image + _per_channel(offset, image) if offset.any() else image


def _gamma(rng: np.random.Generator, image: Tensor, config: AugmentConfig) -> Tensor:
    most = math.log(config.gamma)
    drawn = draw_change(rng, config, low=-most, high=most, count=len(image))
    return bend_grey(image, gamma=np.exp(drawn)) if drawn.any() else image


def _noise(rng: np.random.Generator, image: Tensor, config: AugmentConfig) -> Tensor:
    sigma = draw_change(rng, config, high=config.noise, count=len(image))
    return add_noise(rng, image, sigma) if sigma.any() else image


@cache
def _quantiles() -> Tensor:
    """The normal distribution in 65 536 equally likely values, float32."""
    values: Tensor = torch.special.ndtri((torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16)
    return values.float()


def _pixels(image: Tensor) -> tuple[int, ...]:
    """All axes of (C, ...) but that of the channels."""
    return tuple(range(1, image.ndim))


def _per_channel(values: np.ndarray, image: Tensor) -> Tensor:
    """Bring one number per channel to the shape (C, 1, ...) and the dtype and device of the image."""
    return torch.from_numpy(values).to(image).view(-1, *(1,) * (image.ndim - 1))


# In the order of a microscope: optics, lamp, camera; noise comes last, so its draws shift no others.
INTENSITY: Mapping[str, Callable[[np.random.Generator, Tensor, AugmentConfig], Tensor]] = MappingProxyType(
    {"blur": _blur, "contrast": _contrast, "brightness": _brightness, "gamma": _gamma, "noise": _noise}
)
"""Name of a change of intensities -> function that draws and applies it to a normalised image (C, ...)."""
