"""Arrays of other libraries as images: any array that gives its regions by slices; which image of a file is meant."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import ImageError
from biounet.io.image import AXES, name_axes
from biounet.io.pixels import check_finite, fit_spacing, reading
from biounet.io.selection import Selection

__all__ = ["NARROW", "Planes", "Sliceable", "SlicedImage", "WholeArray", "pick_series", "plain_axes"]


NARROW = 6
"""Pixels below which the last axis of a plain array is doubted: it is more likely that of channels."""


NAMED = 20
"""So many images of a file are named."""


class Sliceable(Protocol):
    """Array of any library: h5py, nibabel, numpy, or one of ours."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> Any:
        """Type of the pixels."""

    def __getitem__(self, slices: Any, /) -> Any:
        """Return the region of a tuple of slices."""


class SlicedImage:
    """An array of another library as a `biounet.io.LazyImage`, its axes in the order TCZYX.

    Parameters
    ----------
    path : of the file, for errors
    array : Sliceable
    stored : str
        Axes of the array in its own order, as for `biounet.io.image.name_axes`.
    sizes : micrometres per pixel of the spatial axes, as far as they are known
    kind : name of the format, for errors
    axes : what the user says the axes are
    close : function that closes the file
    notes : what a person should know of the file, such as a slice that is missing
    chunk : shape of what the library decodes at once, if not said by the array

    Examples
    --------
    >>> image = SlicedImage(Path("a.npy"), np.zeros((4, 5, 2), ">u2"), "YXC", {"Y": 1.0, "X": 2.0}, kind="npy")
    >>> image.decoding_bytes  # beside the pixels that are asked for: the array needs no decoding
    0
    >>> image.axes, image.shape, image.spacing, image.dtype, image.read(Box((0, 0, 1), (2, 4, 5))).shape
    ('CYX', (2, 4, 5), (1.0, 2.0), dtype('uint16'), (2, 4, 4))
    """

    def __init__(
        self,
        path: Path,
        array: Sliceable,
        stored: str,
        sizes: Mapping[str, float | None],
        *,
        kind: str,
        axes: str | None = None,
        close: Callable[[], object] = lambda: None,
        notes: Sequence[str] = (),
        chunk: Sequence[int] = (),
    ) -> None:
        self._path, self._array, self._kind, self._close = path, array, kind, close
        given = np.dtype(array.dtype)
        if given.kind not in "buif" or not array.shape:
            close()
            raise ImageError(f"{path.name}: pixels are of type {given}; save it with integers or floats")
        letters = name_axes(stored, axes, path.name)
        self.axes = "".join(axis for axis in AXES if axis in letters)
        self._order = [letters.index(axis) for axis in self.axes]
        self.shape = tuple(int(array.shape[index]) for index in self._order)
        self.dtype = np.dtype(np.uint8) if given.kind == "b" else given.newbyteorder("=")
        self.spacing = fit_spacing(dict(sizes), self.axes)
        self.notes = tuple(notes)
        chunk = chunk or getattr(array, "chunk", ())
        self.decoding_bytes = prod(chunk) * given.itemsize if chunk else 0
        if axes is None and "I" in stored:
            film = stored.replace("I", "T")
            count = self.shape[self.axes.index("Z")]
            self.notes += (f"its {count} planes are taken for sections (Z); if it is a film give --axes {film}",)

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region inside the image.

        Raises
        ------
        ImageError
            If the file is torn there, or holds NaN or infinity.
        """
        slices = [slice(0, 0)] * len(self._order)
        for index, extent in zip(self._order, box.slices, strict=True):
            slices[index] = extent
        with reading(self._path, self._kind):
            pixels = np.asarray(self._array[tuple(slices)])
            wanted = tuple(extent.stop - extent.start for extent in slices)
            if pixels.shape != wanted:
                raise ImageError(f"{self._path.name}: a region of {wanted} px has {pixels.shape}; copy the file again")
            check_finite(pixels, self._path.name)
        return np.ascontiguousarray(pixels.transpose(self._order), self.dtype)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()


class WholeArray:
    """An array that a library can only read whole: it is read when the first region is wanted, then kept.

    Parameters
    ----------
    shape, dtype : of the array
    load : function that reads it

    Examples
    --------
    >>> WholeArray((2, 3), np.dtype(float), lambda: np.ones((2, 3)))[0:1, 0:2]
    array([[1., 1.]])
    """

    def __init__(self, shape: Sequence[int], dtype: Any, load: Callable[[], NDArray[Any]]) -> None:
        self.shape = self.chunk = tuple(shape)
        self.dtype = dtype
        self._load = load
        self._pixels: NDArray[Any] | None = None

    def __getitem__(self, slices: Any, /) -> NDArray[Any]:
        if self._pixels is None:
            self._pixels = self._load()
        found: NDArray[Any] = self._pixels[slices]
        return found


class Planes:
    """An array of which a library reads planes: its last axes are those of a plane.

    Parameters
    ----------
    outer : length of each axis that counts planes
    plane : shape of a plane
    dtype : of the pixels
    read : function that takes the position of a plane, and gives its pixels

    Examples
    --------
    >>> Planes((3,), (2, 2), np.dtype(int), lambda position: np.full((2, 2), position[0]))[1:3, 0:1, 0:2]
    array([[[1, 1]],
           [[2, 2]]])
    """

    def __init__(
        self, outer: Sequence[int], plane: Sequence[int], dtype: Any, read: Callable[[tuple[int, ...]], NDArray[Any]]
    ) -> None:
        self._outer, self.shape, self.dtype, self._read = len(outer), (*outer, *plane), dtype, read
        self.chunk = tuple(plane)

    def __getitem__(self, slices: Any, /) -> NDArray[Any]:
        ranges = [range(*s.indices(size)) for s, size in zip(slices, self.shape, strict=True)]
        pixels = np.empty([len(r) for r in ranges], self.dtype)
        for index in np.ndindex(*(len(r) for r in ranges[: self._outer])):
            position = tuple(r[i] for r, i in zip(ranges, index, strict=False))
            pixels[index] = self._read(position)[tuple(slices[self._outer :])]
        return pixels


def plain_axes(shape: Sequence[int], name: str, axes: str | None) -> str:
    """Axes of an array that does not name them: planes, of unknown meaning where there are several.

    Parameters
    ----------
    shape : of the array
    name : of the file, for the error
    axes : what the user says

    Raises
    ------
    ImageError
        If the last axis has so few pixels that it is more likely that of channels, or there is but one axis.

    Examples
    --------
    >>> plain_axes((20, 30), "a.npy", None), plain_axes((4, 20, 30), "a.npy", None)
    ('YX', 'IYX')
    """
    if len(shape) < 2:
        raise ImageError(f"{name}: an array of {tuple(shape)} is no image, which has two axes or more; save a plane")
    if axes is None and len(shape) > 2 and shape[-1] < NARROW:
        raise ImageError(
            f"{name}: {' x '.join(map(str, shape))} px would be an image of {shape[-1]} columns; if the last axis is "
            "channels give --axes YXC, else --axes with the letters of its axes"
        )
    return ("IQ?????"[: len(shape) - 2])[::-1] + "YX"


def pick_series(names: Sequence[str], selection: Selection, path: Path, kind: str) -> tuple[int, tuple[str, ...]]:
    """Number of the image that is meant in a file of several: the first, unless another is selected.

    Parameters
    ----------
    names : of the images
    selection : Selection
    path, kind : of the file and its format, for errors

    Returns
    -------
    The number, and notes on images that are left out though nobody chose

    Raises
    ------
    ImageError
        If there is no such image, or another level is wanted, of which there are none here.

    Examples
    --------
    >>> pick_series(["left", "right"], Selection(series="right"), Path("a.lif"), "LIF")
    (1, ())
    >>> pick_series(["left", "right"], Selection(), Path("a.lif"), "LIF")
    (0, ('it holds 2 images, the first (left) is read; left out: 1 right; --series N takes another',))
    """
    Selection(level=selection.level).check_single(path, kind)
    listed = [f"{number} {name}" for number, name in enumerate(names)]
    wanted = selection.series
    if wanted is None:
        left = ", ".join(listed[1:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        said = (
            f"it holds {len(names)} images, the first ({names[0]}) is read; left out: {left}; --series N takes another"
        )
        return 0, (said,) if left else ()
    if wanted in names:
        return names.index(str(wanted)), ()
    if str(wanted).isdecimal() and int(wanted) < len(names):
        return int(wanted), ()
    raise ImageError(f"{path.name}: there is no series {wanted}; give --series N, one of {', '.join(listed[:NAMED])}")
