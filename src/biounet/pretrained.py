"""Weights from elsewhere that training begins with: read from a file of `biounet download`."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from biounet.errors import ModelFileError
from biounet.models.coarse import Coarse
from biounet.models.vgg import adopt

__all__ = ["load_pretrained"]


def load_pretrained(net: nn.Module, path: Path) -> None:
    """Give a network the weights of a VGG that was trained to classify photographs.

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
        If the file is missing, no safetensors file, or of another network or width.
    """
    if isinstance(net, Coarse):
        net = net.net
    trunk = getattr(net, "trunk", "vgg16")
    if not path.is_file():
        raise ModelFileError(f"{path} is missing; get the weights with 'biounet download {trunk} --out DIR'")
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ModelFileError(
            f"{path} is torn or no safetensors file ({' '.join(str(error).split())}); "
            f"get the weights with 'biounet download {trunk} --out DIR'"
        ) from error
    try:
        adopt(net, weights)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
