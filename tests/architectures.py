"""Every architecture in every kind that it comes in, small, for the tests that all of them must pass."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import product

import torch
from torch import nn

from biounet.config import ModelConfig
from biounet.core.errors import ConfigError
from biounet.models import MODELS, build
from biounet.models.attention import AttentionGate

WIDTHS = {"unet": 2, "dense-unet": 8}
"""Where it is not 4: networks of less die, one ReLU after the other."""
NORMS = nn.BatchNorm2d | nn.BatchNorm3d
CONVOLUTIONS = nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d


def settings_of(name: str = "unet", padding: str = "same", dims: int = 2, **settings) -> ModelConfig:
    # Volumes of the size of a deep context take long; the outermost skip, the only one of depth 1, has no gate.
    depth = 2 if dims == 2 or name in ("unet", "attention-unet") else 1
    options = {"width": WIDTHS.get(name, 4), "depth": depth, "norm": "batch"} | settings
    return ModelConfig(name=name, padding=padding, dims=dims, **options)


def make(name: str = "unet", padding: str = "same", dims: int = 2, **settings) -> nn.Module:
    """A small network in evaluation mode, whose normalisations look as after training."""
    net = build(settings_of(name, padding, dims, **settings)).eval()
    generator = torch.Generator().manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, NORMS):
            nn.init.normal_(layer.running_mean, 0, 0.2, generator=generator)
            nn.init.uniform_(layer.running_var, 0.5, 2.0, generator=generator)
            nn.init.uniform_(layer.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(layer.bias, 0, 0.2, generator=generator)
    return net


def is_there(name: str, padding: str, dims: int) -> bool:
    """Whether the architecture comes with this padding, in this many dimensions."""
    try:
        MODELS[name](settings_of(name, padding, dims))
    except ConfigError:
        return False
    return True


KINDS = [kind for kind in product(MODELS, ("valid", "same"), (2, 3)) if is_there(*kind)]
PLANAR = [name for name in MODELS if (name, "same", 3) not in KINDS]
"""Those for images only, whose context is that of a VGG or a window at any depth."""
FAMILY = [name for name in MODELS if name not in PLANAR]
"""The U-Net and its variants, for images and volumes, as deep as one likes."""
UNPADDED = [name for name in MODELS if (name, "valid", 2) in KINDS]


def nan_outputs(net: nn.Module, size: tuple[int, ...], at: tuple[int, ...]) -> torch.Tensor:
    """Which output pixels depend on an input pixel: NaN passes through convolution, ReLU and pooling."""
    image = torch.zeros(1, net_channels(net), *size)
    image[(0, 0, *at)] = torch.nan
    with torch.inference_mode():
        return net(image)[0].isnan().any(dim=0)


def net_channels(net: nn.Module) -> int:
    return next(layer for layer in net.modules() if isinstance(layer, CONVOLUTIONS)).in_channels


def offsets(net: nn.Module, axis: int) -> Mapping[int, list[int]]:
    """Where the input pixels stand that an output pixel depends on, relative to it, by its place in the grid."""
    geometry = net.geometry
    grid = geometry.grid[axis]
    size = list(geometry.grid if geometry.padded else geometry.input_size((1,) * len(geometry.grid)))  # narrow: fast
    size[axis] = geometry.input_size([2 * geometry.margin[i] + 4 * grid for i in range(len(size))])[axis]
    found = defaultdict(list)
    for phase in range(grid):
        at = [length // 2 for length in size]
        at[axis] = size[axis] // 2 // grid * grid + phase
        nan = nan_outputs(net, tuple(size), tuple(at))
        taken = (size[axis] - nan.shape[axis]) // 2
        places = nan.movedim(axis, 0).flatten(1).any(dim=1).nonzero().flatten() + taken
        assert places.min() > taken, "the field of view must end inside the output"
        assert places.max() < taken + nan.shape[axis] - 1
        for place in places.tolist():
            found[place % grid].append(at[axis] - place)
    return found


def reach(net: nn.Module, axis: int) -> int:
    """Largest distance, over a period of the poolings, between an output pixel and an input it depends on."""
    return max(max(map(abs, seen)) for seen in offsets(net, axis).values())


def receptive_field(net: nn.Module, axis: int) -> int:
    """From the first to the last input pixel that one output pixel depends on, the most over a period."""
    return max(max(seen) - min(seen) + 1 for seen in offsets(net, axis).values())


def gate_coefficients(net: nn.Module, image: torch.Tensor) -> list[torch.Tensor]:
    """What the attention gates multiply their skips by, at the size of the skips, the innermost level first."""
    found = []
    hooks = [gate.coefficients.register_forward_hook(lambda *call: found.append(call[-1])) for gate in gates_of(net)]
    with torch.inference_mode():
        net(image)
    for hook in hooks:
        hook.remove()
    return found


def gates_of(net: nn.Module) -> list[AttentionGate]:
    return [part for part in net.modules() if isinstance(part, AttentionGate)]
