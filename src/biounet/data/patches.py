"""Training samples: augmented patches, drawn from whole images on the device or in files.

Which patch is drawn, and how it is bent, is a pure function of (seed, step, sample): the same on one
process or many, and after a restart.
"""

import math
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count, repeat
from types import MappingProxyType
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from biounet.config import AugmentConfig, RunConfig, TrainConfig
from biounet.core.errors import LabelError
from biounet.core.geometry import Geometry
from biounet.core.random import generator
from biounet.data.augment import Sample, augmented_patch
from biounet.data.label_index import LabelIndex

__all__ = ["UNLABELLED", "Batch", "PatchSampler", "Samples", "network_input_size"]


T = TypeVar("T")

UNLABELLED = "no image to train on has a labelled pixel; label some, or hold out others of them"

TRIES = 16
"""How often a patch is bent anew, if all labels were bent out of it; then it stays straight."""

STRAIGHT = MappingProxyType({"elastic": 0.0, "rotate": 0.0, "mirror": False, "scale": 1.0, "shift": 0.0})


@dataclass(frozen=True)
class Batch:
    """What one training step sees; labels and weights have the size of the network's output.

    image : (N, C, *spatial) float32, normalised
    labels : (N, *spatial) int64, class numbers, negative = IGNORE; or (N, C, *spatial) float32, images to draw
    weights : (N, *spatial) float32 or None
    """

    image: Tensor
    labels: Tensor
    weights: Tensor | None


class Samples(Protocol):
    """Whole training images, by number."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, number: int, /) -> Sample:
        """One of them."""


@dataclass(frozen=True)
class PatchSampler:
    """Whole training images from which patches are drawn.

    Parameters
    ----------
    samples : images (C, *spatial), labels (or images to draw) and weights (*spatial), all on one device
        Each is asked for anew for each patch, so that it may lie in files, see `biounet.data.sample_cache`.
    geometry : of the network, for its input sizes and the margin that an unpadded one takes away
    size : pixels per axis of the network's input
    augment : AugmentConfig
    train : TrainConfig
        For the seed, the number of patches per batch, and the share of them that is centred on classes in turn.
    device : where patches are wanted
        None: where the images are. Otherwise they are cut ahead, while the step before is learnt from.
    """

    samples: Samples
    geometry: Geometry
    size: tuple[int, ...]
    augment: AugmentConfig
    train: TrainConfig
    device: torch.device | None = None

    @cached_property
    def places(self) -> tuple[LabelIndex, ...]:
        """Where the labels of each image are; images to draw have none."""
        if self.samples[0].labels.is_floating_point():
            return ()
        return tuple(map(self._places_in, range(len(self.samples))))

    def _places_in(self, number: int) -> LabelIndex:
        """Where the labels of an image are. They are asked for part by part, for they may lie in a file."""
        shape = tuple(self.samples[number].labels.shape)
        return LabelIndex.counted(
            shape, lambda lines: self.samples[number].labels.reshape(-1, shape[-1])[lines].cpu().numpy()
        )

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """Pixels of each class in each image, (images, classes)."""
        classes = max(len(places.counts) for places in self.places)
        return np.array([np.pad(places.counts, (0, classes - len(places.counts))) for places in self.places])

    def batch(self, step: int, *, rank: int = 0, ranks: int = 1) -> Batch:
        """Draw the patches of a step that belong to one of several processes.

        Together the processes see what one alone would see.
        """
        patches = [self.patch(step, sample) for sample in range(rank, self.train.batch, ranks)]
        weighted = patches[0].weights is not None
        return Batch(
            torch.stack([patch.image for patch in patches]).to(self.device),
            torch.stack([self._answered(patch.labels) for patch in patches]).to(self.device),
            torch.stack([self._answered(patch.weights) for patch in patches]).to(self.device) if weighted else None,
        )

    def batches(self, first: int, *, rank: int = 0, ranks: int = 1) -> Generator[Batch]:
        """Draw the patches of one step after the other; where that takes its time, of the next beside this one."""
        draw = partial(self.batch, rank=rank, ranks=ranks)
        device = self.device or self.samples[0].image.device
        if device.type == "cuda":
            yield from _beside(draw, first, device)
        elif self.device is not None:
            yield from _ahead(draw, first)
        else:
            yield from map(draw, count(first))

    def patch(self, step: int, index: int) -> Sample:
        """Draw patch number `index` of a step; where there are labels, it has some."""
        rng = generator(self.train.seed, step, index)
        number, centre = self._pixel_of_a_class(step, index) or (self._image_number(step, index), None)
        sample = self.samples[number]
        for augment in (*repeat(self.augment, TRIES), self.augment.model_copy(update=STRAIGHT)):
            origin = self._draw_origin(rng, number, tuple(sample.image.shape[1:]), centre)
            patch = augmented_patch(rng, sample, augment, origin=origin, size=self.size)
            if not self._is_sparse(number) or bool((self._answered(patch.labels) >= 0).any()):
                break
        return patch if patch.labels.is_floating_point() else patch._replace(labels=patch.labels.long())

    def _is_sparse(self, number: int) -> bool:
        """Whether an image has pixels without a label."""
        return bool(self.places) and self.places[number].sparse

    @cached_property
    def _labelled(self) -> tuple[int, ...]:
        """Images that take turns: those with any label; all that are to be drawn."""
        images = range(len(self.samples))
        labelled = tuple(number for number in images if not self.places or self.places[number].known)
        if not labelled:
            raise LabelError(UNLABELLED)
        return labelled

    @cached_property
    def _turns(self) -> NDArray[np.float64]:
        """Where in a round, which has as many patches as there are labelled images, the turn goes to the next one."""
        pixels = [math.prod(self.samples[number].image.shape[1:]) for number in self._labelled]
        shares = np.array(pixels, np.float64) ** self.train.by_size
        shares /= shares.max()  # of equal images 1, so that whole numbers follow
        turns: NDArray[np.float64] = shares.cumsum()[:-1] * len(shares) / shares.sum()
        return turns

    def _image_number(self, step: int, index: int) -> int:
        """Images take turns in an order drawn anew each round, so that none waits longer than its share wants."""
        drawn, images = step * self.train.batch + index, len(self._labelled)
        rng = generator(self.train.seed, drawn // images, 0, stream="order")
        places = rng.permutation(images) + rng.random(images)
        return self._labelled[int(np.searchsorted(self._turns, places[drawn % images], side="right"))]

    def _pixel_of_a_class(self, step: int, index: int) -> tuple[int, tuple[int, ...]] | None:
        """Image and pixel to centre a patch on: a class drawn first, so that rare ones come as often as others."""
        rng = generator(self.train.seed, step, index, stream="oversample")
        if rng.random() >= self.train.oversample or not self.places:
            return None
        there = np.flatnonzero(self._counts.sum(axis=0))
        if not len(there):
            return None
        wanted = int(rng.choice(there))
        until = self._counts[:, wanted].cumsum()
        drawn = int(rng.integers(until[-1]))
        number = int(np.searchsorted(until, drawn, side="right"))
        return number, self._find(number, drawn - int(until[number] - self._counts[number, wanted]), wanted)

    def _known_pixel(self, rng: np.random.Generator, number: int) -> tuple[int, ...] | None:
        """Any pixel of an image with a label; none if all have one, so that any patch will do."""
        return self._find(number, int(rng.integers(self.places[number].known))) if self._is_sparse(number) else None

    def _find(self, number: int, drawn: int, wanted: int | None = None) -> tuple[int, ...]:
        """Position of one of the pixels of a class, or of all that are known."""
        labels = self.samples[number].labels
        return self.places[number].find(lambda line: labels[line].cpu().numpy(), drawn, wanted=wanted)

    def _draw_origin(
        self, rng: np.random.Generator, number: int, shape: tuple[int, ...], centre: tuple[int, ...] | None
    ) -> tuple[int, ...]:
        """First pixel of the network's input, such that what it answers lies inside the image if it can."""
        hidden = (0,) * len(self.size) if self.geometry.padded else self.geometry.margin
        anchor = centre or self._known_pixel(rng, number)
        origin = []
        for axis, (pixels, taken, margin) in enumerate(zip(shape, self.size, hidden, strict=True)):
            answered = taken - 2 * margin
            free = pixels - answered
            if free <= 0:
                first = free // 2
            elif anchor is None:
                first = int(rng.integers(free + 1))
            else:
                before = answered // 2 if centre else rng.integers(answered)
                first = int(np.clip(anchor[axis] - before, 0, free))
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


def _ahead(draw: Callable[[int], T], first: int) -> Generator[T]:
    """Draw for the next step while the caller uses what was drawn for this one."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(draw, first)
        for step in count(first + 1):
            drawn = coming.result()
            coming = worker.submit(draw, step)
            yield drawn


def _beside(draw: Callable[[int], Batch], first: int, device: torch.device) -> Generator[Batch]:
    """Draw on a GPU beside the work that it does."""
    beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream(device))  # until the images are there

    def drawn(step: int) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(beside):
            return draw(step), beside.record_event()

    for batch, done in _ahead(drawn, first):
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
    >>> from biounet.models.receptive_field import unet_geometry
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
