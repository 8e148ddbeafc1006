"""Image files: any of `FORMATS` to an array with axes and pixel size, and back; whole or by region."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from numpy.typing import DTypeLike

from biounet.core.boxes import Box
from biounet.core.errors import DatasetError, ImageError, OutputError
from biounet.io import ome_zarr, png, tiff
from biounet.io.image import AXES, ArrayImage, Image, LazyImage, LazyOutput
from biounet.io.pixels import fit_channels

__all__ = [
    "AXES",
    "FORMATS",
    "ArrayImage",
    "Format",
    "Image",
    "LazyImage",
    "LazyOutput",
    "create",
    "fit_channels",
    "format_of",
    "image_files",
    "images_by_name",
    "load_libraries",
    "open_lazily",
    "plain_name",
    "read",
    "write",
]


class Format(Protocol):
    """What the module of a format offers."""

    def open_lazily(self, path: Path, *, axes: str | None = None, labels: bool = False) -> LazyImage:
        """Open an image for reading by region."""

    def write(self, path: Path, image: Image, *, overwrite: bool = False) -> None:
        """Write a whole image."""

    def create(
        self,
        path: Path,
        *,
        shape: Sequence[int],
        dtype: DTypeLike,
        axes: str,
        spacing: Sequence[float] | None = None,
        overwrite: bool = False,
    ) -> LazyOutput:
        """Begin an image that is written by region."""


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".jpeg": png,
        ".jpg": png,
        ".png": png,
        ".tif": tiff,
        ".tiff": tiff,
        ".zarr": ome_zarr,
    }
)
"""Suffix of a file, in lower case -> the module that reads and writes it."""


def format_of(path: Path | str) -> Format:
    """Find the module for a file by its suffix.

    Raises
    ------
    ImageError
        If the suffix is not one of `FORMATS`.

    Examples
    --------
    >>> format_of("cells.TIF").__name__
    'biounet.io.tiff'
    """
    path = Path(path)
    # Inside an OME-Zarr folder, image.zarr/labels/cells for instance, names need no suffix.
    inside = any(parent.suffix.lower() == ".zarr" for parent in path.parents)
    suffix = ".zarr" if inside else path.suffix.lower()
    if suffix not in FORMATS:
        raise ImageError(f"{path}: the suffix must be one of {', '.join(FORMATS)}; save it as .tif")
    return FORMATS[suffix]


def load_libraries(paths: Iterable[Path]) -> None:
    """Import the large libraries that the formats of these files need."""
    if any(format_of(path) is ome_zarr for path in paths):
        ome_zarr.load_library()


def open_lazily(path: Path | str, *, axes: str | None = None, labels: bool = False) -> LazyImage:
    """Open an image for reading by region.

    Parameters
    ----------
    path : Path
        A file or an OME-Zarr folder.
    axes : str
        What the axes of the file are, in its own order, where it does not tell, e.g. ``"TYX"``.
    labels : bool
        The file holds labels: palette entries are read as their numbers, not as colours.

    Raises
    ------
    ImageError
        If it cannot be read, or its axes cannot be told. The same for each region that is read later,
        also if that holds NaN or infinity.
    """
    path = Path(path)
    opener = format_of(path)
    if not path.exists():
        raise ImageError(f"{path}: there is no such file; check the name")
    return opener.open_lazily(path, axes=axes, labels=labels)


def read(path: Path | str, *, axes: str | None = None, labels: bool = False) -> Image:
    """Read a whole image; see `open_lazily` for options and errors.

    Returns
    -------
    Image
        Axes in the order TCZYX, those that the file has; colour samples are channels.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> path = Path(tempfile.mkdtemp(), "stack.tif")
    >>> write(path, Image(np.zeros((2, 20, 30), np.uint8), "ZYX", (0.5, 0.1, 0.1)))
    >>> image = read(path)
    >>> image.axes, image.array.shape, image.spacing
    ('ZYX', (2, 20, 30), (0.5, 0.1, 0.1))
    """
    with open_lazily(path, axes=axes, labels=labels) as lazy:
        whole = Box((0,) * len(lazy.shape), lazy.shape)
        return Image(lazy.read(whole), lazy.axes, lazy.spacing)


def write(path: Path | str, image: Image, *, overwrite: bool = False) -> None:
    """Write a whole image; it stands under its name only when it is complete.

    Parameters
    ----------
    path : Path
        The suffix chooses the format, see `FORMATS`.
    image : Image
        Values are always kept. Integers of 32 and 64 bits, such as labels, are stored in the smallest
        type that holds them.
    overwrite : bool
        Whether a file that exists is replaced.

    Raises
    ------
    OutputError
        If the file exists, cannot be written, or the format cannot hold the values.
    """
    path = Path(path)
    _output_format(path).write(path, image, overwrite=overwrite)


def create(
    path: Path | str,
    *,
    shape: Sequence[int],
    dtype: DTypeLike,
    axes: str,
    spacing: Sequence[float] | None = None,
    overwrite: bool = False,
) -> LazyOutput:
    """Begin an image that is written by region; see `write` for options and errors.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> path = Path(tempfile.mkdtemp(), "big.tif")
    >>> with create(path, shape=(20, 30), dtype="uint8", axes="YX") as output:
    ...     output.write(Box((0, 0), (1, 2)), np.array([[7, 8]], np.uint8))
    >>> read(path).array[0, :3]
    array([7, 8, 0], dtype=uint8)
    """
    path = Path(path)
    form = _output_format(path)
    return form.create(path, shape=shape, dtype=dtype, axes=axes, spacing=spacing, overwrite=overwrite)


def image_files(folder: Path | str) -> tuple[Path, ...]:
    """List the images of a folder, those in `FORMATS`, sorted by name; hidden files are left out."""
    return tuple(
        path
        for path in sorted(Path(folder).iterdir())
        if path.suffix.lower() in FORMATS and not path.name.startswith(".")
    )


def plain_name(path: Path) -> str:
    """Name of an image without its suffix, or both of ``.ome.tif`` and ``.ome.zarr``.

    >>> plain_name(Path("cells/day.2.ome.tif"))
    'day.2'
    """
    return path.stem.removesuffix(".ome")


def images_by_name(folder: Path) -> dict[str, Path]:
    """The images of a folder by their `plain_name`.

    Raises
    ------
    DatasetError
        If two have the same.
    """
    found: dict[str, Path] = {}
    for path in image_files(folder):
        name = plain_name(path)
        if name in found:
            raise DatasetError(f"{path} and {found[name].name} have one name; keep one of them")
        found[name] = path
    return found


def _output_format(path: Path) -> Format:
    """Find the format of an output."""
    try:
        return format_of(path)
    except ImageError as error:
        raise OutputError(str(error)) from error
