"""Exact overlap-tile: a network applied tile by tile gives what it gives on the whole image.

What "the whole image" means: the image is mirrored at its edges without end, the network is applied,
and its output over the image is kept. So zeros that padded convolutions put around their input never
reach a delivered pixel, and one pixel has one value however the image is cut.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from biounet.core.boxes import ArrayReader, Box
from biounet.core.errors import ConfigError, ShapeError
from biounet.core.geometry import Geometry
from biounet.data.normalize import Normalization
from biounet.inference.cost import Cost, count_cost, meta_copy
from biounet.inference.smoothing import smooth
from biounet.inference.symmetries import SYMMETRIES, Symmetry, turn, turn_back
from biounet.inference.tiles import plan_tiles, read_mirrored
from biounet.models.device import channels_last, exact_kernels, to_channels_last
from biounet.models.fused import freeze, fuse_activations

__all__ = ["TileNet", "TilePredictor", "Work", "predict_array", "run_tiles"]


LARGEST = {2: (1024, 1024), 3: (64, 128, 128)}
"""Largest tile, per dimension, where nobody has planned one."""

Floats = NDArray[np.float32]


class TilePredictor(Protocol):
    """What predicts tiles: one network, or several."""

    geometry: Geometry
    dims: int
    device: torch.device
    precision: torch.dtype
    copies: int
    """How many copies of the image it takes, each normalised in its own way, along the axis of channels."""

    def __call__(self, inputs: Floats, output: Sequence[int]) -> Floats:
        """Return probabilities, or images, (N, classes, *output) of a batch of tiles (N, copies * C, *spatial)."""

    def cost(self, output: Sequence[int], *, channels: int, batch: int = 1) -> Cost:
        """Count what a batch takes, without computing it."""


class TileNet:
    """A network made ready to predict tiles: frozen, on its device, in its precision.

    Parameters
    ----------
    net : torch.nn.Module with ``geometry``
        It is copied, never changed.
    device, precision
        As `biounet.models.device` chooses them.
    tta : bool
        Average over the 8 symmetries of the plane YX (test-time augmentation), for 8 times the work.
    temperature : positive
        What logits are divided by before the soft-max, see `biounet.inference.calibration`.
    smoothing : passes in which logits are smoothed before that, see `biounet.inference.smoothing`
    units : Normalization
        Of a network that draws images: they are brought back to the range from which they were normalised.
        None: it gives logits of classes, which become probabilities.

    Examples
    --------
    >>> from biounet.models import build
    >>> from biounet.config.settings import ModelConfig
    >>> net = TileNet(build(ModelConfig(width=2)), device=torch.device("cpu"), precision=torch.float32)
    >>> net(np.zeros((1, 1, 572, 572), np.float32), (388, 388)).shape
    (1, 2, 388, 388)
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        device: torch.device,
        precision: torch.dtype,
        tta: bool = False,
        temperature: float = 1.0,
        smoothing: int = 0,
        units: Normalization | None = None,
    ) -> None:
        if not isinstance(getattr(net, "geometry", None), Geometry):
            raise ShapeError(f"a network with a biounet.core.geometry.Geometry is wanted, got {type(net).__name__}")
        net = freeze(net)
        self._shapes = meta_copy(net).to(precision)
        geometry: Geometry = net.geometry  # type: ignore[assignment]
        self.dims = len(geometry.grid)
        self._reach = (0,) * (self.dims - 2) + (smoothing,) * 2
        self.geometry = geometry.widened(self._reach)
        self.device = device
        self.precision = precision
        self.copies = 1
        self._temperature = temperature
        self._units = units
        self.symmetries: Sequence[Symmetry] = SYMMETRIES if tta else SYMMETRIES[:1]
        if tta and len({self.geometry.grid[-2:], self.geometry.grid[:-3:-1]}) > 1:
            raise ConfigError(f"--tta turns images, but the network pools Y and X apart: {self.geometry.grid}")
        if device.type == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            net = fuse_activations(net)
        self._net = to_channels_last(net.to(device, precision), self.dims)

    def __call__(self, inputs: Floats, output: Sequence[int]) -> Floats:
        """Return probabilities, or images, of a batch of tiles.

        Parameters
        ----------
        inputs : (N, C, *spatial), normalised
            Of a size that the geometry takes; it begins one margin before the output.
        output : pixels per spatial axis

        Returns
        -------
        (N, classes, *output), float32, probabilities in [0, 1] or images in their units
        """
        with torch.inference_mode(), exact_kernels():
            images = torch.from_numpy(inputs).to(self.device, self.precision)
            return self._mean(self._net, images, output).cpu().numpy()

    def cost(self, output: Sequence[int], *, channels: int, batch: int = 1) -> Cost:
        """Count what a batch takes, without computing it."""
        shape = (batch, channels, *self.geometry.input_size(output))
        return count_cost(lambda images: self._mean(self._shapes, images, output), shape, self.precision)

    def _mean(self, net: nn.Module, images: Tensor, output: Sequence[int]) -> Tensor:
        """Mean over the symmetries."""
        total = self._turned(net, images, output, self.symmetries[0])
        for symmetry in self.symmetries[1:]:
            total += self._turned(net, images, output, symmetry)
        return total if len(self.symmetries) == 1 else total.div_(len(self.symmetries))

    def _turned(self, net: nn.Module, images: Tensor, output: Sequence[int], symmetry: Symmetry) -> Tensor:
        """Probabilities, or images, under one symmetry, turned back."""
        logits = net(turn(images, symmetry).contiguous(memory_format=channels_last(self.dims)))
        logits = turn_back(logits, symmetry)
        # Not the middle: the input may have been rounded up at its far end.
        for axis, (size, margin, reach) in enumerate(zip(output, self.geometry.margin, self._reach, strict=True), 2):
            taken = (images.shape[axis] - logits.shape[axis]) // 2
            logits = logits.narrow(axis, margin - taken - reach, size + 2 * reach)
        logits = smooth(logits.float(), passes=self._reach[-1])
        if self._units is not None:
            return _in_units(logits, self._units)
        if self._temperature != 1:
            logits /= self._temperature  # in place: the logits are ours
        return torch.softmax(logits, dim=1)


def _in_units(images: Tensor, units: Normalization) -> Tensor:
    """Undo the normalisation of images (N, C, *spatial)."""
    broad = (-1, *(1,) * (images.ndim - 2))
    offset, scale = (images.new_tensor(numbers).view(broad) for numbers in (units.offset, units.scale))
    return images * scale + offset


class Work:
    """One tile to do: how to get its input and where to put its output.

    Parameters
    ----------
    load : () -> (C, *spatial), float32, normalised
    store : (classes, *output) -> None
    """

    def __init__(self, load: Callable[[], Floats], store: Callable[[Floats], None]) -> None:
        self.load = load
        self.store = store


def run_tiles(net: TilePredictor, work: Iterable[Work], output: Sequence[int], *, batch: int = 1) -> Iterator[int]:
    """Predict tiles; while some are computed, the next are read and the last are written.

    Parameters
    ----------
    net : TilePredictor
    work : Iterable of Work
        Consumed as it goes. All inputs are of one shape.
    output : pixels per spatial axis that the network delivers per tile
    batch : int
        Tiles sent through the network together. The last batch is filled up, so that every tile meets
        the same arithmetic.

    Yields
    ------
    int
        How many tiles have been stored since the last time. At most one batch is read ahead, and
        one is being written.
    """
    items = iter(work)
    groups = iter(lambda: list(islice(items, batch)), [])
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
        ahead = deque(_submit_load(reading, groups, batch))
        behind: deque[tuple[Future[None], int]] = deque()
        while ahead:
            group, coming = ahead.popleft()
            inputs = coming.result()
            del coming  # or it would hold the inputs until the next
            ahead.extend(_submit_load(reading, groups, batch))
            results = net(inputs, output)
            del inputs
            while behind:
                yield _finish(behind)
            behind.append((writing.submit(_store, group, results), len(group)))
            del results
        while behind:
            yield _finish(behind)


def _submit_load(
    reading: ThreadPoolExecutor, groups: Iterator[list[Work]], batch: int
) -> Iterator[tuple[list[Work], "Future[Floats]"]]:
    """Begin to read the next batch, if there is one."""
    for group in islice(groups, 1):
        yield group, reading.submit(_load, group, batch)


def _load(group: list[Work], batch: int) -> Floats:
    inputs = [item.load() for item in group]
    inputs += inputs[-1:] * (batch - len(group))
    return inputs[0][np.newaxis] if batch == 1 else np.stack(inputs)


def _store(group: list[Work], results: Floats) -> None:
    for item, result in zip(group, results, strict=False):
        item.store(result)


def _finish(behind: "deque[tuple[Future[None], int]]") -> int:
    """Wait until a batch is written."""
    writing, count = behind.popleft()
    writing.result()
    return count


def predict_array(
    net: nn.Module,
    image: Floats,
    *,
    device: torch.device,
    precision: torch.dtype,
    tile: int | Sequence[int] | None = None,
    batch: int = 1,
    tta: bool = False,
    temperature: float = 1.0,
    smoothing: int = 0,
    units: Normalization | None = None,
) -> Floats:
    """Predict an image in memory.

    Parameters
    ----------
    net : torch.nn.Module with ``geometry``
    image : (C, Y, X) or (C, Z, Y, X), float32
        Normalised as in training.
    device, precision
        As `biounet.models.device` chooses them.
    tile : pixels
        Largest tile delivered at once, one number or one per spatial axis. The result does not depend on it.
    batch : int
        Tiles sent through the network together.
    tta : bool
        Average over the 8 symmetries of the plane YX.
    temperature, smoothing, units
        As for `TileNet`.

    Returns
    -------
    (classes, *spatial), float32
        Probabilities, which sum to 1 over the classes; or an image in its units.

    Raises
    ------
    ShapeError
        If the image does not have the axes or channels of the network.
    """
    options: dict[str, Any] = {"temperature": temperature, "smoothing": smoothing, "units": units}
    ready = TileNet(net, device=device, precision=precision, tta=tta, **options)
    wanted = LARGEST[ready.dims] if tile is None else (tile,) * ready.dims if isinstance(tile, int) else tuple(tile)
    plan = plan_tiles(image.shape[1:], wanted, ready.geometry)
    reader = ArrayReader(image)
    result: list[Floats] = []  # made when the number of classes is known

    def work(input_: Box, output: Box) -> Work:
        def store(probabilities: Floats) -> None:
            if not result:
                result.append(np.empty((len(probabilities), *plan.shape), np.float32))
            inside = tuple(slice(size) for size in output.shape)
            result[0][(slice(None), *output.slices)] = probabilities[(slice(None), *inside)]

        return Work(lambda: read_mirrored(reader, input_), store)

    for _ in run_tiles(ready, (work(tile.input, tile.output) for tile in plan), plan.step, batch=batch):
        pass
    return result[0]
