"""Where training samples are: on the device, in memory where that has no room, or in files where memory has none.

Those in files are mapped only while a patch is cut from them.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from biounet.config import RunConfig
from biounet.core.atomic_files import replacing
from biounet.core.errors import TrainingError
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.augment import Sample
from biounet.data.normalize import Normalization
from biounet.data.targets import set_apart
from biounet.data.training_set import TrainingSet
from biounet.data.weight_maps import balance_classes, weight_map

__all__ = ["StoredSamples", "choose_sample_device", "free_bytes", "store_samples", "to_sample", "to_samples"]


LABELS = np.int16
"""Type of class numbers in a file; patches of them are int64 again."""


def free_bytes(device: torch.device) -> float:
    """Memory of a GPU that nobody uses; what torch keeps for the next tensors counts. Of a processor: infinite."""
    if device.type != "cuda":
        return math.inf
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def choose_sample_device(data: TrainingSet, config: RunConfig, device: torch.device) -> tuple[torch.device, str]:
    """Choose where the samples of images in memory are: on the device, if ``train.memory`` of it has room.

    Parameters
    ----------
    data : TrainingSet
    config : RunConfig
        Tells whether pixels have weights.
    device : where the network learns

    Returns
    -------
    torch.device
        That one, or the processor, which then cuts the patches.
    str
        Why it is the processor; else nothing.
    """
    weighted = bool(config.train.border_weight or config.train.class_balance)
    others = 8 + 4 * weighted if data.task.has_labels else 4 * data.classes  # images to draw; labels and weights
    needed = sum(math.prod(image.shape[1:]) * (4 * image.shape[0] + others) for image in data.statistics)
    room = config.train.memory * free_bytes(device)
    if needed <= room:
        return device, ""
    taken = f"the images to train on take {needed / 2**30:.2f} GiB"
    return torch.device("cpu"), f"{taken}, the GPU has {room / 2**30:.2f} GiB for them: the processor cuts the patches"


class RowsFile:
    """A NumPy file that is written row by row, whichever axes come before them.

    Parameters
    ----------
    path : Path
    like : (..., Y, X), an array of the type, and with the other axes, of that in the file
    rows : along Y
    """

    def __init__(self, path: Path, like: NDArray[Any], rows: int) -> None:
        self._rows, self._next = rows, 0
        self._stream = path.open("wb")
        shape = (*like.shape[:-2], rows, like.shape[-1])
        header = {"descr": np.lib.format.dtype_to_descr(like.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._stream, header)
        self._start = self._stream.tell()

    def add(self, band: NDArray[Any]) -> None:
        """Write the next rows of every plane."""
        planes = band.reshape(-1, *band.shape[-2:])
        line = band.shape[-1] * band.dtype.itemsize
        for number, plane in enumerate(planes):
            self._stream.seek(self._start + (number * self._rows + self._next) * line)
            self._stream.write(np.ascontiguousarray(plane).data)
        self._next += band.shape[-2]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()


class StoredSamples:
    """Samples in a folder, one after the other, as `biounet.data.patches.PatchSampler` asks for them.

    Each sample is a folder of plain NumPy files: ``image.npy``, ``labels.npy`` and, where pixels do not all weigh the
    same, ``weights.npy``. It is absent or complete, whenever the process that writes it is killed.

    Parameters
    ----------
    folder : Path
    count : number of samples

    Examples
    --------
    >>> import tempfile
    >>> stored = StoredSamples(Path(tempfile.mkdtemp()), 1)
    >>> rows = [Sample(torch.full((1, 1, 2), value), torch.ones(1, 2, dtype=torch.int64)) for value in (3.0, 4.0)]
    >>> stored.prepare([2], lambda number: rows)
    >>> stored[0].image[0], stored[0].labels[0], stored[0].weights
    (tensor([[3., 3.],
            [4., 4.]]), tensor([1, 1], dtype=torch.int16), None)
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Sample:
        """Map the arrays of a sample. Memory holds what was read of them until the tensors are gone."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        found = {path.stem: path for path in self._place(number).glob("*.npy")}
        if not {"image", "labels"} <= set(found):
            raise TrainingError(f"{self._place(number)} is gone, which training reads; go on with --resume")
        # Copy on write: torch wants arrays that can be written, and nothing is.
        tensors = {name: torch.from_numpy(np.load(path, mmap_mode="c")) for name, path in found.items()}
        return Sample(**tensors)

    def prepare(
        self, rows: Sequence[int], bands: Callable[[int], Iterable[Sample]], *, rank: int = 0, ranks: int = 1
    ) -> None:
        """Store the samples that are not there yet.

        Parameters
        ----------
        rows : of each sample, along Y
        bands : (number of a sample) -> its rows, in one band or more that follow each other, on the CPU
            One after the other is asked for, and only that one is held.
        rank, ranks : which of several processes this is; each stores its share

        Raises
        ------
        OutputError
            If the disk is full.
        """
        for number in range(rank, self._count, ranks):
            if not self._place(number).exists():
                self._store(number, rows[number], bands(number))

    def _store(self, number: int, rows: int, bands: Iterable[Sample]) -> None:
        """Write the arrays of a sample, and then give them their name."""
        with replacing(self._place(number)) as temporary, ExitStack() as stack:
            temporary.mkdir()
            files: dict[str, RowsFile] = {}
            for band in bands:
                for name, tensor in band._asdict().items():
                    if tensor is None:
                        continue
                    array = tensor.numpy()
                    array = array.astype(LABELS) if array.dtype.kind == "i" else array
                    if name not in files:
                        files[name] = stack.enter_context(RowsFile(temporary / f"{name}.npy", array, rows))
                    files[name].add(array)

    def _place(self, number: int) -> Path:
        return self._folder / str(number)


def store_samples(
    data: TrainingSet, config: RunConfig, folder: Path, *, rank: int = 0, ranks: int = 1
) -> StoredSamples:
    """Store the training images with targets and weights, those that `to_sample` makes.

    Parameters
    ----------
    data : TrainingSet
        Its images are asked for one by one, or band by band.
    config : RunConfig
    folder : Path
        What is there stays: it must have been made of the same data and settings.
    rank, ranks : which of several processes this is; each stores its share
    """
    kept = StoredSamples(folder, len(data.train))

    def bands(number: int) -> Iterator[Sample]:
        for item, rows in data.bands(number):
            sample = to_sample(item, data, config, torch.device("cpu"))
            own = {name: tensor[..., rows, :] for name, tensor in sample._asdict().items() if tensor is not None}
            yield Sample(**own)

    kept.prepare([image.shape[-2] for image in data.statistics], bands, rank=rank, ranks=ranks)
    return kept


def to_samples(data: TrainingSet, config: RunConfig, device: torch.device) -> list[Sample]:
    """Move the training items to the device, see `to_sample`."""
    return [to_sample(item, data, config, device) for item in data.train]


def to_sample(item: AnnotatedImage, data: TrainingSet, config: RunConfig, device: torch.device) -> Sample:
    """Move an item, or a band of one, to the device, with its weight map (Ronneberger et al. 2015, equation 2).

    `data` are those that it is of: they tell what the classes weigh.
    """
    if data.target_normalization is not None:
        return _image_sample(item, data.target_normalization, device)
    train, objects, weights = config.train, None, None
    if train.border_weight:
        objects = set_apart(data.objects(item), item.target, target=data.target)
    if train.border_weight or train.class_balance:
        balance = balance_classes(data.counts[1:]) if train.class_balance else np.ones(data.classes, np.float32)
        drawn = weight_map(
            item.target, objects=objects, balance=balance, w0=train.border_weight, sigma=train.border_sigma
        )
        weights = torch.from_numpy(drawn).to(device)
    image, target = torch.from_numpy(item.image), torch.from_numpy(item.target)
    return Sample(image.to(device), target.to(device), weights)


def _image_sample(item: AnnotatedImage, units: Normalization, device: torch.device) -> Sample:
    """An image and the one to draw of it, normalised."""
    image, target = torch.from_numpy(item.image), torch.from_numpy(units.apply(item.labels))
    return Sample(image.to(device), target.to(device))
