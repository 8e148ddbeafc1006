"""Pixels and their sizes, as all formats check and convert them; errors in one line."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biounet.core.errors import BiounetError, ImageError, OutputError, ShapeError
from biounet.core.words import reason

__all__ = ["check_finite", "fit_channels", "fit_spacing", "narrow_integers", "reading", "trust_density"]


LONGEST_REASON = 200
"""Characters of the reason that a decoder gives; some print what they read."""

LARGEST_TRUSTED_SPACING = 10.0
"""Micrometres per pixel. Larger ones (below 2540 dots per inch) speak of printers and screens."""


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
    """Image with another number of channels, where that needs no new values.

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
    choice = "choose one by --channel, or save it in grey" if channels == 1 else "choose them by --channel"
    pages = ", or say --axes ZYX if they are sections" if array.ndim == 3 and len(array) != 3 else ""
    raise ShapeError(f"{name}: {channels} channels are wanted, it has {len(array)}; {choice}{pages}")


def fit_spacing(spacing: dict[str, float | None], axes: str) -> tuple[float, ...] | None:
    """Pick the pixel sizes of the spatial axes; ``None`` unless those of Y and X are known and positive.

    A distance of sections that is not known is taken for the pixel size along Y.

    >>> fit_spacing({"Y": 0.1, "X": 0.2, "Z": None}, "CYX"), fit_spacing({"Y": 0.1, "X": 0.2, "Z": None}, "ZYX")
    ((0.1, 0.2), (0.1, 0.1, 0.2))
    """
    known = {axis: size for axis, size in spacing.items() if size is not None and 0 < size < math.inf}
    if "Y" not in known or "X" not in known:
        return None
    return tuple(known.get(axis, known["Y"]) for axis in axes if axis in "ZYX")


def trust_density(sizes: dict[str, float | None]) -> dict[str, float | None]:
    """Forget the pixel size unless it is one of a microscope.

    >>> trust_density({"Y": 0.25, "X": 25_400 / 72})
    {'Y': None, 'X': None}
    """
    trusted = all(size is not None and size <= LARGEST_TRUSTED_SPACING for size in sizes.values())
    return sizes if trusted else dict.fromkeys(sizes)


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Errors of decoders, of any type, as one line about `path`.

    Raises
    ------
    ImageError
        Instead of any other error; decoders of broken files raise errors of every type.
    """
    try:
        yield
    except (BiounetError, MemoryError, NameError):
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such file; check the name") from error
    except Exception as error:
        why = reason(error)
        if path.is_file() and path.stat().st_size == 0:
            why = "the file is empty"
        raise ImageError(f"{path} cannot be read as {kind} ({why}); copy it again or save it anew") from error


def narrow_integers(array: NDArray[Any], *, least: int = 16, labels: bool = False) -> NDArray[Any]:
    """Store integers of 32 and 64 bits, and truth values, in the smallest type that programs for images know.

    Parameters
    ----------
    array : any type
    least : bits that are used at least
    labels : integers of 16 bits are stored in smaller ones, too

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
    if array.dtype.kind not in "iu" or array.dtype.itemsize < (2 if labels else 4) or not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    for dtype in (np.uint8, np.uint16, np.uint32, np.int32):
        if np.iinfo(dtype).bits >= least and np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    raise OutputError(f"numbers from {low} to {high} do not fit 32 bits; renumber the labels")
