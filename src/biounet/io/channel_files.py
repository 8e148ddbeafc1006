"""Images whose channels lie in files of their own, ``CASE_0000.tif``, ``CASE_0001.tif``, as nnU-Net wants them."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.core.json_file import read_json
from biounet.core.text_file import ForeignRecord, TextFile
from biounet.io.image import LazyImage

__all__ = ["CHANNELS", "ChannelFiles", "channel_files", "of_channels", "open_channels"]


CHANNELS = "_????"
"""Part of a name that stands for the numbers of the channels, from ``_0000`` on."""


def of_channels(path: Path) -> bool:
    """Whether a path is the common name of several files, one for each channel or more.

    >>> of_channels(Path("imagesTr/case_????.tif")), of_channels(Path("imagesTr/case_0000.tif"))
    (True, False)
    """
    return CHANNELS + "." in path.name


def channel_files(path: Path) -> tuple[Path, ...]:
    """The files that a common name stands for, in the order of their numbers.

    Raises
    ------
    ImageError
        If there is none, or a number is missing.
    """
    before, _, after = path.name.rpartition(CHANNELS)
    folder = path.parent
    found: list[Path] = []
    while (file := folder / f"{before}_{len(found):04}{after}").exists():
        found.append(file)
    if not found:
        raise ImageError(f"{path}: there is no file {before}_0000{after}; check the name")
    return tuple(found)


class ChannelFiles:
    """Files of channels as one image; a `LazyImage`.

    Parameters
    ----------
    path : Path
        Common name of the files.
    images : of the files, of equal size
        Spacing is that of the first, or of ``CASE.json`` beside them: micrometres per pixel in the order of the array.
    """

    def __init__(self, path: Path, images: list[LazyImage]) -> None:
        first = images[0]
        for image in images:
            if (image.axes, image.shape) != (first.axes, first.shape):
                raise ImageError(
                    f"{path.name}: a channel has axes {image.axes} {image.shape}, the first {first.axes} "
                    f"{first.shape}; save all channels in one size"
                )
        self._images, self._own = images, "C" in first.axes
        self._at = first.axes.index("C") if self._own else int("T" in first.axes)
        self.axes = first.axes if self._own else f"{first.axes[: self._at]}C{first.axes[self._at :]}"
        self._each = first.shape[self._at] if self._own else 1
        after = first.shape[self._at + self._own :]
        self.shape = (*first.shape[: self._at], self._each * len(images), *after)
        self.dtype = np.result_type(*(image.dtype for image in images))
        self.spacing = _told_spacing(path, len(after)) or first.spacing
        self.decoding_bytes = sum(image.decoding_bytes for image in images)

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region inside the image."""
        at, parts = self._at, []
        for number, image in enumerate(self._images):
            first = number * self._each
            start, stop = (min(max(end[at] - first, 0), self._each) for end in (box.start, box.stop))
            if start < stop:
                inner = ((start,), (stop,)) if self._own else ((), ())
                region = (
                    (*end[:at], *of_channel, *end[at + 1 :])
                    for end, of_channel in zip((box.start, box.stop), inner, strict=True)
                )
                pixels = image.read(Box(*region))
                parts.append(pixels if self._own else np.expand_dims(pixels, at))
        return np.concatenate(parts, axis=at).astype(self.dtype, copy=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for image in self._images:
            image.__exit__(*error)


def open_channels(path: Path, open_file: Callable[[Path], LazyImage]) -> ChannelFiles:
    """Open the files of a common name as one image; `open_file` opens one of them.

    Raises
    ------
    ImageError
        If a file is missing, cannot be read, or has another size than the first.
    """
    with ExitStack() as stack:
        image = ChannelFiles(path, [stack.enter_context(open_file(file)) for file in channel_files(path)])
        stack.pop_all()  # the image closes them
        return image


class _Sidecar(ForeignRecord):
    """What nnU-Net keeps beside a TIFF."""

    spacing: tuple[float, ...]


def _told_spacing(path: Path, axes: int) -> tuple[float, ...] | None:
    """Spacing that nnU-Net keeps beside a TIFF, in ``CASE.json``; ``None`` if there is none."""
    file = path.with_name(f"{path.name.rpartition(CHANNELS)[0]}.json")
    if not file.is_file():
        return None
    told = read_json(
        file, _Sidecar, TextFile(str(file), ImageError, 'write {"spacing": [z, y, x]}, or remove it')
    ).spacing
    if len(told) < axes or not all(0 < step < float("inf") for step in told):
        raise ImageError(f"{file}: {axes} numbers above 0 are wanted as spacing, got {told}; correct or remove it")
    return told[-axes:]
