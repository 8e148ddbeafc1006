"""Convolutions of VGG (Simonyan and Zisserman 2015) for TernausNet and the FCNs, and its published weights."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError, ModelFileError
from biounet.models.receptive_field import Step

__all__ = ["LEVELS", "adopt", "check_planar", "trunk_features", "trunk_name", "trunk_of", "trunk_steps"]


LEVELS: Mapping[int, Sequence[int]] = MappingProxyType({11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3)})
"""3x3 convolutions before each pooling (Simonyan and Zisserman 2015, table 1, columns A and D)."""

FACTORS = (1, 2, 4, 8, 8)
"""Channels per level, as multiples of the first."""


def check_planar(config: ModelConfig) -> None:
    """Refuse volumes and other pooling factors, for networks that were published for images (Y, X).

    Raises
    ------
    ConfigError
        For volumes, and for poolings that are not 2 along both axes.
    """
    if config.dims != 2:
        raise ConfigError(f"{config.name} takes images (Y, X), got {config.dims} spatial axes; use model.name=unet")
    if any(factor != 2 for level in config.poolings for factor in level):
        raise ConfigError(f"{config.name} pools by 2 along both axes, got model.pooling={config.pooling}; leave it out")


def trunk_features(depth: int, config: ModelConfig, *, border: int = 1) -> nn.Sequential:
    """Build the convolutions and poolings of VGG, with the layer numbers of the public weight files.

    Parameters
    ----------
    depth : 11 or 16
    config : ModelConfig
        ``width`` is 64 in the paper. With ``norm="batch"`` each convolution is followed by batch normalisation,
        as in the public files whose names end in ``_bn``; these keep the biases of the convolutions.
    border : pixels
        Zeros around the input of the first convolution. Where they are more than the 1 of VGG, the image has
        an odd number of pixels on some levels, and poolings keep the last one, as those of Caffe do.

    Examples
    --------
    >>> [name for name, _ in trunk_features(11, ModelConfig(width=2))[:6].named_parameters()]
    ['0.weight', '0.bias', '3.weight', '3.bias']
    """
    layers: list[nn.Module] = []
    channels, padding = config.in_channels, border
    for convolutions, factor in zip(LEVELS[depth], FACTORS, strict=True):
        for _ in range(convolutions):
            layers.append(nn.Conv2d(channels, factor * config.width, 3, padding=padding))
            channels, padding = factor * config.width, 1
            if config.norm == "batch":
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.MaxPool2d(2, ceil_mode=border > 1))
    return nn.Sequential(*layers)


def trunk_steps(depth: int, *, poolings: int, border: int = 1, convolved: bool = False) -> list[Step]:
    """Layers of the trunk along one axis, up to a number of poolings.

    Parameters
    ----------
    depth, border : as in `trunk_features`
    poolings : int
    convolved : bool
        Whether the convolutions that follow the last of these poolings belong to it.
    """
    steps: list[Step] = []
    for level, convolutions in enumerate(LEVELS[depth][: poolings + convolved]):
        steps += [Step(3, padding=1)] * convolutions
        if level < poolings:
            steps.append(Step(2, stride=2))
    steps[0] = Step(3, padding=border)
    return steps


def trunk_name(depth: int, config: ModelConfig) -> str:
    """Key of `biounet.models.download.SOURCES` whose weights fit a VGG."""
    return f"vgg{depth}_bn" if config.norm == "batch" else f"vgg{depth}"


def trunk_of(net: nn.Module) -> str:
    """Key of `biounet.models.download.SOURCES` with the weights that an architecture can begin with.

    Raises
    ------
    ConfigError
        If it has no VGG trunk.
    """
    trunk = getattr(net, "trunk", None)
    if trunk is None:
        raise ConfigError(
            f"{type(net).__name__} takes no public weights, model.pretrained names some; "
            "use them with --model ternausnet or an fcn, or leave them out"
        )
    return str(trunk)


def adopt(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load the weights of a VGG, trained to classify photographs, into a network with a VGG trunk.

    Parameters
    ----------
    net : torch.nn.Module with ``trunk``, the name of its trunk
        Its ``features``, and where it has them the two fully connected layers of ``classifier``, are changed
        in place; everything else keeps its weights.
    weights : by name
        In the layout of the public torchvision files.

    Raises
    ------
    ConfigError
        If the network has no VGG trunk.
    ModelFileError
        If the weights are those of another network, of another width, or laid out otherwise. Then nothing
        is changed.

    Notes
    -----
    The first convolution of the files takes red, green and blue. An image of other channels is taken for a grey
    one: each of its C channels gets the sum of the three filters divided by C. So a grey image has the same
    responses as its copy in all three colours.
    """
    trunk = trunk_of(net)
    own = {name: value for name, value in net.state_dict().items() if _is_adopted(name)}
    theirs = {name: value for name, value in weights.items() if name in own or name.startswith("features.")}
    theirs = {name: value for name, value in theirs.items() if _is_adopted(name)}
    strange = sorted(own.keys() ^ theirs.keys())
    if strange:
        raise ModelFileError(_of_another(trunk, theirs, strange[0]))
    fitting = {name: _fitting(name, theirs[name], value) for name, value in own.items()}
    for name, value in own.items():
        if fitting[name].shape != value.shape:
            raise ModelFileError(
                f"{name} has the shape {tuple(theirs[name].shape)}, the network wants {tuple(value.shape)}; "
                f"take the file of 'biounet download {trunk} --out DIR', with --set model.width=64"
            )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(fitting[name])


def _fitting(name: str, given: Tensor, value: Tensor) -> Tensor:
    """Weights of a file in the shapes of the network, where the same layer has another shape."""
    if name == "features.0.weight" and given.dim() == value.dim() and given.shape[1] != value.shape[1]:
        return given.sum(dim=1, keepdim=True).expand(-1, value.shape[1], -1, -1) / value.shape[1]
    flat = name.startswith("classifier.") and (given.dim(), value.dim()) == (2, 4)
    if flat and given.shape == value.flatten(1).shape:
        return given.reshape(value.shape)  # a fully connected layer becomes a convolution
    return given


def _of_another(trunk: str, weights: Mapping[str, Tensor], strange: str) -> str:
    """Error message for weights whose names are not those of a trunk."""
    convolutions = sum(value.dim() == 4 for name, value in weights.items() if name.startswith("features."))
    normalised = any(name.endswith("running_mean") for name in weights)
    kinds = {sum(level): f"vgg{depth}{'_bn' * normalised}" for depth, level in LEVELS.items()}
    kind = kinds.get(convolutions, "another network")
    advice = f"get others with 'biounet download {trunk} --out DIR'"
    if kind == trunk:
        kind = "another network"
    elif kind.removesuffix("_bn") == trunk.removesuffix("_bn"):
        advice = f"set model.norm={'batch' if normalised else 'none'}, or {advice}"
    return f"the network stands on {trunk}, the weights are of {kind} ({strange}); {advice}"


def _is_adopted(name: str) -> bool:
    """Whether weights of this name are taken from the classifier: all but the last layer, whose classes are others."""
    return name.startswith(("features.", "classifier.0.", "classifier.3.")) and not name.endswith("num_batches_tracked")
