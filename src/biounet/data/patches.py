"""Batches of augmented patches, drawn at random from training images.

Place and augmentation of a patch are a pure function of (seed, step, number in the batch): the same in one
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

__all__ = ["UNLABELLED", "Batch", "PatchSampler", "Samples", "network_input_size", "tell_cut_patch"]


T = TypeVar("T")

UNLABELLED = "no image to train on has a labelled pixel; label some, or hold out others of them"

TRIES = 16
"""How often a patch without any label is augmented anew; after that it is cut without deformation."""

STRAIGHT = MappingProxyType({"elastic": 0.0, "rotate": 0.0, "mirror": False, "scale": 1.0, "shift": 0.0})


@dataclass(frozen=True)
class Batch:
    """Images, labels and weights of one training step; labels and weights have the size of the network's output.

    image : (N, C, *spatial) float32, normalised
    labels : (N, *spatial) int64, class numbers, negative = IGNORE; or (N, C, *spatial) float32, target images
    weights : (N, *spatial) float32 or None
    """

    image: Tensor
    labels: Tensor
    weights: Tensor | None


class Samples(Protocol):
    """Training images with targets and weights, by number."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, number: int, /) -> Sample:
        """Return one sample."""


@dataclass(frozen=True)
class PatchSampler:
    """Draws the patches of each training step from whole images.

    Parameters
    ----------
    samples : images (C, *spatial), labels (or target images) and weights (*spatial), all on one device
        Each patch asks for its sample anew, so that samples may lie in files, see `biounet.data.sample_cache`.
    geometry : of the network, for its input sizes and the margin that an unpadded one takes away
    size : pixels per axis of the network's input
    augment : AugmentConfig
    train : TrainConfig
        Tells the seed, the number of patches per batch, and the share of patches that is centred on classes in turn.
    device : of the batches
        None: the device of the samples. Otherwise a batch is drawn while the network learns from the one before.
    anisotropy : of each sample, its pixel size along each axis, divided by that along X
        The elastic deformation is as many times weaker along thick slices. Empty: pixels are squares or cubes.
    further : number of samples, the last ones, of another dataset
        ``train.also_share`` of the patches are cut from them.
    """

    samples: Samples
    geometry: Geometry
    size: tuple[int, ...]
    augment: AugmentConfig
    train: TrainConfig
    device: torch.device | None = None
    anisotropy: Sequence[Sequence[float]] = ()
    further: int = 0

    @cached_property
    def label_indices(self) -> tuple[LabelIndex, ...]:
        """Label index of each image; none where there are target images."""
        if self.samples[0].labels.is_floating_point():
            return ()
        return tuple(map(self._index_labels, range(len(self.samples))))

    def _index_labels(self, number: int) -> LabelIndex:
        """Label index of one image, whose labels are read a few lines at a time, since they may lie in a file."""
        shape = tuple(self.samples[number].labels.shape)
        return LabelIndex.counted(
            shape, lambda lines: self.samples[number].labels.reshape(-1, shape[-1])[lines].cpu().numpy()
        )

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """Pixels of each class in each image, (images, classes)."""
        classes = max(len(index.counts) for index in self.label_indices)
        return np.array([np.pad(index.counts, (0, classes - len(index.counts))) for index in self.label_indices])

    def batch(self, step: int, *, rank: int = 0, ranks: int = 1) -> Batch:
        """Draw the patches of one process in the batch of a step; the whole batch does not depend on their number."""
        patches = [self.patch(step, sample) for sample in range(rank, self.train.batch, ranks)]
        weighted = patches[0].weights is not None
        return Batch(
            torch.stack([patch.image for patch in patches]).to(self.device),
            torch.stack([self._output_part(patch.labels) for patch in patches]).to(self.device),
            torch.stack([self._output_part(patch.weights) for patch in patches]).to(self.device) if weighted else None,
        )

    def batches(self, first: int, *, rank: int = 0, ranks: int = 1) -> Generator[Batch]:
        """Draw one batch after the other; on a GPU, or from another device, while the network learns from the last."""
        draw = partial(self.batch, rank=rank, ranks=ranks)
        device = self.device or self.samples[0].image.device
        if device.type == "cuda":
            yield from _draw_ahead_on_gpu(draw, first, device)
        elif self.device is not None:
            yield from _draw_ahead(draw, first)
        else:
            yield from map(draw, count(first))

    def patch(self, step: int, index: int) -> Sample:
        """Draw patch number `index` of a step; it has a labelled pixel, except where the target is an image."""
        rng = generator(self.train.seed, step, index)
        number, centre = self._pixel_of_a_class(step, index) or (self._image_number(step, index), None)
        sample = self.samples[number]
        spacing = self.anisotropy[number] if self.anisotropy else None
        for augment in (*repeat(self.augment, TRIES), self.augment.model_copy(update=STRAIGHT)):
            origin = self._draw_origin(rng, number, tuple(sample.image.shape[1:]), centre)
            patch = augmented_patch(rng, sample, augment, origin=origin, size=self.size, spacing=spacing)
            if not self._is_sparse(number) or bool((self._output_part(patch.labels) >= 0).any()):
                break
        return patch if patch.labels.is_floating_point() else patch._replace(labels=patch.labels.long())

    def _is_sparse(self, number: int) -> bool:
        """Whether an image has pixels without a label."""
        return bool(self.label_indices) and self.label_indices[number].sparse

    @cached_property
    def _labelled(self) -> tuple[int, ...]:
        """Numbers of the images with any label; of all images where there are target images."""
        images = range(len(self.samples))
        labelled = tuple(number for number in images if not self.label_indices or self.label_indices[number].known)
        if not labelled:
            raise LabelError(UNLABELLED)
        return labelled

    @cached_property
    def _turns(self) -> NDArray[np.float64]:
        """Where in a round each labelled image but the first begins; a round has as many patches as images."""
        pixels = [math.prod(self.samples[number].image.shape[1:]) for number in self._labelled]
        shares = np.array(pixels, np.float64) ** self.train.by_size
        shares /= shares.max()  # of equal images 1, so that whole numbers follow
        of_further = np.array(self._labelled) >= len(self.samples) - self.further
        if 0 < of_further.sum() < len(shares):
            shares[of_further] *= self.train.also_share / shares[of_further].sum()
            shares[~of_further] *= (1 - self.train.also_share) / shares[~of_further].sum()
        turns: NDArray[np.float64] = shares.cumsum()[:-1] * len(shares) / shares.sum()
        return turns

    def _image_number(self, step: int, index: int) -> int:
        """Image of a patch: images take turns in a random order, drawn anew each round, by their shares."""
        drawn, images = step * self.train.batch + index, len(self._labelled)
        rng = generator(self.train.seed, drawn // images, 0, stream="order")
        positions = rng.permutation(images) + rng.random(images)
        return self._labelled[int(np.searchsorted(self._turns, positions[drawn % images], side="right"))]

    def _pixel_of_a_class(self, step: int, index: int) -> tuple[int, tuple[int, ...]] | None:
        """Image and pixel to centre a patch on: the class is drawn first, so that rare ones come as often."""
        rng = generator(self.train.seed, step, index, stream="oversample")
        if rng.random() >= self.train.oversample or not self.label_indices:
            return None
        first, counts = 0, self._counts
        if self.further:
            new = len(counts) - self.further
            first = new if rng.random() < self.train.also_share else 0
            counts = counts[new:] if first else counts[:new]
        classes = np.flatnonzero(counts.sum(axis=0))
        if not len(classes):
            return None
        wanted = int(rng.choice(classes))
        counted = counts[:, wanted].cumsum()
        drawn = int(rng.integers(counted[-1]))
        number = int(np.searchsorted(counted, drawn, side="right"))
        within = drawn - int(counted[number] - counts[number, wanted])
        return first + number, self._find(first + number, within, wanted)

    def _known_pixel(self, rng: np.random.Generator, number: int) -> tuple[int, ...] | None:
        """A random labelled pixel of an image; None if all pixels are labelled, so that a patch may lie anywhere."""
        if not self._is_sparse(number):
            return None
        return self._find(number, int(rng.integers(self.label_indices[number].known)))

    def _find(self, number: int, drawn: int, wanted: int | None = None) -> tuple[int, ...]:
        """Position of a pixel of a class, or of a labelled pixel, by its number."""
        labels = self.samples[number].labels
        return self.label_indices[number].find(lambda line: labels[line].cpu().numpy(), drawn, wanted=wanted)

    def _draw_origin(
        self, rng: np.random.Generator, number: int, shape: tuple[int, ...], centre: tuple[int, ...] | None
    ) -> tuple[int, ...]:
        """First pixel of the network's input, such that its output lies inside the image if possible."""
        margins = (0,) * len(self.size) if self.geometry.padded else self.geometry.margin
        anchor = centre or self._known_pixel(rng, number)
        origin = []
        for axis, (pixels, size, margin) in enumerate(zip(shape, self.size, margins, strict=True)):
            output = size - 2 * margin
            free = pixels - output
            if free <= 0:
                first = free // 2
            elif anchor is None:
                first = int(rng.integers(free + 1))
            else:
                before = output // 2 if centre else rng.integers(output)
                first = int(np.clip(anchor[axis] - before, 0, free))
            origin.append(first - margin)
        return tuple(origin)

    def _output_part(self, array: Tensor | None) -> Tensor:
        """The part of a patch that the network predicts."""
        assert array is not None
        if self.geometry.padded:
            return array
        for axis, margin in enumerate(self.geometry.margin, start=array.ndim - len(self.size)):
            array = array.narrow(axis, margin, array.shape[axis] - 2 * margin)
        return array


def _draw_ahead(draw: Callable[[int], T], first: int) -> Generator[T]:
    """Draw the next batch in a thread while the caller uses this one."""
    with ThreadPoolExecutor(1) as worker:
        future = worker.submit(draw, first)
        for step in count(first + 1):
            drawn = future.result()
            future = worker.submit(draw, step)
            yield drawn


def _draw_ahead_on_gpu(draw: Callable[[int], Batch], first: int, device: torch.device) -> Generator[Batch]:
    """Draw the next batch in a stream of its own while the GPU learns from this one."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))  # until the images are there

    def drawn(step: int) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(stream):
            return draw(step), stream.record_event()

    for batch, done in _draw_ahead(drawn, first):
        current = torch.cuda.current_stream(device)
        current.wait_event(done)
        for tensor in (batch.image, batch.labels, batch.weights):
            if tensor is not None:
                tensor.record_stream(current)  # the next batch must not reuse this memory before it was used here
        yield batch


def network_input_size(config: RunConfig, geometry: Geometry, image: Sequence[int]) -> tuple[int, ...]:
    """Pixels per axis of the patches: the size in the settings, brought to one that the network takes.

    Parameters
    ----------
    config : RunConfig
    geometry : of the network
    image : pixels per spatial axis of the largest training image
        Patches for a padded network are no larger than this, rounded up to its grid.

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
    return tuple(map(max, size, geometry.least_input))


def tell_cut_patch(config: RunConfig, geometry: Geometry, image: Sequence[int]) -> str:
    """Reason why patches are smaller than the setting asks for, for users; empty if they are not.

    Examples
    --------
    >>> from biounet.models.receptive_field import unet_geometry
    >>> padded = unet_geometry(((2, 2),) * 4, padded=True)
    >>> tell_cut_patch(RunConfig().updated({"train.patch": 10**9}), padded, (512, 500))
    'no image is so large, so patches have 512 x 512 px, as the largest image'
    """
    size = network_input_size(config, geometry, image)
    if config.train.patch <= max(size) + max(geometry.grid):
        return ""
    return f"no image is so large, so patches have {' x '.join(map(str, size))} px, as the largest image"
