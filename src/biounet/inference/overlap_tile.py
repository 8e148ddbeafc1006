"""Exact overlap-tile: a network applied tile by tile gives what it gives on the whole image.

"The whole image" is defined so: the image is mirrored at its edges without end, the network is applied, and its
output over the image is kept. So the zeros of padded convolutions never reach a delivered pixel, and one pixel has
one value however the image is cut.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from biounet.core.boxes import ArrayReader
from biounet.core.errors import ConfigError, ShapeError
from biounet.core.geometry import Geometry
from biounet.data.normalize import Normalization
from biounet.inference.cost import Cost, count_cost, meta_copy
from biounet.inference.smoothing import smooth
from biounet.inference.symmetries import SYMMETRIES, Symmetry, turn, turn_back
from biounet.inference.tiles import Tile, check_tile, plan_tiles, read_mirrored, tile_sides
from biounet.models.device import channels_last, exact_kernels, to_channels_last
from biounet.models.fused import freeze, fuse_activations

__all__ = ["Floats", "TileNet", "TilePredictor", "predict_array", "predict_image_in_steps", "run_image", "run_tiles"]


LARGEST = {2: (1024, 1024), 3: (64, 128, 128)}
"""Largest tile, per dimension, where nobody has planned one."""

Floats = NDArray[np.float32]
T = TypeVar("T")


class TilePredictor(Protocol):
    """A network that predicts tiles, or several networks whose mean is taken."""

    geometry: Geometry
    dims: int
    device: torch.device
    precision: torch.dtype
    copies: int
    """Number of copies of the image that are taken, each normalised in its own way, along the axis of channels."""

    def __call__(self, inputs: Floats, output: Sequence[int]) -> Floats:
        """Return probabilities, or images, (N, classes, *output) of a batch of tiles (N, copies * C, *spatial)."""

    def cost(self, output: Sequence[int], *, channels: int, batch: int = 1) -> Cost:
        """Memory and arithmetic of a batch, counted without computing it."""


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
        Logits are divided by it before the soft-max, see `biounet.inference.calibration`.
    smoothing : passes in which logits are smoothed before the division, see `biounet.inference.smoothing`
    units : Normalization
        Of a network that draws images: its output is brought back to the range of the true images.
        None: its output is logits of classes, which become probabilities.

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
        """Memory and arithmetic of a batch, counted without computing it."""
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


def run_tiles(
    net: TilePredictor,
    tiles: Iterable[T],
    output: Sequence[int],
    *,
    read: Callable[[T], Floats],
    write: Callable[[T, Floats], None],
    batch: int = 1,
) -> Iterator[int]:
    """Number of tiles that have been predicted and written since the last number.

    While some tiles are computed, the next are read and the last are written.

    Parameters
    ----------
    net : TilePredictor
    tiles : Iterable
        Consumed as tiles are read.
    output : pixels per spatial axis that the network delivers for a tile
    read : tile -> (C, *spatial), float32, normalised
        All tiles have one shape. Called in a thread of its own, at most one batch ahead.
    write : tile, (classes, *output) -> None
        Called in a thread of its own, for one batch at a time.
    batch : int
        Tiles sent through the network together. The last batch is filled up, so that every tile meets
        the same arithmetic.
    """
    left = iter(tiles)
    groups = iter(lambda: list(islice(left, batch)), [])

    def load(group: list[T]) -> Floats:
        inputs = [read(tile) for tile in group]
        inputs += inputs[-1:] * (batch - len(group))
        return inputs[0][np.newaxis] if batch == 1 else np.stack(inputs)

    def store(group: list[T], results: Floats) -> int:
        for tile, result in zip(group, results, strict=False):
            write(tile, result)
        return len(group)

    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
        ahead = deque((group, reading.submit(load, group)) for group in islice(groups, 1))
        behind: deque[Future[int]] = deque()
        while ahead:
            group, coming = ahead.popleft()
            inputs = coming.result()
            del coming  # or it would hold the inputs until the next
            ahead.extend((group, reading.submit(load, group)) for group in islice(groups, 1))
            results = net(inputs, output)
            del inputs
            while behind:
                yield behind.popleft().result()
            behind.append(writing.submit(store, group, results))
            del results
        while behind:
            yield behind.popleft().result()


def predict_image_in_steps(
    net: TilePredictor,
    shape: Sequence[int],
    read: Callable[[Tile], Floats],
    *,
    tile: int | Sequence[int] | None = None,
    batch: int = 1,
) -> Generator[tuple[float, Floats]]:
    """Share of the tiles that are predicted, and the image so far, after every batch of tiles.

    Parameters
    ----------
    net : TilePredictor
    shape : pixels per spatial axis of the image
    read : tile -> (C, *spatial), float32, normalised; the pixels of its input
    tile, batch : as for `predict_array`

    Yields
    ------
    float in (0, 1], and (classes, *spatial), float32
        The same array each time: 0 where no tile is predicted yet, the whole result at last.

    Raises
    ------
    ImageError
        If the network gives NaN or infinity.
    """
    wanted = tile_sides(tile, net.dims) or LARGEST[net.dims]
    plan, done = plan_tiles(shape, wanted, net.geometry), 0
    result: list[Floats] = []  # made when the number of classes is known

    def write(tile: Tile, probabilities: Floats) -> None:
        check_tile(probabilities, tile.output)
        if not result:
            result.append(np.zeros((len(probabilities), *plan.shape), np.float32))
        inside = tuple(slice(size) for size in tile.output.shape)
        result[0][(slice(None), *tile.output.slices)] = probabilities[(slice(None), *inside)]

    for count in run_tiles(net, plan, plan.step, read=read, write=write, batch=batch):
        done += count
        yield done / len(plan), result[0]


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
    """Probabilities, or the image that a network draws, of an image in memory.

    Parameters
    ----------
    net : torch.nn.Module with ``geometry``
    image : (C, Y, X) or (C, Z, Y, X), float32
        Normalised as in training.
    device, precision, tta, temperature, smoothing, units
        As for `TileNet`.
    tile : pixels
        Largest tile delivered at once, one number or one per spatial axis. The result does not depend on it.
    batch : int
        Tiles sent through the network together.

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
    return run_image(ready, image, tile=tile, batch=batch)


def run_image(net: TilePredictor, image: Floats, *, tile: int | Sequence[int] | None = None, batch: int = 1) -> Floats:
    """What `predict_array` gives, by a network that is made ready once for many images."""
    reader = ArrayReader(image)
    steps = predict_image_in_steps(
        net, image.shape[1:], lambda tile: read_mirrored(reader, tile.input), tile=tile, batch=batch
    )
    ((_, result),) = deque(steps, maxlen=1)
    return result
