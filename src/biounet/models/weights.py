"""Checks of the weights in a model file: those of the network that its settings describe, and numbers that are finite.

A file may claim what it does not hold. So shapes are compared before memory for the network is taken.
"""

from collections.abc import Mapping

import torch
from torch import nn

from biounet.config import ModelConfig
from biounet.core.errors import ModelFileError
from biounet.models import shapes_of

__all__ = ["LARGEST", "check_numbers", "check_shapes"]


LARGEST = 1e10
"""Greatest weight of a model. Trained weights rarely exceed 100; the products of greater ones leave float32."""


def check_shapes(config: ModelConfig, found: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights that are not those of a network; no memory is taken for it.

    Parameters
    ----------
    config : ModelConfig
    found : name of each tensor of the file -> its shape

    Raises
    ------
    ModelFileError
        It names the first tensor that is missing, is one too many, or has another shape.

    Examples
    --------
    >>> check_shapes(ModelConfig(width=3000, max_width=30000), {"contracting.0.0.weight": (8, 1, 3, 3)})
    Traceback (most recent call last):
    biounet.core.errors.ModelFileError: the weights are not those of unet, width 3000, depth 4: contracting.0.0.weight is (8, 1, 3, 3) in the file, and (3000, 1, 3, 3) by the settings
    """  # noqa: E501
    wanted = shapes_of(config)
    for name in (*wanted, *found):
        if wanted.get(name) != found.get(name):
            have, want = (str(shapes[name]) if name in shapes else "missing" for shapes in (found, wanted))
            raise ModelFileError(
                f"the weights are not those of {config.name}, width {config.width}, depth {config.depth}: {name} is "
                f"{have} in the file, and {want} by the settings"
            )


def check_numbers(net: nn.Module) -> None:
    """Refuse a network with weights that cannot be the result of a training.

    Raises
    ------
    ModelFileError
        If a weight is NaN, infinite or larger than `LARGEST`, or a variance is negative; it names the tensor.

    Examples
    --------
    >>> net = nn.Conv2d(1, 1, 1)
    >>> _ = nn.init.constant_(net.bias, 1e38)
    >>> check_numbers(net)
    Traceback (most recent call last):
    biounet.core.errors.ModelFileError: weights must be finite and at most 1e+10, bias holds 1e+38
    """
    for name, value in net.state_dict().items():
        if not value.numel() or not value.is_floating_point():
            continue
        low, high = (float(end) for end in torch.aminmax(value))
        if not -LARGEST <= low <= high <= LARGEST:  # NaN is none of these
            found = high if high > LARGEST else low
            raise ModelFileError(f"weights must be finite and at most {LARGEST:g}, {name} holds {found:g}")
        if low < 0 and name.endswith("running_var"):
            raise ModelFileError(f"variances of batch normalisation must not be negative, {name} holds {low:g}")
