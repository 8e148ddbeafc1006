"""What an image is: pixels, the names of their axes and the size of a pixel; read whole or by region."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from biounet.errors import BiounetError, ImageError, OutputError, ShapeError
from biounet.geometry import Box

__all__ = [
    "AXES",
    "ArrayImage",
    "Image",
    "LazyImage",
    "LazyOutput",
    "VolumeReader",
    "VolumeWriter",
    "check_finite",
    "fit_channels",
    "fit_spacing",
    "narrow_integers",
    "reading",
    "trust_density",
]

AXES = "TCZYX"
"""All axes that an image may have, in the order that they always stand in: time, channel, space."""

LARGEST_TRUSTED_SPACING = 10.0
"""Micrometres per pixel. Larger ones (below 2540 dots per inch) speak of printers and screens."""


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels with the names of their axes and the size of a pixel.

    Parameters
    ----------
    array : NDArray
        Pixels, one axis per letter of `axes`.
    axes : str
        Letters of ``TCZYX`` in that order; Y and X are always there.
    spacing : micrometres per pixel, one number per spatial axis
        ``None`` if the file does not tell.

    Raises
    ------
    ShapeError
        If the axes are not in order, or do not fit the array or the spacing.

    Examples
    --------
    >>> Image(np.zeros((3, 20, 30)), "ZYX", (0.5, 0.1, 0.1)).spatial_axes
    'ZYX'
    """

    array: NDArray[Any]
    axes: str
    spacing: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.axes != "".join(axis for axis in AXES if axis in self.axes) or not self.axes.endswith("YX"):
            raise ShapeError(f"axes must be letters of {AXES} in that order with Y and X, got {self.axes!r}")
        if len(self.axes) != self.array.ndim:
            raise ShapeError(f"axes {self.axes} need {len(self.axes)} dimensions, got shape {self.array.shape}")
        if self.spacing is not None and len(self.spacing) != len(self.spatial_axes):
            raise ShapeError(f"axes {self.spatial_axes} need one spacing each, got {self.spacing}")

    @property
    def spatial_axes(self) -> str:
        """The axes without time and channel."""
        return self.axes.replace("T", "").replace("C", "")


class LazyImage(Protocol):
    """An image in a file that is read by region; a box has one number per axis of `axes`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""

    @property
    def axes(self) -> str:
        """Letters of ``TCZYX`` in that order."""

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """Micrometres per pixel, one number per spatial axis."""

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region inside the image."""

    def __enter__(self) -> Self:
        """Keep the file open."""

    def __exit__(self, *error: object) -> None:
        """Close the file."""


class LazyOutput(Protocol):
    """An image that is written by region, and stands under its name only when it is complete.

    Use it in a ``with`` statement: without an error the file gets its name at the end, otherwise it vanishes.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis."""

    @property
    def axes(self) -> str:
        """Letters of ``TCZYX`` in that order."""

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels of a region."""

    def __enter__(self) -> Self:
        """Begin the file."""

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Complete the file, or remove it after an error."""


@dataclass(frozen=True, eq=False)
class ArrayImage:
    """An image in memory as a `LazyImage`.

    Examples
    --------
    >>> ArrayImage(Image(np.eye(4), "YX")).read(Box((0, 0), (1, 2)))
    array([[1., 0.]])
    """

    image: Image

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis."""
        return self.image.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self.image.array.dtype

    @property
    def axes(self) -> str:
        """Letters of ``TCZYX`` in that order."""
        return self.image.axes

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """Micrometres per pixel, one number per spatial axis."""
        return self.image.spacing

    def read(self, box: Box) -> NDArray[Any]:
        """Return a view of a region."""
        return self.image.array[box.slices]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return


@dataclass(frozen=True, eq=False)
class VolumeReader:
    """One time point of an image as a `biounet.geometry.Reader`: axes C(Z)YX, the channel axis always there.

    Examples
    --------
    >>> movie = ArrayImage(Image(np.arange(12).reshape(3, 2, 2), "TYX"))
    >>> VolumeReader(movie, time=2).read(Box((0, 0, 0), (1, 1, 2)))
    array([[[8, 9]]])
    """

    source: LazyImage
    time: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis, channels first."""
        return _volume_shape(self.source)

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region, axes C(Z)YX."""
        return self.source.read(_full_box(box, self.source.axes, self.time)).reshape(box.shape)


@dataclass(frozen=True, eq=False)
class VolumeWriter:
    """One time point of an output as a `biounet.geometry.Writer`: axes C(Z)YX, the channel axis always there."""

    target: LazyOutput
    time: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis, channels first."""
        return _volume_shape(self.target)

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels of a region, axes C(Z)YX."""
        full = _full_box(box, self.target.axes, self.time)
        self.target.write(full, array.reshape(full.shape))


def _volume_shape(image: LazyImage | LazyOutput) -> tuple[int, ...]:
    """Sizes of C(Z)YX; an image without channels has one."""
    spatial = tuple(size for size, axis in zip(image.shape, image.axes, strict=True) if axis in "ZYX")
    channels = image.shape[image.axes.index("C")] if "C" in image.axes else 1
    return (channels, *spatial)


def _full_box(box: Box, axes: str, time: int) -> Box:
    """Give a box of C(Z)YX the axes of the file."""
    outer = [(time, time + 1)] if "T" in axes else []
    inner = list(zip(box.start, box.stop, strict=True))[0 if "C" in axes else 1 :]
    start, stop = zip(*outer, *inner, strict=True)
    return Box(start, stop)


def check_finite(array: NDArray[Any], name: str) -> None:
    """Refuse pixels that are not numbers.

    Raises
    ------
    ImageError
        If there is a NaN or an infinity; it says how many and where the first is.
    """
    if array.dtype.kind not in "buif":
        raise ImageError(f"{name}: pixels are of type {array.dtype}; save it with integers or floats")
    # The sum is not finite if a pixel is not, and costs far less than a mask; it may overflow on its own.
    with np.errstate(all="ignore"):
        if array.dtype.kind != "f" or np.isfinite(np.sum(array, dtype=np.float64)):
            return
    wrong = ~np.isfinite(array)
    if wrong.any():
        first = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise ImageError(
            f"{name}: {np.count_nonzero(wrong)} of {array.size} pixels are NaN or infinite, the first at {first}; "
            "replace them by numbers and save it again"
        )


def fit_channels(array: NDArray[Any], channels: int, name: str) -> NDArray[Any]:
    """Give an image the number of channels that is wanted, where nothing must be invented.

    Parameters
    ----------
    array : (C, ...)
    channels : int
        One grey channel is repeated; several equal channels become one.
    name : str
        Of the file, for the error.

    Returns
    -------
    (channels, ...), a view where possible

    Raises
    ------
    ShapeError
        If the channels differ and their number is another.

    Examples
    --------
    >>> fit_channels(np.ones((1, 2, 2)), 3, "grey.png").shape
    (3, 2, 2)
    """
    if len(array) == channels:
        return array
    if len(array) == 1:
        return np.broadcast_to(array, (channels, *array.shape[1:]))
    if channels == 1 and (array == array[:1]).all():
        return array[:1]
    raise ShapeError(f"{name}: {channels} channels are wanted, it has {len(array)}; convert it and save it again")


def fit_spacing(spacing: dict[str, float | None], axes: str) -> tuple[float, ...] | None:
    """Pick the pixel sizes of the spatial axes; ``None`` unless all are known and positive.

    >>> fit_spacing({"Y": 0.1, "X": 0.1, "Z": None}, "CYX")
    (0.1, 0.1)
    """
    sizes = [spacing.get(axis) for axis in axes if axis in "ZYX"]
    known = [size for size in sizes if size is not None and 0 < size < math.inf]
    return tuple(known) if len(known) == len(sizes) else None


def trust_density(sizes: dict[str, float | None]) -> dict[str, float | None]:
    """Forget the pixel size unless it is one of a microscope.

    >>> trust_density({"Y": 0.25, "X": 25_400 / 72})
    {'Y': None, 'X': None}
    """
    trusted = all(size is not None and size <= LARGEST_TRUSTED_SPACING for size in sizes.values())
    return sizes if trusted else dict.fromkeys(sizes)


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one line about `path`.

    Raises
    ------
    ImageError
        Instead of any other error; decoders of broken files raise errors of every type.
    """
    try:
        yield
    except (BiounetError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such file; check the name") from error
    except Exception as error:
        why = f"{error or type(error).__name__}".splitlines()[0]
        if path.is_file() and path.stat().st_size == 0:
            why = "the file is empty"
        raise ImageError(f"{path} cannot be read as {kind} ({why}); copy it again or save it anew") from error


def narrow_integers(array: NDArray[Any]) -> NDArray[Any]:
    """Store integers of 32 and 64 bits, and truth values, in the smallest type that programs for images know.

    Raises
    ------
    OutputError
        If a number does not fit 32 bits.

    Examples
    --------
    >>> narrow_integers(np.array([0, 70_000])).dtype, narrow_integers(np.array([-1, 2])).dtype
    (dtype('uint32'), dtype('int32'))
    """
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 4 or not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    for dtype in (np.uint16, np.uint32, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    raise OutputError(f"numbers from {low} to {high} do not fit 32 bits; renumber the labels")
