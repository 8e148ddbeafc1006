"""Masks of Cellpose: `_seg.npy` of its window, read without running what a pickle says, and `_masks.tif`."""

import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import LabelError, OutputError
from biounet.io import Image, read, write
from biounet.io.shapes import Grid

__all__ = ["read_masks", "write_masks"]


DRAWN = "_seg.npy"
"""End of the names of the files of Cellpose's window."""

KIND = "masks of Cellpose"

LARGEST = 65_535
"""Largest number of an object in 16 bits."""

CODE = re.compile(r"[<>|=]?([bB?hHiIlLqQefdFD]|[biufcSU]\d{1,6}|O8?|O)")
"""Codes of types of numbers, text and objects."""


def write_masks(
    path: Path, labels: Image, /, *, overwrite: bool = False, classes: Sequence[str] = (), source: str = ""
) -> None:
    """Write ``NAME_masks.tif``, which Cellpose trains on beside the image ``NAME.tif``.

    Parameters
    ----------
    path : Path
    labels : Image, integers
    overwrite : bool
    classes, source : not used

    Raises
    ------
    OutputError
        If the file exists or cannot be written, there are unknown pixels, or numbers that do not fit 16 bits.
    """
    if path.name.lower().endswith(DRAWN):
        raise OutputError(f"{path}: Cellpose's own window writes {DRAWN}; name the file {path.name[:-8]}_masks.tif")
    if labels.array.min(initial=0) < 0:
        raise OutputError(f"{path}: {KIND} cannot hold unknown pixels; save them as .tif, or number them as objects")
    if labels.array.max(initial=0) > LARGEST:
        raise OutputError(
            f"{path}: {KIND} cannot hold {labels.array.max()} objects, at most {LARGEST} fit 16 bits; cut the image"
        )
    write(path, labels, overwrite=overwrite)


def read_masks(
    path: Path, /, *, grid: Grid | None = None, notes: list[str] | None = None, classes: Sequence[str] = ()
) -> Image:
    """Masks in a file ``_seg.npy``, ``_masks.tif`` or ``_cp_masks.png``.

    Parameters
    ----------
    path : Path
    grid : Grid
        Gives the pixel size, which ``_seg.npy`` does not hold.
    notes, classes : not used

    Raises
    ------
    LabelError
        If the file is damaged, holds anything but arrays, numbers and text, or no masks.

    Notes
    -----
    ``_seg.npy`` is a pickle, which may name any function to be called. Here it can make arrays, numbers and text only,
    from their bytes; whatever else it names is refused before it is looked up.
    """
    if not path.name.lower().endswith(DRAWN):
        return read(path, labels=True)
    masks = _masks(path)
    if grid is not None and grid.shape != masks.shape:
        sizes = (" x ".join(map(str, shape)) for shape in (masks.shape, grid.shape))
        raise LabelError("{}: its masks have {} px, the image {}; give the image they are of".format(path, *sizes))
    axes = grid.axes if grid is not None else "ZYX"[-masks.ndim :]
    return Image(masks, axes, None if grid is None else grid.spacing)


def _masks(path: Path) -> NDArray[Any]:
    """The array ``masks`` of a file."""
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(stream)
            held = _Unpickler(stream).load() if dtype.hasobject and shape == () else None
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from error
    except Exception as error:  # of a damaged pickle, of any type
        said = (str(error) or type(error).__name__).splitlines()[0][:100]
        raise LabelError(f"{path} cannot be read as {KIND} ({said}); copy it again or save it anew") from error
    entry = held.values[0] if isinstance(held, _Array) and isinstance(held.values, list) and held.values else None
    masks = entry.get("masks") if isinstance(entry, dict) else None
    masks = masks.values if isinstance(masks, _Array) else None
    if not isinstance(masks, np.ndarray) or masks.dtype.kind not in "iu" or masks.ndim not in (2, 3):
        raise LabelError(f"{path} has no masks; save it in Cellpose's window again")
    return masks


class _Type:
    """The type of an array, of which only the code and the order of bytes are taken."""

    def __init__(self, code: object, *options: object) -> None:
        if not isinstance(code, str) or not CODE.fullmatch(code):
            raise LabelError(f"it holds an array of {str(code)[:40]!r}, not of numbers; save it in Cellpose again")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">") and self.dtype.kind in "biufcSU":
            self.dtype = self.dtype.newbyteorder(state[1])
        if self.dtype.kind in "SU" and isinstance(state[5], int) and 0 < state[5] < 2**20:
            self.dtype = np.dtype(f"{self.dtype.str[:2]}{state[5] // (4 if self.dtype.kind == 'U' else 1)}")


class _Array:
    """An array made of the bytes of its numbers, or of a list of objects."""

    def __init__(self, *made: object) -> None:
        self.values: NDArray[Any] | list[Any] = []

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        self.values = _array(content, kind, shape, "F" if fortran else "C")


def _array(content: Any, kind: _Type, shape: Any, order: Any) -> NDArray[Any] | list[Any]:
    """Numbers from their bytes; a list of objects as it is."""
    if kind.dtype.hasobject:
        return list(content)
    if isinstance(content, str):
        content = content.encode("latin1")
    return np.frombuffer(content, kind.dtype).reshape(shape, order="F" if order == "F" else "C")


def _scalar(kind: _Type, content: Any = b"") -> Any:
    """A number from its bytes."""
    return content if kind.dtype.hasobject else np.frombuffer(content, kind.dtype)[0].item()


def _from_buffer(content: Any, kind: _Type, shape: Any, order: Any) -> _Array:
    """An array as newer pickles have it."""
    made = _Array()
    made.values = _array(content, kind, shape, order)
    return made


def _encode(text: str, coding: str) -> bytes:
    """Bytes as older pickles have them."""
    return text.encode("latin1" if coding == "latin1" else "ascii")


class _Maker:
    """A function that a pickle may call, but not change."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *words: Any) -> Any:
        return self._make(*words)

    def __setstate__(self, state: object) -> None:
        raise LabelError("it changes a function; save the masks in Cellpose as _masks.tif")


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Maker(_Array),
    ("numpy", "dtype"): _Maker(_Type),
    ("_codecs", "encode"): _Maker(_encode),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Maker(_Array) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Maker(_scalar) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Maker(_from_buffer) for core in ("core", "_core")},
}
"""What a pickle may name, and what stands for it here."""


class _Unpickler(pickle.Unpickler):
    """Reader of pickles of arrays, numbers and text."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name; nothing is imported."""
        if (module, name) not in ALLOWED:
            raise LabelError(
                f"it names {module}.{name}, which could run a program; masks need arrays, numbers and text only: "
                "ask who made the file, or save the masks in Cellpose as _masks.tif"
            )
        return ALLOWED[module, name]
