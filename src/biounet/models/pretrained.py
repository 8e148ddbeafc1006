"""Pretrained weights that training begins with, from a file of `biounet download`."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.errors import ModelFileError
from biounet.models import build
from biounet.models.downsampled import Downsampled
from biounet.models.vgg import adopt, trunk_of

__all__ = ["check_model", "load_pretrained"]


TORCH = (".pth", ".pt")  # how files of torch end, torchvision's among them


def check_model(config: ModelConfig) -> None:
    """Refuse a network that cannot be built or whose pretrained weights do not fit, without reading any weight.

    Parameters
    ----------
    config : ModelConfig
        What images add to it, axes, channels and classes, may still be missing.

    Raises
    ------
    ConfigError
        If there is no such network, its settings do not suit it, or it takes no weights from elsewhere.
    ModelFileError
        As `load_pretrained`.

    Examples
    --------
    >>> check_model(ModelConfig(name="unett"))
    Traceback (most recent call last):
    biounet.core.errors.ConfigError: model must be one of unet, unet++, ...
    """
    with torch.device("meta"):  # shapes without numbers
        net = build(config)
    if config.pretrained is not None:
        _give(net, Path(config.pretrained), _read_shapes)


def load_pretrained(net: nn.Module, path: Path) -> None:
    """Load the weights of a VGG, trained to classify photographs, into a network.

    Parameters
    ----------
    net : torch.nn.Module
        A TernausNet or FCN; changed in place, see `biounet.models.vgg.adopt`.
    path : Path
        A safetensors file in the layout of the public files, as `biounet download` writes it.

    Raises
    ------
    ConfigError
        If the network has no VGG trunk.
    ModelFileError
        If the file is missing, no safetensors file, or of another network, width or layout.
    """
    _give(net, path, load_file)


def _give(net: nn.Module, path: Path, read: Callable[[Path], Mapping[str, Tensor]]) -> None:
    """Load the weights of a file into a network."""
    net = net.net if isinstance(net, Downsampled) else net
    trunk = trunk_of(net)
    if not path.is_file():
        raise ModelFileError(f"{path} is missing; get the weights with 'biounet download {trunk} --out DIR'")
    try:
        weights = read(path)
    except (SafetensorError, OSError) as error:
        given = f" --from {path}" if path.suffix in TORCH else ""
        raise ModelFileError(
            f"{path} is torn or no safetensors file ({' '.join(str(error).split())}); "
            f"make one with 'biounet download {trunk}{given} --out DIR'"
        ) from error
    try:
        adopt(net, weights)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error


def _read_shapes(path: Path) -> dict[str, Tensor]:
    """Shapes of the tensors of a file, as tensors on the meta device."""
    with safe_open(path, framework="pt") as file:
        return {name: torch.empty(file.get_slice(name).get_shape(), device="meta") for name in file.keys()}  # noqa: SIM118
