"""Exact overlap-tile: a network applied tile by tile gives what it gives on the whole image.

What "the whole image" means: the image is mirrored at its edges without end, the network is applied,
and its output over the image is kept. So zeros that padded convolutions put around their input never
reach a delivered pixel, and one pixel has one value however the image is cut.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from biounet.devices import channels_last, to_channels_last
from biounet.errors import ShapeError
from biounet.geometry import ArrayReader, Geometry, plan_tiles, read_mirrored
from biounet.models.frozen import freeze, fuse_activations

__all__ = ["TileNet", "predict_array"]

WHOLE = {2: (1024, 1024), 3: (64, 128, 128)}
"""Largest tile, per dimension, where nobody has planned one."""


class TileNet:
    """A network made ready to predict tiles: frozen, on its device, in its precision.

    Parameters
    ----------
    net : torch.nn.Module with ``geometry``
        It is copied, never changed.
    device, precision
        As `biounet.devices` chooses them.

    Examples
    --------
    >>> from biounet.models import build, ModelConfig
    >>> net = TileNet(build(ModelConfig(width=2)), device=torch.device("cpu"), precision=torch.float32)
    >>> net(np.zeros((1, 1, 572, 572), np.float32), (388, 388)).shape
    (1, 2, 388, 388)
    """

    def __init__(self, net: nn.Module, *, device: torch.device, precision: torch.dtype) -> None:
        if not isinstance(getattr(net, "geometry", None), Geometry):
            raise ShapeError(f"a network with a biounet.geometry.Geometry is wanted, got {type(net).__name__}")
        net = freeze(net)
        if device.type == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            net = fuse_activations(net)
        self.geometry: Geometry = net.geometry  # type: ignore[assignment]
        self.dims = len(self.geometry.grid)
        self.device = device
        self.precision = precision
        self.net = to_channels_last(net.to(device, precision), self.dims)

    def __call__(self, inputs: NDArray[np.float32], output: Sequence[int]) -> NDArray[np.float32]:
        """Return probabilities (N, classes, *output) of the middle of the inputs (N, C, *spatial)."""
        with torch.inference_mode():
            images = torch.from_numpy(inputs).to(self.device, self.precision, memory_format=channels_last(self.dims))
            scores = self.net(images)
            # Not the middle: the input may have been rounded up at its far end.
            for axis, (size, margin) in enumerate(zip(output, self.geometry.margin, strict=True), start=2):
                taken = (images.shape[axis] - scores.shape[axis]) // 2
                scores = scores.narrow(axis, margin - taken, size)
            return torch.softmax(scores.float(), dim=1).cpu().numpy()


def predict_array(
    net: nn.Module,
    image: NDArray[np.float32],
    *,
    device: torch.device,
    precision: torch.dtype,
    tile: int | Sequence[int] | None = None,
    batch: int = 1,
) -> NDArray[np.float32]:
    """Predict an image in memory.

    Parameters
    ----------
    net : torch.nn.Module with ``geometry``
    image : (C, Y, X) or (C, Z, Y, X), float32
        Normalised as in training.
    device, precision
        As `biounet.devices` chooses them.
    tile : pixels
        Largest tile delivered at once, one number or one per spatial axis. The result does not depend on it.
    batch : int
        Tiles sent through the network together.

    Returns
    -------
    (classes, *spatial), float32, in [0, 1]
        Probabilities; they sum to 1 over the classes.

    Raises
    ------
    ShapeError
        If the image does not have the axes or channels of the network.
    """
    ready = TileNet(net, device=device, precision=precision)
    spatial = image.shape[1:]
    wanted = WHOLE[ready.dims] if tile is None else (tile,) * ready.dims if isinstance(tile, int) else tuple(tile)
    plan = plan_tiles(spatial, wanted, ready.geometry)
    reader = ArrayReader(image)
    result: NDArray[np.float32] | None = None
    tiles = list(plan)
    for first in range(0, len(tiles), batch):
        group = tiles[first : first + batch]
        inputs = np.stack([read_mirrored(reader, one.input) for one in group])
        outputs = ready(inputs, plan.step)
        if result is None:
            result = np.empty((outputs.shape[1], *spatial), np.float32)
        for one, output in zip(group, outputs, strict=True):
            result[(slice(None), *one.output.slices)] = output[
                (slice(None), *(slice(size) for size in one.output.shape))
            ]
    assert result is not None
    return result
