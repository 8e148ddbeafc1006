"""Images without labels that a run may learn from as well (``--unlabelled``): some of them, or their middle parts."""

import filecmp
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from biounet.core.boxes import Box
from biounet.core.errors import DatasetError, ShapeError
from biounet.core.labels import IGNORE
from biounet.core.places import check_input
from biounet.core.random import generator
from biounet.core.words import counted
from biounet.data.annotated_image import AnnotatedImage
from biounet.data.normalize import Normalization
from biounet.data.training_set import TrainingSet
from biounet.io import Selection, image_files, open_selected, plain_name
from biounet.io.frames import Frame, frames_of

__all__ = ["read_unlabelled"]


MOST = {2: (1024, 1024), 3: (32, 512, 512)}
"""Pixels per spatial axis that are read at most, in the middle of an image (Y, X) or a volume (Z, Y, X)."""


def read_unlabelled(
    place: Path, data: TrainingSet, normalization: Normalization, *, pixels: int, selection: Selection
) -> list[AnnotatedImage]:
    """Images without labels, each normalised by what is read of it; all their pixels are IGNORE.

    Parameters
    ----------
    place : Path
        A folder of images, or an image. Of stacks and sequences frames are taken.
    data : TrainingSet
        Files of its dataset, and copies of them, are left out. Grey images are repeated to fit its channels.
    normalization : Normalization
    pixels : most pixels of all that are taken, at least one image
        Which ones are taken is drawn, always alike; each gives `MOST` pixels at most.
    selection : Selection
        Part of each file that is read.

    Raises
    ------
    DatasetError, ImageError, ShapeError
        If there is no image but those of the dataset, or one cannot be read, or does not fit.
    """
    known = {image.statistics.image_hash for image in (*data.train, *data.validation)}
    taken, left = list[AnnotatedImage](), pixels
    for name, frame in _drawn(_others(place, data), data, selection):
        box = _middle(frame.shape[1:])
        if taken and np.prod(box.shape) > left:
            break
        try:
            image = frame.read(Box((0, *box.start), (data.channels, *box.stop)))
        except ShapeError as error:
            have = counted(data.channels, "channel")
            raise ShapeError(f"{place} (--unlabelled) does not fit a dataset of {have}: {error}") from error
        nothing = np.full(box.shape, IGNORE, np.int32)
        annotated = AnnotatedImage(name, normalization.measured(image).apply(image), nothing, nothing.astype(np.int64))
        if annotated.statistics.image_hash not in known:
            taken.append(annotated)
            left -= nothing.size
    if not taken:
        raise DatasetError(f"{place} (--unlabelled) has no image but those with labels; name others, or leave it out")
    return sorted(taken, key=lambda image: image.name)


def _others(place: Path, data: TrainingSet) -> list[Path]:
    """Images in a folder, or the one that is named, but for the files of a dataset."""
    check_input(place, DatasetError, what="folder of images, or stack, for --unlabelled")
    files = image_files(place) if place.is_dir() else (place,)
    if not files:
        raise DatasetError(f"{place} (--unlabelled) has no image; name a folder of images, or a stack")
    return [path for path in files if path.resolve() not in data.files]


def _is_copy(path: Path, files: Collection[Path]) -> bool:
    """Whether a file has the bytes of one of others."""
    return path.is_file() and any(other.is_file() and filecmp.cmp(path, other, shallow=False) for other in files)


def _drawn(files: Sequence[Path], data: TrainingSet, selection: Selection) -> Iterator[tuple[str, Frame]]:
    """Frames of files in a random order, first one of each, then a second one; a file is open while it is used."""
    rng, dims, used = generator(0, 0, 0, stream="unlabelled"), len(data.largest), 0
    order = [files[at] for at in rng.permutation(len(files))]
    while order:
        more = []
        for path in order:
            if not used and _is_copy(path, data.files):
                continue
            with ExitStack() as stack:
                image = stack.enter_context(open_selected(path, selection))
                frames = frames_of(image, dims=dims, channels=data.channels, name=path.name)
                at = int(generator(0, 0, 0, stream="frames").permutation(len(frames))[used])
                where = "".join(f"[{index}]" for _, index in frames[at].position)
                yield f"{plain_name(path)}{where}", frames[at]
                if used + 1 < len(frames):
                    more.append(path)
        order, used = more, used + 1


def _middle(shape: Sequence[int]) -> Box:
    """The middle of an image, as far as it is read."""
    sizes = [min(size, most) for size, most in zip(shape, MOST[len(shape)], strict=True)]
    start = tuple((whole - size) // 2 for whole, size in zip(shape, sizes, strict=True))
    return Box(start, tuple(first + size for first, size in zip(start, sizes, strict=True)))
