"""Training samples: whole images on the device, and augmented patches drawn from them.

Which patch is drawn, and how it is bent, is a pure function of (seed, step, sample): the same on one
process or many, and after a restart.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from biounet.augment import Sample, augmented_patch
from biounet.chance import generator
from biounet.config import AugmentConfig, RunConfig, TrainConfig
from biounet.geometry import Geometry

__all__ = ["Batch", "PatchSource", "network_input_size"]


@dataclass(frozen=True)
class Batch:
    """What one training step sees; labels and weights have the size of the network's output.

    image : (N, C, *spatial) float32, normalised
    labels : (N, *spatial) int64, class numbers, negative = IGNORE
    weights : (N, *spatial) float32 or None
    """

    image: Tensor
    labels: Tensor
    weights: Tensor | None


@dataclass(frozen=True)
class PatchSource:
    """Whole training images from which patches are drawn.

    Parameters
    ----------
    samples : images (C, *spatial), labels and weights (*spatial), all on one device
    geometry : of the network, for its input sizes and the margin that an unpadded one takes away
    size : pixels per axis of the network's input
    augment : AugmentConfig
    train : TrainConfig
        For the seed and the number of patches per batch.
    """

    samples: Sequence[Sample]
    geometry: Geometry
    size: tuple[int, ...]
    augment: AugmentConfig
    train: TrainConfig

    @cached_property
    def known_pixels(self) -> tuple[NDArray[np.intp], ...]:
        """Per image the positions with a label, one row each; none if all have one, so that any patch will do."""
        known = [(sample.labels >= 0).cpu().numpy() for sample in self.samples]
        return tuple(np.zeros((0, at.ndim), np.intp) if at.all() else np.argwhere(at) for at in known)

    def batch(self, step: int, *, rank: int = 0, ranks: int = 1) -> Batch:
        """Draw the patches of a step that belong to one of several processes.

        Together the processes see what one alone would see.
        """
        patches = [self.patch(step, sample) for sample in range(rank, self.train.batch, ranks)]
        weighted = self.samples[0].weights is not None
        return Batch(
            torch.stack([patch.image for patch in patches]),
            torch.stack([self._answered(patch.labels) for patch in patches]),
            torch.stack([self._answered(patch.weights) for patch in patches]) if weighted else None,
        )

    def batches(self, first: int, *, rank: int = 0, ranks: int = 1) -> Generator[Batch]:
        """Draw the patches of one step after the other; on a GPU, those of the next while it learns from these."""
        draw = partial(self.batch, rank=rank, ranks=ranks)
        device = self.samples[0].image.device
        yield from _ahead(draw, first, device) if device.type == "cuda" else map(draw, count(first))

    def patch(self, step: int, index: int) -> Sample:
        """Draw patch number `index` of a step."""
        rng = generator(self.train.seed, step, index)
        number = self._image_number(step, index)
        origin = self._draw_origin(rng, number)
        return augmented_patch(rng, self.samples[number], self.augment, origin=origin, size=self.size)

    def _image_number(self, step: int, index: int) -> int:
        """Every image once, in an order drawn anew, before any comes again."""
        drawn, images = step * self.train.batch + index, len(self.samples)
        order = generator(self.train.seed, drawn // images, 0, stream="order").permutation(images)
        return int(order[drawn % images])

    def _draw_origin(self, rng: np.random.Generator, number: int) -> tuple[int, ...]:
        """First pixel of the network's input, such that what it answers lies inside the image if it can."""
        hidden = (0,) * len(self.size) if self.geometry.padded else self.geometry.margin
        shape = tuple(self.samples[number].labels.shape)
        known = self.known_pixels[number]
        anchor = known[rng.integers(len(known))] if len(known) else None
        origin = []
        for axis, (pixels, taken, margin) in enumerate(zip(shape, self.size, hidden, strict=True)):
            answered = taken - 2 * margin
            free = pixels - answered
            if free <= 0:
                first = free // 2
            elif anchor is None:
                first = int(rng.integers(free + 1))
            else:
                first = int(np.clip(anchor[axis] - rng.integers(answered), 0, free))
            origin.append(first - margin)
        return tuple(origin)

    def _answered(self, array: Tensor | None) -> Tensor:
        """The part of a patch for which the network gives scores."""
        assert array is not None
        if self.geometry.padded:
            return array
        for axis, margin in enumerate(self.geometry.margin, start=array.ndim - len(self.size)):
            array = array.narrow(axis, margin, array.shape[axis] - 2 * margin)
        return array


def _ahead(draw: Callable[[int], Batch], first: int, device: torch.device) -> Generator[Batch]:
    """Draw on a GPU beside the work that it does."""
    beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream(device))  # until the images are there

    def drawn(step: int) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(beside):
            return draw(step), beside.record_event()

    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(drawn, first)
        for step in count(first + 1):
            batch, done = coming.result()
            coming = worker.submit(drawn, step)
            here = torch.cuda.current_stream(device)
            here.wait_event(done)
            for tensor in (batch.image, batch.labels, batch.weights):
                if tensor is not None:
                    tensor.record_stream(here)  # its memory is not for the next patch until it was used here
            yield batch


def network_input_size(config: RunConfig, geometry: Geometry, image: Sequence[int]) -> tuple[int, ...]:
    """Pixels per axis of the patches: as asked for, brought to a size that the network takes.

    Parameters
    ----------
    config : RunConfig
    geometry : of the network
    image : pixels per spatial axis of the largest training image
        A padded network sees no more than this, rounded up to its grid.

    Examples
    --------
    >>> from biounet.geometry import unet_geometry
    >>> network_input_size(RunConfig(), unet_geometry(((2, 2),) * 4, padded=False), (512, 512))
    (572, 572)
    """
    wanted = [config.train.patch] * len(image)
    if len(image) == 3 and config.train.patch_z is not None:
        wanted[0] = config.train.patch_z
    size = []
    for pixels, asked, grid, remainder in zip(image, wanted, geometry.grid, geometry.remainder, strict=True):
        most = min(asked, -(-pixels // grid) * grid) if geometry.padded else asked
        size.append((most - remainder) // grid * grid + remainder)
    least = geometry.grid if geometry.padded else geometry.input_size((1,) * len(image))
    return tuple(map(max, size, least))
