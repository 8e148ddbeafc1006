"""Augmentation of training samples: pure functions of a random generator, on the device of the sample."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from biounet.config import AugmentConfig
from biounet.core.labels import IGNORE
from biounet.data.augment.intensity import INTENSITY
from biounet.data.augment.resample import Positions
from biounet.data.augment.spatial import draw_field

__all__ = ["AUGMENTATIONS", "Sample", "augment", "augmented_patch", "bend"]


class Sample(NamedTuple):
    """An image with its target and weights."""

    image: Tensor
    """(C, Y, X) or (C, Z, Y, X), float32, normalised."""
    labels: Tensor
    """The target: class numbers (Y, X) or (Z, Y, X), int64, negative is unknown. Or the target image, (C, Y, X) or
    (C, Z, Y, X), float32."""
    weights: Tensor | None = None
    """(Y, X) or (Z, Y, X), float32, or None: all pixels weigh the same."""


def bend(
    rng: np.random.Generator,
    sample: Sample,
    config: AugmentConfig,
    *,
    origin: Sequence[int] | None = None,
    size: Sequence[int] | None = None,
    spacing: Sequence[float] | None = None,
) -> Sample:
    """Rotate, mirror, scale, shift and deform a sample, or a patch of it, in one resampling.

    Parameters
    ----------
    rng : numpy generator
    sample : whole image, so that a patch is bent with its true surroundings
    config : which movements, how strong
    origin, size : pixels, one integer per axis
        The patch before it is bent; it may reach beyond the image. None: the whole image.
    spacing : any unit, one number per axis
        Pixel size, for stacks with thick slices. None: all equal.

    Returns
    -------
    Sample of the size of the patch
        One field bends image, labels and weights alike; labels are never blended, target images are. Beyond the
        image everything is mirrored, or, where the settings say so, labels are IGNORE and target images NaN.
    """
    field = draw_field(rng, size or sample.image.shape[1:], config, spacing=spacing)
    drawn = sample.labels.is_floating_point()
    beyond: float | Literal["mirror"] = math.nan if drawn else IGNORE
    if config.labels_outside == "mirror":
        beyond = "mirror"
    positions = Positions(field, sample.image.shape[1:], origin=origin, device=sample.image.device)
    blended = [sample.image] if sample.weights is None else [sample.image, sample.weights[None]]
    image, *weights = positions.linear(blended, "mirror")
    if drawn:
        (labels,) = positions.linear([sample.labels], beyond)
    else:
        labels = positions.nearest(sample.labels[None], beyond)[0]
    return Sample(image, labels, *(part[0] for part in weights))


def augmented_patch(
    rng: np.random.Generator,
    sample: Sample,
    config: AugmentConfig,
    *,
    origin: Sequence[int],
    size: Sequence[int],
    spacing: Sequence[float] | None = None,
) -> Sample:
    """Cut one augmented training patch from a whole image; see `bend` for the parameters.

    Only the pixels that the bent patch reaches are read: the cost is that of the patch, however large
    the image is.
    """
    patch = bend(rng, sample, config, origin=origin, size=size, spacing=spacing)
    for change in INTENSITY.values():
        patch = _on_image(rng, patch, config, change=change)
    return patch


def augment(rng: np.random.Generator, sample: Sample, config: AugmentConfig) -> Sample:
    """Apply all `AUGMENTATIONS` to a sample, in their order.

    Parameters
    ----------
    rng : numpy generator
    sample : image, labels and weights
    config : which changes, how strong

    Examples
    --------
    >>> import torch
    >>> sample = Sample(torch.rand(1, 8, 8), torch.ones(8, 8, dtype=torch.int64))
    >>> augment(np.random.default_rng(0), sample, AugmentConfig(noise=0.1)).labels.unique()
    tensor([1])
    """
    for change in AUGMENTATIONS.values():
        sample = change(rng, sample, config)
    return sample


def _on_image(
    rng: np.random.Generator,
    sample: Sample,
    config: AugmentConfig,
    *,
    change: Callable[[np.random.Generator, Tensor, AugmentConfig], Tensor],
) -> Sample:
    """Change the intensities of a sample; labels and weights stay."""
    return sample._replace(image=change(rng, sample.image, config))


AUGMENTATIONS: Mapping[str, Callable[[np.random.Generator, Sample, AugmentConfig], Sample]] = MappingProxyType(
    {"bend": bend, **{name: partial(_on_image, change=change) for name, change in INTENSITY.items()}}
)
"""Name of an augmentation -> function that draws and applies it to a sample, in the order of `augment`."""
