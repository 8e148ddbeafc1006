"""Training images with targets and weights, prepared for patches: on the device, in memory, or in mapped files."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from biounet.config import RunConfig
from biounet.core.atomic_files import replacing
from biounet.core.errors import TrainingError
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.augment import Sample
from biounet.data.normalize import Normalization
from biounet.data.targets import set_apart
from biounet.data.training_set import TrainingSet
from biounet.data.weight_maps import balance_classes, weight_map

__all__ = [
    "SampleFiles",
    "SampleStore",
    "SamplesOnDevice",
    "choose_sample_device",
    "free_bytes",
    "prepare_samples",
    "sample_store",
    "to_sample",
]


LABELS = np.int16
"""Type of class numbers in a file; `biounet.data.patches.PatchSampler` makes int64 of them again."""

Strips = Callable[[int], Iterable[Sample]]
"""(number of a sample) -> its rows in strips from top to bottom, on the CPU."""


def free_bytes(device: torch.device) -> float:
    """Memory of a GPU that is free, the part that torch keeps for its next tensors included; infinite for a CPU."""
    if device.type != "cuda":
        return math.inf
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def choose_sample_device(data: TrainingSet, config: RunConfig, device: torch.device) -> tuple[torch.device | None, str]:
    """Where samples lie: on the device, if ``train.memory`` of it has room; or in memory; or in files.

    Parameters
    ----------
    data : TrainingSet
    config : RunConfig
        Tells whether pixels have weights.
    device : where the network learns

    Returns
    -------
    torch.device
        `device`, or the CPU, which then cuts the patches. None: memory does not hold the images, samples lie in files.
    str
        Why it is the CPU, although memory holds the images; otherwise empty.
    """
    if not data.in_memory:
        return None, ""
    weighted = bool(config.train.border_weight or config.train.class_balance)
    others = 8 + 4 * weighted if data.task.has_labels else 4 * data.classes  # target images; labels and weights
    needed = sum(math.prod(image.shape[1:]) * (4 * image.shape[0] + others) for image in data.statistics)
    available = config.train.memory * free_bytes(device)
    if needed <= available:
        return device, ""
    why = (
        f"the images to train on take {needed / 2**30:.2f} GiB, the GPU has {available / 2**30:.2f} GiB for them: "
        "the processor cuts the patches"
    )
    return torch.device("cpu"), why


class SampleStore(Protocol):
    """A place for samples, by number: `SamplesOnDevice` or `SampleFiles`."""

    @property
    def device(self) -> torch.device | None:
        """Device of the tensors; None: they are mapped from files."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, number: int, /) -> Sample:
        """Return one sample."""

    def prepare(self, rows: Sequence[int], strips: Strips, *, rank: int = 0, ranks: int = 1) -> None:
        """Take the samples that are not there yet.

        Parameters
        ----------
        rows : of each sample, along Y
        strips : (number of a sample) -> its rows in strips from top to bottom, on the CPU
        rank, ranks : which of several processes this is
        """


class SamplesOnDevice:
    """Samples on a device, the CPU or a GPU, as whole tensors; every process has all of them.

    Examples
    --------
    >>> store = SamplesOnDevice(torch.device("cpu"))
    >>> store.prepare([1], lambda number: [Sample(torch.ones(1, 1, 2), torch.ones(1, 2, dtype=torch.int64))])
    >>> len(store), store[0].image
    (1, tensor([[[1., 1.]]]))
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._samples: list[Sample] = []

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number: int) -> Sample:
        return self._samples[number]

    def prepare(self, rows: Sequence[int], strips: Strips, *, rank: int = 0, ranks: int = 1) -> None:
        """Move the samples to the device; of an image in memory there is one strip."""
        for number in range(len(self), len(rows)):
            (sample,) = strips(number)
            self._samples.append(_each(sample, lambda tensor: tensor.to(self.device)))


class RowsFile:
    """A NumPy file that is written in strips along Y, whichever axes come before Y.

    Parameters
    ----------
    path : Path
    like : (..., Y, X)
        The first strip; the array in the file has its type, and its size along all axes but Y.
    rows : of the array in the file, along Y
    """

    def __init__(self, path: Path, like: NDArray[Any], rows: int) -> None:
        self._rows, self._next = rows, 0
        self._stream = path.open("wb")
        shape = (*like.shape[:-2], rows, like.shape[-1])
        header = {"descr": np.lib.format.dtype_to_descr(like.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._stream, header)
        self._start = self._stream.tell()

    def add(self, strip: NDArray[Any]) -> None:
        """Write the next rows of every plane."""
        planes = strip.reshape(-1, *strip.shape[-2:])
        line = strip.shape[-1] * strip.dtype.itemsize
        for number, plane in enumerate(planes):
            self._stream.seek(self._start + (number * self._rows + self._next) * line)
            self._stream.write(np.ascontiguousarray(plane).data)
        self._next += strip.shape[-2]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()


class SampleFiles:
    """Samples in files of a folder, mapped into memory while a patch is cut from them.

    Each sample is a folder of plain NumPy files: ``image.npy``, ``labels.npy`` and, where pixels do not all weigh the
    same, ``weights.npy``. It is absent or complete, whenever the process that writes it is killed.

    Parameters
    ----------
    folder : Path
    count : number of samples

    Examples
    --------
    >>> import tempfile
    >>> stored = SampleFiles(Path(tempfile.mkdtemp()), 1)
    >>> rows = [Sample(torch.full((1, 1, 2), value), torch.ones(1, 2, dtype=torch.int64)) for value in (3.0, 4.0)]
    >>> stored.prepare([2], lambda number: rows)
    >>> stored[0].image[0], stored[0].labels[0], stored[0].weights
    (tensor([[3., 3.],
            [4., 4.]]), tensor([1, 1], dtype=torch.int16), None)
    """

    device = None

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Sample:
        """Map the arrays of a sample. Memory holds what was read of them until the tensors are gone."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        found = {path.stem: path for path in self._path(number).glob("*.npy")}
        if not {"image", "labels"} <= set(found):
            raise TrainingError(f"{self._path(number)} is gone, which training reads; go on with --resume")
        # Copy on write: torch wants arrays that can be written, and nothing is.
        tensors = {name: torch.from_numpy(np.load(path, mmap_mode="c")) for name, path in found.items()}
        return Sample(**tensors)

    def prepare(self, rows: Sequence[int], strips: Strips, *, rank: int = 0, ranks: int = 1) -> None:
        """Write the samples that are not there yet; of several processes each writes its share.

        Only one strip is in memory at a time. A sample that is there must have been made from the same data and
        settings.

        Raises
        ------
        OutputError
            If the disk is full.
        """
        for number in range(rank, self._count, ranks):
            if not self._path(number).exists():
                self._write(number, rows[number], strips(number))

    def _write(self, number: int, rows: int, strips: Iterable[Sample]) -> None:
        """Write the arrays of a sample into a temporary folder, and give it its name when it is complete."""
        with replacing(self._path(number)) as temporary, ExitStack() as stack:
            temporary.mkdir()
            files: dict[str, RowsFile] = {}
            for strip in strips:
                for name, tensor in strip._asdict().items():
                    if tensor is None:
                        continue
                    array = tensor.numpy()
                    array = array.astype(LABELS) if array.dtype.kind == "i" else array
                    if name not in files:
                        files[name] = stack.enter_context(RowsFile(temporary / f"{name}.npy", array, rows))
                    files[name].add(array)

    def _path(self, number: int) -> Path:
        return self._folder / str(number)


def sample_store(device: torch.device | None, folder: Path, count: int) -> SampleStore:
    """Place for so many samples: a device, or files in a folder where there is none (see `choose_sample_device`)."""
    return SampleFiles(folder, count) if device is None else SamplesOnDevice(device)


def prepare_samples(
    data: TrainingSet, config: RunConfig, store: SampleStore, *, rank: int = 0, ranks: int = 1
) -> SampleStore:
    """Training images with targets and weights in a store, which is returned.

    Parameters
    ----------
    data : TrainingSet
        Its images are asked for one by one, or strip by strip.
    config : RunConfig
    store : SampleStore
    rank, ranks : which of several processes this is
    """

    def strips(number: int) -> Iterator[Sample]:
        for annotated, rows in data.train[number].strips():
            sample = to_sample(annotated, data, config)
            yield _each(sample, itemgetter((..., rows, slice(None))))

    store.prepare([image.shape[-2] for image in data.statistics], strips, rank=rank, ranks=ranks)
    return store


def _each(sample: Sample, change: Callable[[Tensor], Tensor]) -> Sample:
    """Change each tensor of a sample."""
    return Sample(**{name: change(tensor) for name, tensor in sample._asdict().items() if tensor is not None})


def to_sample(annotated: AnnotatedImage, data: TrainingSet, config: RunConfig) -> Sample:
    """Tensors of an image, or of a strip of one, with its weight map (Ronneberger et al. 2015, equation 2).

    `data` is the training set that the image belongs to: it tells what the classes weigh. Distances are in pixels along
    X. In a stack of slices five times as thick as pixels are wide, background in a gap of one slice has d1 = d2 = 5 and
    weighs 1 + 10 exp(-(5 + 5)**2 / 50) = 2.353, where without the pixel size it would be
    1 + 10 exp(-(1 + 1)**2 / 50) = 10.231.
    """
    if data.target_normalization is not None:
        return _image_sample(annotated, data.target_normalization)
    train, objects, weights = config.train, None, None
    if train.border_weight:
        objects = set_apart(data.objects(annotated), annotated.target, target=data.target)
    if train.border_weight or train.class_balance:
        balance = balance_classes(data.counts[1:]) if train.class_balance else np.ones(data.classes, np.float32)
        drawn = weight_map(
            annotated.target,
            objects=objects,
            balance=balance,
            w0=train.border_weight,
            sigma=train.border_sigma,
            spacing=annotated.anisotropy,
        )
        weights = torch.from_numpy(drawn)
    return Sample(torch.from_numpy(annotated.image), torch.from_numpy(annotated.target), weights)


def _image_sample(annotated: AnnotatedImage, units: Normalization) -> Sample:
    """Tensors of an image and of its target image, normalised."""
    return Sample(torch.from_numpy(annotated.image), torch.from_numpy(units.apply(annotated.labels)))
