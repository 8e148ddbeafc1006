"""Smaller copies of a large plane, in files that are mapped, made strip by strip while somebody looks at the image."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import replacing, sayable
from biounet.core.boxes import Box
from biounet.core.errors import OutputError
from biounet.core.json_file import read_json
from biounet.core.text_file import Record, TextFile
from biounet.io.pyramid import halve

__all__ = ["Pyramid"]


STRIP = 512
"""Rows of the full size that are read at a time; a multiple of 2, as often as rows are halved from one strip."""


class _Facts(Record):
    """Plane of which all levels were made."""

    shape: tuple[int, int, int]
    dtype: str
    levels: int


class Pyramid:
    """Levels of a plane (C, Y, X), each half the size of the one before.

    Parameters
    ----------
    folder : Path
    shape : (C, Y, X) of the full size
    dtype : of the pixels
    levels : number of levels, the full size included, which is not copied
    read : region of the full size -> (C, Y, X)

    Examples
    --------
    >>> import tempfile
    >>> plane = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    >>> pyramid = Pyramid(Path(tempfile.mkdtemp()), plane.shape, plane.dtype, 3, lambda box: plane[:, *box.slices])
    >>> list(pyramid.make())
    [1.0]
    >>> pyramid.read(2, Box((0, 0), (1, 1)))
    array([[[7]]], dtype=uint8)
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        levels: int,
        read: Callable[[Box], NDArray[Any]],
    ) -> None:
        self._folder, self._shape, self._dtype, self._levels, self._read = folder, shape, dtype, levels, read
        self._facts = _Facts(shape=shape, dtype=dtype.str, levels=levels)
        self._maps: dict[int, NDArray[Any]] = {}
        self._complete = self._is_complete()
        self.share = 1.0 if self._complete else 0.0
        """How much is done."""

    def ready(self, level: int) -> bool:
        """Whether a level can be read."""
        return self._complete

    def read(self, level: int, box: Box) -> NDArray[Any]:
        """Return the pixels of a region of a level, (C, Y, X)."""
        if level not in self._maps:
            self._maps[level] = np.load(self._file(level), mmap_mode="r")
        return np.array(self._maps[level][(slice(None), *box.slices)])

    def make(self) -> Iterator[float]:
        """Make all levels; yield after each strip how much is done.

        Raises
        ------
        ImageError
            If the image cannot be read.
        OutputError
            If the disk is full.
        """
        if self._complete:
            return
        channels, height, width = self._shape
        with sayable(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            maps = {
                level: np.lib.format.open_memmap(
                    self._file(level), "w+", self._dtype, (channels, -(-height // 2**level), -(-width // 2**level))
                )
                for level in range(1, self._levels)
            }
            step = max(STRIP, 2 ** (self._levels - 1))
            for top in range(0, height, step):
                part = self._read(Box((top, 0), (min(top + step, height), width)))
                for level, target in maps.items():
                    part = halve(part, (1, 2, 2), labels=False)
                    at = top // 2**level
                    target[:, at : at + part.shape[1]] = part
                self.share = min(1.0, (top + step) / height)
                yield self.share
            del maps
        with replacing(self._folder / "complete.json", overwrite=True) as temporary:
            temporary.write_text(self._facts.model_dump_json())
        self._complete = True

    def _is_complete(self) -> bool:
        """Whether an earlier run has made all levels of such a plane; if its note is damaged, they are made anew."""
        path = self._folder / "complete.json"
        try:
            return path.is_file() and read_json(path, _Facts, TextFile(str(path), OutputError, "")) == self._facts
        except OutputError:
            return False

    def _file(self, level: int) -> Path:
        return self._folder / f"level-{level}.npy"
