"""Images: pixels with the names of their axes and the size of a pixel, whole or by region."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from biounet.core.boxes import Box
from biounet.core.errors import ImageError, ShapeError
from biounet.io.meaning import Meaning, meaning_of

__all__ = [
    "AXES",
    "ArrayImage",
    "ArrayOutput",
    "Image",
    "LazyImage",
    "LazyOutput",
    "ResumableOutput",
    "WithoutZ",
    "name_axes",
    "notes_of",
]


AXES = "TCZYX"
"""All axes that an image may have, in the order that they always stand in: time, channel, space."""


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
    meaning : Meaning
        What the numbers mean, where the file tells.

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
    meaning: Meaning | None = None

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

    @property
    def decoding_bytes(self) -> int:
        """Most memory that reading takes beside the pixels that are asked for, since files are decoded in pieces."""

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region inside the image."""

    def __enter__(self) -> Self:
        """Keep the file open."""

    def __exit__(self, *error: object) -> None:
        """Close the file."""


def notes_of(image: LazyImage) -> tuple[str, ...]:
    """What a person should know of how a file is read: what was guessed, chosen or converted.

    A `LazyImage` that has something to say has an attribute ``notes``.

    >>> notes_of(ArrayImage(Image(np.eye(4), "YX")))
    ()
    """
    return tuple(getattr(image, "notes", ()))


class WithoutZ:
    """An image of one section as an image without sections; a `LazyImage`.

    Parameters
    ----------
    image : LazyImage
        Its axis Z has length 1.

    Examples
    --------
    >>> image = WithoutZ(ArrayImage(Image(np.zeros((1, 4, 5)), "ZYX", (9.0, 0.2, 0.1))))
    >>> image.axes, image.shape, image.spacing, image.read(Box((0, 1), (4, 3))).shape
    ('YX', (4, 5), (0.2, 0.1), (4, 2))
    """

    def __init__(self, image: LazyImage) -> None:
        self._image, self._z = image, image.axes.index("Z")
        self.axes = image.axes.replace("Z", "")
        self.shape = image.shape[: self._z] + image.shape[self._z + 1 :]
        self.dtype = image.dtype
        self.spacing = None if image.spacing is None else image.spacing[1:]
        self.notes, self.meaning = notes_of(image), meaning_of(image)
        self.decoding_bytes = image.decoding_bytes

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of a region inside the image."""
        at = self._z
        whole = Box((*box.start[:at], 0, *box.start[at:]), (*box.stop[:at], 1, *box.stop[at:]))
        return self._image.read(whole).squeeze(at)

    def __enter__(self) -> Self:
        self._image.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._image.__exit__(*error)


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


@runtime_checkable
class ResumableOutput(LazyOutput, Protocol):
    """An image that is written by region and stays when a run stops, so that another run completes it."""

    @property
    def path(self) -> Path:
        """Where it lies: under its name, or until it is complete beside the image that it replaces."""

    def holds(self, box: Box) -> bool:
        """Whether all pixels of a region have been written, by this run or an earlier one."""


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

    @property
    def decoding_bytes(self) -> int:
        """None: the pixels are in memory."""
        return 0

    def read(self, box: Box) -> NDArray[Any]:
        """Return a view of a region."""
        return self.image.array[box.slices]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return


@dataclass(frozen=True, eq=False)
class ArrayOutput:
    """An image in memory as a `LazyOutput`, written as a whole when it is complete.

    Examples
    --------
    >>> with ArrayOutput(Image(np.zeros((1, 3)), "YX"), lambda image: print(image.array)) as output:
    ...     output.write(Box((0, 1), (1, 3)), np.array([[7, 8]]))
    [[0. 7. 8.]]
    """

    image: Image
    finish: Callable[[Image], None]

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels per axis."""
        return self.image.array.shape

    @property
    def axes(self) -> str:
        """Letters of ``TCZYX`` in that order."""
        return self.image.axes

    def write(self, box: Box, array: NDArray[Any]) -> None:
        """Store the pixels of a region."""
        self.image.array[box.slices] = array

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.finish(self.image)


def name_axes(stored: str, wanted: str | None, name: str) -> str:
    """Give every axis of a file its letter of ``TCZYX``.

    Parameters
    ----------
    stored : str
        Axes as tifffile names them: S for colour samples, I and Q for pages of unknown meaning.
    wanted : str
        What the user says they are, in the order of the file; ``None`` trusts the file.
    name : str
        Of the file, for the error.

    Raises
    ------
    ImageError
        If the file does not name them, or what the user says does not fit.

    Examples
    --------
    >>> name_axes("IYXS", None, "pages of a plain stack are sections.tif")
    'ZYXC'
    >>> name_axes("IYX", "TYX", "movie.tif")
    'TYX'
    """
    if wanted is not None:
        letters = wanted.upper()
        if len(letters) != len(stored):
            raise ImageError(f"{name}: it has {len(stored)} axes ({stored}), but {wanted!r} names {len(letters)}")
    else:
        letters = stored.replace("S", "C")
        unknown = [letter for letter in letters if letter in "IQ"]
        if len(unknown) == 1 and "Z" not in letters:
            letters = letters.replace(unknown[0], "Z")
    if len(set(letters)) < len(letters) or not set("YX") <= set(letters) <= set(AXES):
        raise ImageError(f"{name}: cannot tell what its axes {letters} are; give --axes, letters of {AXES}, e.g. ZYX")
    return letters
