"""Draw and apply changes of light: blur, contrast, brightness, gamma and noise, on normalised images.

Normalised means that lengths on the grey scale are in standard deviations, as after z-score. Each
change is drawn for itself and for each channel, as each channel has its own lamp and filter, and
takes the same count of numbers from the generator whether it happens or not.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from biounet.augment.resample import mirrored
from biounet.config import AugmentConfig

__all__ = ["INTENSITY", "add_noise", "bend_grey", "blur", "draw_change", "relight"]


def draw_change(
    rng: np.random.Generator, config: AugmentConfig, *, low: float = 0.0, high: float, count: int = 1
) -> np.ndarray:
    """Uniform numbers between `low` and `high`; or, as often as the settings say, zeros: no change.

    >>> draw_change(np.random.default_rng(0), AugmentConfig(intensity_probability=0), high=1.0, count=2)
    array([0., 0.])
    """
    happens = rng.random() < config.intensity_probability
    return rng.uniform(low, high, count) * happens


def relight(image: Tensor, *, gain: np.ndarray, offset: np.ndarray) -> Tensor:
    """Contrast and brightness: stretch each channel about its mean, then raise it.

    Parameters
    ----------
    image : (C, ...), float
    gain, offset : (C,), no unit

    Examples
    --------
    >>> relight(torch.tensor([[1.0, 3.0]]), gain=np.array([2.0]), offset=np.array([0.5]))
    tensor([[0.5000, 4.5000]])
    """
    mean = image.flatten(1).mean(1)
    gains, offsets = _per_channel(gain, image), _per_channel(offset, image)
    return image * gains + (offsets + _per_channel(mean, image) * (1 - gains))


def bend_grey(image: Tensor, *, gamma: np.ndarray) -> Tensor:
    """Bring each channel to [0, 1], raise it to a power, bring it back.

    Darkest and brightest pixel stay what they are, and so does a constant image.

    >>> bend_grey(torch.tensor([[0.0, 1.0, 2.0]]), gamma=np.array([2.0]))
    tensor([[0.0000, 0.5000, 2.0000]])
    """
    flat = image.flatten(1)
    low, high = _per_channel(flat.amin(1), image), _per_channel(flat.amax(1), image)
    extent = (high - low).clamp(min=torch.finfo(image.dtype).tiny)
    return ((image - low) / extent).pow(_per_channel(gamma, image)).mul_(extent).add_(low)


def add_noise(rng: np.random.Generator, image: Tensor, sigma: np.ndarray) -> Tensor:
    """Add Gaussian noise of standard deviation `sigma`, one number per channel.

    Drawn on the CPU, so that it is the same on every device.

    >>> add_noise(np.random.default_rng(0), torch.ones(1, 2), np.zeros(1))
    tensor([[1., 1.]])
    """
    noise = torch.from_numpy(rng.standard_normal(tuple(image.shape), dtype=np.float32))
    return image + noise.to(image) * _per_channel(sigma, image)


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
        image = torch.zeros_like(image)
        for start, weight in enumerate(weights / weights.sum()):
            image.add_(wide.narrow(axis, start, size), alpha=float(weight))
    return image


def _blur(rng: np.random.Generator, image: Tensor, config: AugmentConfig) -> Tensor:
    """One blur for all channels: they share the focus."""
    sigma = float(draw_change(rng, config, high=config.blur)[0])
    return blur(image, sigma) if sigma else image


def _contrast(rng: np.random.Generator, image: Tensor, config: AugmentConfig) -> Tensor:
    most = math.log(config.contrast)
    gain = np.exp(draw_change(rng, config, low=-most, high=most, count=len(image)))
    return relight(image, gain=gain, offset=np.zeros(len(image))) if most else image


def _brightness(rng: np.random.Generator, image: Tensor, config: AugmentConfig) -> Tensor:
    offset = draw_change(rng, config, low=-config.brightness, high=config.brightness, count=len(image))
    return relight(image, gain=np.ones(len(image)), offset=offset) if config.brightness else image


def _gamma(rng: np.random.Generator, image: Tensor, config: AugmentConfig) -> Tensor:
    most = math.log(config.gamma)
    gamma = np.exp(draw_change(rng, config, low=-most, high=most, count=len(image)))
    return bend_grey(image, gamma=gamma) if most else image


def _noise(rng: np.random.Generator, image: Tensor, config: AugmentConfig) -> Tensor:
    sigma = draw_change(rng, config, high=config.noise, count=len(image))
    return add_noise(rng, image, sigma) if sigma.any() else image


def _per_channel(values: np.ndarray | Tensor, image: Tensor) -> Tensor:
    """Bring one number per channel to the shape (C, 1, ...) and the dtype and device of the image."""
    return torch.as_tensor(values).to(image).view(-1, *(1,) * (image.ndim - 1))


# In the order of a microscope: optics, lamp, camera; noise comes last, so its draws shift no others.
INTENSITY: Mapping[str, Callable[[np.random.Generator, Tensor, AugmentConfig], Tensor]] = MappingProxyType(
    {"blur": _blur, "contrast": _contrast, "brightness": _brightness, "gamma": _gamma, "noise": _noise}
)
"""Name of a change of light -> function that draws and applies it to a normalised image (C, ...)."""
