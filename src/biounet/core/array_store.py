"""Store of arrays in a temporary folder, for more arrays than memory holds."""

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.atomic_files import replacing

__all__ = ["ArrayFolder"]


class ArrayFolder(MutableMapping[tuple[int, ...], NDArray[Any]]):
    """Store of arrays under tuples of numbers, each in a file of its own; arrays are read whole, not memory-mapped.

    An array is absent or complete, whenever the process that stores it is killed.

    Parameters
    ----------
    folder : Path
        What it is for beside this, and when it goes, is up to the caller.

    Raises
    ------
    OutputError
        When the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     arrays = ArrayFolder(Path(folder))
    ...     arrays[0, 12] = np.array([3, 4])
    ...     list(arrays), arrays[0, 12]
    ([(0, 12)], array([3, 4]))
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._folder, self._durable = folder, durable

    def __getitem__(self, key: tuple[int, ...]) -> NDArray[Any]:
        try:
            array: NDArray[Any] = np.load(self._file(key))
        except FileNotFoundError:
            raise KeyError(key) from None
        return array

    def __setitem__(self, key: tuple[int, ...], array: NDArray[Any]) -> None:
        array = np.ascontiguousarray(array)
        file = replacing(self._file(key), overwrite=True, durable=self._durable)
        with file as temporary, temporary.open("wb") as stream:
            # Not by np.save: its error on a full disk does not tell that the disk is full.
            np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(array))
            stream.write(array.reshape(-1).view(np.uint8).data)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and self._file(key).exists()

    def __delitem__(self, key: tuple[int, ...]) -> None:
        try:
            self._file(key).unlink()
        except FileNotFoundError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return iter(sorted(tuple(map(int, path.stem.split("-"))) for path in self._folder.glob("[0-9]*.npy")))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _file(self, key: tuple[int, ...]) -> Path:
        """Path of the file of an array."""
        return self._folder / f"{'-'.join(map(str, key))}.npy"
